"""`python -m sim.robot`: the simulated arm as a process. See README.md."""

import argparse
import json
import threading

from sim.process import positive, ros, run, without_ros_arguments


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.robot", description="The simulated arm; see sim/README.md.")
    parser.add_argument("--lockstep", action="store_true", help="advance only when the commands of a tick have come")
    parser.add_argument("--control-rate", type=positive, default=15.0, metavar="HZ", help="lock-step ticks a second (15)")
    parser.add_argument("--timeout", type=positive, default=60.0, metavar="S", help="wall time to wait in lock-step (60)")
    parser.add_argument("--compressed", action="store_true", help="publish JPEG pictures as well")
    parser.add_argument("--namespace", default="", metavar="NS")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    options = arguments(without_ros_arguments(argv))
    from rclpy.executors import SingleThreadedExecutor

    from sim.arm import Arm
    from sim.node import RobotNode
    from sim.pacing import Studio, lockstep, real_time

    with ros(argv) as stop:
        node = RobotNode(Arm(), options.namespace, options.compressed)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        commands = threading.Thread(target=executor.spin, name="commands")
        commands.start()
        studio = None
        try:
            studio = Studio(node)
            mode = "lock-step" if options.lockstep else "real time"
            print(json.dumps({"ready": True, "mode": mode, "render_ms": round(studio.milliseconds, 1)}), flush=True)
            if options.lockstep:
                lockstep(node, studio, stop, options.control_rate, options.timeout)
            else:
                real_time(node, studio, stop)
        finally:
            if studio:
                studio.close()
            executor.shutdown()
            commands.join()
            node.destroy_node()


if __name__ == "__main__":
    run(main)
