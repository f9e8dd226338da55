"""`python -m sim.record`: records a run of the policy node and the arm, then plots and summarises it. See README.md."""

import argparse
import json
import pathlib
import time

from sim.errors import SimulationError
from sim.process import positive, ros_context, run_main, without_ros_arguments

DIAGNOSTICS_WAIT = 1.5  # s of wall time to wait for the last diagnostics of the node; it publishes once per second


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.record", description="Records a run; see sim/README.md.")
    parser.add_argument(
        "--duration", type=positive, required=True, metavar="S", help="simulation time to record, from the first chunk"
    )
    parser.add_argument("--out", required=True, metavar="PNG")
    parser.add_argument("--json", required=True, metavar="JSON")
    parser.add_argument("--namespace", default="", metavar="NS")
    parser.add_argument("--node", default="policy_node", metavar="NAME", help="the policy node (policy_node)")
    parser.add_argument("--wait", type=positive, default=60.0, metavar="S", help="wall time to wait for the first chunk (60)")
    parser.add_argument("--title", default="Pi0.5 moves a simulated arm", metavar="TEXT")
    return parser.parse_args(argv)


def print_json(**values) -> None:
    print(json.dumps(values), flush=True)


def await_first_chunk(spin, recorder, options) -> None:
    """Returns at the first chunk. Raises SimulationError NO_CHUNK or NO_CLOCK after `--wait` seconds."""
    begin = time.monotonic()
    reported = 0  # s
    while recorder.begin is None:
        spin()
        waited = time.monotonic() - begin
        if waited >= reported + 1:
            reported = int(waited)
            print_json(t=-float(reported), observations=recorder.recording.integer("observations"), chunks=0)
        if waited < options.wait:
            continue
        if recorder.now is None:
            raise SimulationError("NO_CLOCK", f"Expected joint_states from an arm, received none within {options.wait:g} s")
        refusal = recorder.recording.last_refusal()
        seen = f"its last refusal was {refusal}" if refusal else "it reported no refusal"
        if not recorder.diagnostics_count:
            seen = "nothing came on /diagnostics either"
        raise SimulationError(
            "NO_CHUNK", f"Expected a chunk from {options.node}, received none within {options.wait:g} s: {seen}"
        )


def record(spin, recorder, options) -> None:
    """Returns `--duration` seconds of simulation time after the first chunk.

    Raises SimulationError NO_CLOCK if the simulation stops.
    """
    recording = recorder.recording
    reported = 0  # s
    latest, changed_at = recorder.now, time.monotonic()
    while (elapsed := recorder.elapsed) < options.duration:
        spin()
        recorder.unsubscribe_cameras()
        if elapsed > options.duration / 2:
            recorder.subscribe_cameras()
        if elapsed >= reported + 1:
            reported = int(elapsed)
            print_json(t=float(reported), observations=recording.integer("observations"), chunks=len(recording.chunks))
        if recorder.now != latest:
            latest, changed_at = recorder.now, time.monotonic()
        elif time.monotonic() - changed_at > options.wait:
            silence = f"received none for {options.wait:g} s after {elapsed:.1f} s"
            raise SimulationError("NO_CLOCK", f"Expected joint_states up to {options.duration:g} s, {silence}")
    # The next diagnostics contain the counts of the whole run.
    count, end = recorder.diagnostics_count, time.monotonic() + DIAGNOSTICS_WAIT
    while recorder.diagnostics_count == count and time.monotonic() < end:
        spin()


def summarise(recording, duration: float, plot: pathlib.Path) -> dict:
    """The summary that README.md describes."""
    chunks = [time for time in recording.chunks if time <= duration]
    return {
        "duration": duration,
        "observations": recording.integer("observations"),
        "refused": recording.refused(),
        "chunks": len(chunks),
        "inference_ms_p50": recording.number("inference_ms_p50"),
        "inference_ms_p99": recording.number("inference_ms_p99"),
        "tick_lateness_ms_p99": recording.number("tick_lateness_ms_p99"),
        "commands": recording.commands,
        "state": recording.diagnostics.get("state"),
        "picture": str(plot),
    }


def main(argv: list[str]) -> None:
    options = arguments(without_ros_arguments(argv))
    from rclpy.executors import SingleThreadedExecutor

    from sim.recorder import Recorder

    with ros_context(argv) as stop:
        recorder = Recorder(options.namespace, options.node)
        executor = SingleThreadedExecutor()
        executor.add_node(recorder)

        def spin() -> None:
            if stop.is_set():
                raise SimulationError("INTERRUPTED", "Expected to record to the end, received a signal")
            executor.spin_once(timeout_sec=0.1)

        try:
            await_first_chunk(spin, recorder, options)
            record(spin, recorder, options)
        finally:
            executor.shutdown()
            recorder.destroy_node()
    from sim.plot import draw

    plot = pathlib.Path(options.out)
    summary = summarise(recorder.recording, options.duration, plot)
    draw(recorder.recording, summary, options.title, str(plot))
    pathlib.Path(options.json).write_text(json.dumps(summary, indent=2) + "\n")
    print_json(**summary)


if __name__ == "__main__":
    run_main(main)
