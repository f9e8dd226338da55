"""`python -m sim.evaluate`: runs episodes with the policy node in closed loop. `pi05 eval` starts both. See README.md."""

import argparse
import json
import pathlib
import threading
import time

from sim.errors import SimulationError
from sim.process import positive, ros_context, run_main, without_ros_arguments


def indices(text: str) -> list[int]:
    """Converts an argument, for argparse: numbers and ranges, such as 0,3,8-11."""
    result: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        result.extend(range(int(first), int(last or first) + 1))
    return result


def arguments(argv: list[str]) -> argparse.Namespace:
    from sim.evaluation.controls import CONTROLS
    from sim.tasks import TASKS

    parser = argparse.ArgumentParser(prog="python -m sim.evaluate", description="Runs episodes; see sim/README.md.")
    parser.add_argument("--episodes", type=indices, required=True, metavar="LIST", help="indices, such as 0,3,8-11")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the layouts (0)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="dealt in turn (all)")
    parser.add_argument("--control", choices=CONTROLS, default="none", help="what the policy is given wrongly (none)")
    parser.add_argument("--real-time", action="store_true", help="do not wait for the policy node")
    parser.add_argument("--frames", type=pathlib.Path, metavar="DIR", help="where small images of each episode are kept")
    parser.add_argument(
        "--timeout", type=positive, default=60.0, metavar="S", help="wall time to wait for the policy node (60)"
    )
    parser.add_argument("--namespace", default="", metavar="NS")
    parser.add_argument("--node", default="policy_node", metavar="NAME", help="the policy node (policy_node)")
    return parser.parse_args(argv)


def print_json(**values) -> None:
    print(json.dumps(values), flush=True)


def run_episode(robot, renderer, policy, control, options, stop, topics) -> dict | None:
    """Runs one episode with the policy node, which is inactive before and after it.

    Returns the record, or None if `stop` was set.
    """
    from sim.clock import run_real_time, run_tick
    from sim.episode import EpisodeRun
    from sim.evaluation.results import PLAIN
    from sim.evaluation.video import Frames, frames_path, has_frames

    begin = time.perf_counter()
    episode = control.episode
    renderer.wait()
    run = EpisodeRun(robot.arm, episode)
    keeps_frames = options.frames and control.name == PLAIN and has_frames(episode.index, len(options.tasks))
    robot.begin(run, control, Frames() if keeps_frames else None)
    # The ages of the node's inputs count from its activation, so it must know the time before.
    robot.publish_clock(episode.start)
    policy.set_prompt(control.prompt)
    policy.wait_until_processed()
    policy.activate()
    started = time.perf_counter()
    render_s = physics_s = 0.0
    if options.real_time:
        run_real_time(robot, renderer, stop, episode.start, run.judge)
    else:
        ended = False
        while not ended and not stop.is_set():
            run_tick(robot, renderer, stop, run.next_tick, topics, options.timeout, repeat=run.ticks == 0)
            render_s += renderer.render_ms / 1e3
            before = time.perf_counter()
            with robot.arm_lock:
                ended = run.advance()
            physics_s += time.perf_counter() - before
    executed = time.perf_counter()
    if stop.is_set():
        return None
    counts = robot.finish()
    policy.deactivate()
    robot.await_stop_action(stop, topics, counts)
    counters = robot.await_counters()
    if robot.frames:
        robot.frames.save(frames_path(options.frames, episode.index))
    change_s = started - begin + time.perf_counter() - executed
    timing = {"change_s": change_s, "run_s": executed - started, "render_s": render_s, "physics_s": physics_s}
    timing = {key: round(value, 3) for key, value in timing.items()}
    record = run.record(control.prompt, robot.chunk_count)
    return {"control": control.name, **record, "node": counters, "seams": robot.seams, "timing": timing}


def main(argv: list[str]) -> None:
    options = arguments(without_ros_arguments(argv))
    from rclpy.executors import SingleThreadedExecutor

    from sim.clock import CameraRenderer, await_publishers
    from sim.episode import deal
    from sim.evaluation.controls import CONTROLS
    from sim.evaluation.robot import EvaluatedRobot
    from sim.policy_control import PolicyControl
    from sim.scene import Scene

    with ros_context(argv) as stop:
        robot = EvaluatedRobot(Scene(), options.namespace, options.node)
        executor = SingleThreadedExecutor()
        executor.add_node(robot)
        commands = threading.Thread(target=executor.spin, name="commands")
        commands.start()
        policy = renderer = None
        try:
            renderer = CameraRenderer(robot)
            policy = PolicyControl(options.namespace, options.node, options.timeout)
            policy.connect()
            policy.wait_for_state("active")
            topics = await_publishers(robot, stop, options.timeout)
            policy.deactivate()
            print_json(ready=True, render_ms=round(renderer.render_ms, 1))
            for index in options.episodes:
                control = CONTROLS[options.control](deal(tuple(options.tasks), options.seed, index))
                record = run_episode(robot, renderer, policy, control, options, stop, topics)
                if record is None:
                    raise SimulationError("INTERRUPTED", "Expected to run all episodes, received a signal")
                print_json(**record)
        finally:
            if policy:
                policy.close()
            if renderer:
                renderer.close()
            executor.shutdown()
            commands.join()
            robot.destroy_node()


if __name__ == "__main__":
    run_main(main)
