"""`python -m sim.demo`: the simulated arm, which gives the policy node one prompt after the other. See README.md."""

import argparse
import json
import threading

from sim.process import positive, ros_context, run_main, without_ros_arguments


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.demo", description="Gives prompts to the node; see sim/README.md.")
    parser.add_argument("--prompt", action="append", required=True, metavar="TEXT", help="may be repeated")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the layouts (0)")
    parser.add_argument("--rearrange", action="store_true", help="arrange the objects anew for each prompt")
    parser.add_argument("--duration", type=positive, metavar="S", help="time for each prompt (that of its task, or 10)")
    parser.add_argument("--timeout", type=positive, default=60.0, metavar="S", help="wall time to wait for the node (60)")
    parser.add_argument("--namespace", default="", metavar="NS")
    parser.add_argument("--node", default="policy_node", metavar="NAME", help="the policy node (policy_node)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    options = arguments(without_ros_arguments(argv))
    from rclpy.executors import SingleThreadedExecutor

    from sim.clock import CameraRenderer
    from sim.node import RobotNode
    from sim.policy_control import PolicyControl
    from sim.prompter import Prompter
    from sim.scene import Scene

    with ros_context(argv) as stop:
        robot = RobotNode(Scene(), options.namespace, compressed=False)
        executor = SingleThreadedExecutor()
        executor.add_node(robot)
        commands = threading.Thread(target=executor.spin, name="commands")
        commands.start()
        policy = PolicyControl(options.namespace, options.node, options.timeout, stop=stop)
        renderer = None
        try:
            renderer = CameraRenderer(robot)
            print(json.dumps({"ready": True, "render_ms": round(renderer.render_ms, 1)}), flush=True)
            with Prompter(robot, renderer, policy, stop) as prompter:
                prompter.connect()
                prompter.run(options.prompt, options.seed, options.duration, options.rearrange)
                prompter.continue_until_stopped()
        finally:
            if renderer:
                renderer.close()
            policy.close()
            executor.shutdown()
            commands.join()
            robot.destroy_node()


if __name__ == "__main__":
    run_main(main)
