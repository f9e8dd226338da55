"""`python -m sim.robot`: the process of the simulated arm. See README.md."""

import argparse
import json
import threading

from sim.process import positive, ros_context, run_main, without_ros_arguments


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.robot", description="The simulated arm; see sim/README.md.")
    parser.add_argument("--lockstep", action="store_true", help="advance by one tick when its commands have arrived")
    parser.add_argument("--control-rate", type=positive, default=15.0, metavar="HZ", help="rate of lock-step ticks (15)")
    parser.add_argument(
        "--timeout", type=positive, default=60.0, metavar="S", help="wall time to wait for commands in lock-step (60)"
    )
    parser.add_argument("--compressed", action="store_true", help="publish JPEG images in addition")
    parser.add_argument("--namespace", default="", metavar="NS")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    options = arguments(without_ros_arguments(argv))
    from rclpy.executors import SingleThreadedExecutor

    from sim.arm import Arm
    from sim.clock import CameraRenderer, run_lockstep, run_real_time
    from sim.node import RobotNode

    with ros_context(argv) as stop:
        node = RobotNode(Arm(), options.namespace, options.compressed)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        commands = threading.Thread(target=executor.spin, name="commands")
        commands.start()
        renderer = None
        try:
            renderer = CameraRenderer(node)
            mode = "lock-step" if options.lockstep else "real time"
            print(json.dumps({"ready": True, "mode": mode, "render_ms": round(renderer.render_ms, 1)}), flush=True)
            if options.lockstep:
                run_lockstep(node, renderer, stop, options.control_rate, options.timeout)
            else:
                run_real_time(node, renderer, stop)
        finally:
            if renderer:
                renderer.close()
            executor.shutdown()
            commands.join()
            node.destroy_node()


if __name__ == "__main__":
    run_main(main)
