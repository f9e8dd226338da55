"""`python -m sim.record`: watch a run, then draw and sum it up. See README.md."""

import argparse
import json
import pathlib
import time

from sim.failure import Failure
from sim.process import positive, ros, run, without_ros_arguments

SILENCE = 1.5  # s of wall time to wait for the node's last word at the end


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.record", description="Records a run; see sim/README.md.")
    parser.add_argument("--duration", type=positive, required=True, metavar="S", help="simulation time, from the first chunk on")
    parser.add_argument("--out", required=True, metavar="PNG")
    parser.add_argument("--json", required=True, metavar="JSON")
    parser.add_argument("--namespace", default="", metavar="NS")
    parser.add_argument("--node", default="policy_node", metavar="NAME", help="whose chunks and diagnostics (policy_node)")
    parser.add_argument("--wait", type=positive, default=60.0, metavar="S", help="wall time to wait for the first chunk (60)")
    parser.add_argument("--title", default="Pi0.5 moves a simulated arm", metavar="TEXT")
    return parser.parse_args(argv)


def say(**values) -> None:
    print(json.dumps(values), flush=True)


def await_first_chunk(spin, recorder, options) -> None:
    """Returns at the first chunk; Failure NO_CHUNK or NO_CLOCK after `--wait` seconds."""
    begin = time.monotonic()
    told = 0
    while recorder.begin is None:
        spin()
        waited = time.monotonic() - begin
        if waited >= told + 1:
            told = int(waited)
            say(t=-float(told), observations=recorder.recording.whole("observations"), chunks=0)
        if waited < options.wait:
            continue
        if recorder.now is None:
            raise Failure("NO_CLOCK", f"Expected joint_states from an arm, received none within {options.wait:g} s")
        refusal = recorder.recording.last_refusal()
        heard = f"its last refusal was {refusal}" if refusal else "it reported no refusal"
        if not recorder.heard_diagnostics:
            heard = "nothing came on /diagnostics either"
        raise Failure("NO_CHUNK", f"Expected a chunk from {options.node}, received none within {options.wait:g} s: {heard}")


def record(spin, recorder, options) -> None:
    """Returns `--duration` seconds of simulation after the first chunk; Failure NO_CLOCK where the simulation stops."""
    told = 0
    seen, seen_at = recorder.now, time.monotonic()
    while (elapsed := recorder.elapsed) < options.duration:
        spin()
        recorder.drop_cameras()
        if elapsed > options.duration / 2:
            recorder.take_pictures()
        if elapsed >= told + 1:
            told = int(elapsed)
            say(t=float(told), observations=recorder.recording.whole("observations"), chunks=len(recorder.recording.chunks))
        if recorder.now != seen:
            seen, seen_at = recorder.now, time.monotonic()
        elif time.monotonic() - seen_at > options.wait:
            silence = f"received none for {options.wait:g} s after {elapsed:.1f} s"
            raise Failure("NO_CLOCK", f"Expected joint_states up to {options.duration:g} s, {silence}")
    # The node speaks once a second: its word on the whole run is the next one.
    heard, end = recorder.heard_diagnostics, time.monotonic() + SILENCE
    while recorder.heard_diagnostics == heard and time.monotonic() < end:
        spin()


def summarise(recording, duration: float, picture: pathlib.Path) -> dict:
    """README.md's summary."""
    chunks = [time for time in recording.chunks if time <= duration]
    return {
        "duration": duration,
        "observations": recording.whole("observations"),
        "refused": recording.refused(),
        "chunks": len(chunks),
        "inference_ms_p50": recording.number("inference_ms_p50"),
        "inference_ms_p99": recording.number("inference_ms_p99"),
        "tick_lateness_ms_p99": recording.number("tick_lateness_ms_p99"),
        "commands": recording.commands,
        "state": recording.diagnostics.get("state"),
        "picture": str(picture),
    }


def main(argv: list[str]) -> None:
    options = arguments(without_ros_arguments(argv))
    from rclpy.executors import SingleThreadedExecutor

    from sim.recorder import Recorder

    with ros(argv) as stop:
        recorder = Recorder(options.namespace, options.node)
        executor = SingleThreadedExecutor()
        executor.add_node(recorder)

        def spin() -> None:
            if stop.is_set():
                raise Failure("INTERRUPTED", "Expected to record to the end, received a signal")
            executor.spin_once(timeout_sec=0.1)

        try:
            await_first_chunk(spin, recorder, options)
            record(spin, recorder, options)
        finally:
            executor.shutdown()
            recorder.destroy_node()
    from sim.picture import draw

    picture = pathlib.Path(options.out)
    summary = summarise(recorder.recording, options.duration, picture)
    draw(recorder.recording, summary, options.title, str(picture))
    pathlib.Path(options.json).write_text(json.dumps(summary, indent=2) + "\n")
    say(**summary)


if __name__ == "__main__":
    run(main)
