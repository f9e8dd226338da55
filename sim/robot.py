"""`python -m sim.robot`: the simulated arm as a process. See README.md."""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading

from sim.failure import Failure

FASTDDS = pathlib.Path(__file__).parent.parent / "configs" / "fastdds.xml"


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text}")
    return value


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.robot", description="The simulated arm; see sim/README.md.")
    parser.add_argument("--lockstep", action="store_true", help="advance only when the commands of a tick have come")
    parser.add_argument("--control-rate", type=positive, default=15.0, metavar="HZ", help="lock-step ticks a second (15)")
    parser.add_argument("--timeout", type=positive, default=60.0, metavar="S", help="wall time to wait for a command in lock-step (60)")
    parser.add_argument("--compressed", action="store_true", help="publish JPEG pictures as well")
    parser.add_argument("--namespace", default="", metavar="NS")
    return parser.parse_args(argv)


def use_shipped_profile() -> None:
    """Fast DDS's own defaults lose most camera frames; the package's profile is used unless the user has one."""
    if FASTDDS.exists() and not {"FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"} & os.environ.keys():
        os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(FASTDDS)


def main(argv: list[str]) -> int:
    """Exit status: 0 ended by a signal, 1 Failure, 2 wrong usage (argparse's own)."""
    try:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
        from rclpy.utilities import remove_ros_args
    except ModuleNotFoundError as error:
        raise Failure("ENVIRONMENT", f"Expected ROS 2's Python package {error.name}, found none; npm run setup installs it") from error
    options = arguments(remove_ros_args(argv)[1:])
    from sim.arm import Arm
    from sim.node import RobotNode
    from sim.pacing import Studio, lockstep, real_time

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    use_shipped_profile()
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    node = RobotNode(Arm(), options.namespace, options.compressed)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinner = threading.Thread(target=executor.spin, name="commands")
    studio = None
    try:
        studio = Studio(node)
        spinner.start()
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
        if spinner.ident:
            spinner.join()
        node.destroy_node()
        rclpy.shutdown()
    return 0


def run() -> None:
    try:
        status = main(sys.argv)
    except Failure as failure:
        print(failure, file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    run()
