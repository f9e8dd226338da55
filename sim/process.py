"""Shared by the two processes, robot and recorder: arguments, ROS start and end, signals, exit status."""

import argparse
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sim.errors import SimulationError

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"
# Fast DDS 2 (Jazzy) reads the first variable, Fast DDS 3 the second.
PROFILES = {"FASTRTPS_DEFAULT_PROFILES_FILE": "fastdds.xml", "FASTDDS_DEFAULT_PROFILES_FILE": "fastdds3.xml"}


def positive(text: str) -> float:
    """Converts an argument, for argparse: a finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text}")
    return value


def without_ros_arguments(argv: list[str]) -> list[str]:
    """The arguments without the program name and `--ros-args …`. Raises SimulationError ENVIRONMENT without ROS 2."""
    try:
        from rclpy.utilities import remove_ros_args
    except ModuleNotFoundError as error:
        sentence = f"Expected ROS 2's Python package {error.name}, found none; npm run setup installs it"
        raise SimulationError("ENVIRONMENT", sentence) from error
    return remove_ros_args(argv)[1:]


@contextmanager
def ros_context(argv: list[str]) -> Iterator[threading.Event]:
    """Initialises ROS and shuts it down at the end. SIGINT and SIGTERM set the event."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    # With its defaults Fast DDS loses most camera frames, so use the profile of this package unless the user has one.
    for variable, file in PROFILES.items():
        if (CONFIGS / file).exists():
            os.environ.setdefault(variable, str(CONFIGS / file))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield stop
    finally:
        rclpy.shutdown()


def run_main(main: Callable[[list[str]], None]) -> None:
    """Runs `main(sys.argv)`. A SimulationError is printed and ends the process with status 1."""
    try:
        main(sys.argv)
    except SimulationError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
