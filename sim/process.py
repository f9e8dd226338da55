"""What the arm's processes share: usage, ROS, signals, the way they end."""

import argparse
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sim.failure import Failure

FASTDDS = pathlib.Path(__file__).parent.parent / "configs" / "fastdds.xml"


def positive(text: str) -> float:
    """An argument's value."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text}")
    return value


def without_ros_arguments(argv: list[str]) -> list[str]:
    """The arguments that are ours; Failure ENVIRONMENT where there is no ROS 2."""
    try:
        from rclpy.utilities import remove_ros_args
    except ModuleNotFoundError as error:
        sentence = f"Expected ROS 2's Python package {error.name}, found none; npm run setup installs it"
        raise Failure("ENVIRONMENT", sentence) from error
    return remove_ros_args(argv)[1:]


@contextmanager
def ros(argv: list[str]) -> Iterator[threading.Event]:
    """ROS while inside; the event is set by SIGINT and SIGTERM."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    # Fast DDS's own defaults lose most camera frames; the package's profile is used unless the user has one.
    if FASTDDS.exists() and not {"FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"} & os.environ.keys():
        os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(FASTDDS)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield stop
    finally:
        rclpy.shutdown()


def run(main: Callable[[list[str]], None]) -> None:
    """Ends the process: status 0, or 1 and the sentence of a Failure."""
    try:
        main(sys.argv)
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
