"""`python -m sim.record`: records a run of the policy node and the arm, then plots and summarises it. See README.md."""

import argparse
import dataclasses
import json
import pathlib
import time

from sim.episode_report import LINGER
from sim.errors import SimulationError
from sim.process import positive, ros_context, run_main, without_ros_arguments

DIAGNOSTICS_WAIT = 1.5  # s of wall time to wait for the last diagnostics of the node; it publishes once per second


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.record", description="Records a run; see sim/README.md.")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--duration", type=positive, metavar="S", help="simulation time to record, from the first chunk")
    length.add_argument("--episodes", action="store_true", help="record until the last episode of the arm has ended")
    parser.add_argument("--out", required=True, metavar="PNG")
    parser.add_argument("--gif", metavar="GIF", help="also write a film of both cameras")
    parser.add_argument("--json", required=True, metavar="JSON")
    parser.add_argument("--namespace", default="", metavar="NS")
    parser.add_argument("--node", default="policy_node", metavar="NAME", help="the policy node (policy_node)")
    parser.add_argument(
        "--wait", type=positive, default=60.0, metavar="S", help="wall time to wait for the first chunk (60)"
    )
    parser.add_argument("--title", default="Pi0.5 moves a simulated arm", metavar="TEXT")
    return parser.parse_args(argv)


def print_json(**values) -> None:
    print(json.dumps(values), flush=True)


def await_first_chunk(spin, recorder, options) -> None:
    """Returns at the first chunk. Raises SimulationError NO_CHUNK or NO_CLOCK after `--wait` seconds."""
    begin = time.monotonic()
    reported = 0  # s
    while not recorder.recording.chunks:
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
    """Returns after `--duration` seconds of simulation time, or LINGER after the last episode.

    Raises SimulationError NO_CLOCK if the simulation stops.
    """
    recording = recorder.recording
    reported = 0  # s
    printed: list[dict] = []  # episodes
    latest, changed_at = recorder.now, time.monotonic()
    while not is_complete(recorder, options):
        elapsed = recorder.elapsed
        spin()
        episodes = summarise_episodes(recording)
        for episode in episodes:
            if episode not in printed:
                print_json(episode=episode)
        printed = episodes
        if elapsed >= reported + 1:
            reported = int(elapsed)
            print_json(t=float(reported), observations=recording.integer("observations"), chunks=len(recording.chunks))
        if recorder.now != latest:
            latest, changed_at = recorder.now, time.monotonic()
        elif time.monotonic() - changed_at > options.wait:
            silence = f"received none for {options.wait:g} s after {elapsed:.1f} s"
            until = "the end of the last episode" if options.episodes else f"{options.duration:g} s"
            raise SimulationError("NO_CLOCK", f"Expected joint_states up to {until}, {silence}")
    # The next diagnostics contain the counts of the whole run.
    count, end = recorder.diagnostics_count, time.monotonic() + DIAGNOSTICS_WAIT
    while recorder.diagnostics_count == count and time.monotonic() < end:
        spin()


def is_complete(recorder, options) -> bool:
    """Whether everything is recorded; then sets the end of the recording."""
    recording = recorder.recording
    if options.episodes:
        last = recording.episodes[-1] if recording.episodes else None
        if last is None or last.end is None or not last.is_last:
            return False
        end = last.end + LINGER
    else:
        end = recording.begin + round(options.duration * 1e9)
    if recorder.now < end:
        return False
    recording.end = end
    return True


def summarise_episodes(recording) -> list[dict]:
    """The episodes as README.md describes them: times in s since the begin of the recording."""
    return [
        dataclasses.asdict(episode)
        | {"begin": (episode.begin - recording.begin) / 1e9, "end": episode.end and (episode.end - recording.begin) / 1e9}
        | {"seconds": episode.seconds}
        for episode in recording.episodes
    ]


def summarise(recording, plot: pathlib.Path) -> dict:
    """The summary that README.md describes."""
    duration = (recording.end - recording.begin) / 1e9
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
        "episodes": summarise_episodes(recording),
    }


def main(argv: list[str]) -> None:
    options = arguments(without_ros_arguments(argv))
    from rclpy.executors import SingleThreadedExecutor

    from sim.recorder import Recorder

    with ros_context(argv) as stop:
        recorder = Recorder(options.namespace, options.node, options.episodes)
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
    from sim.film_gif import write_film
    from sim.plot import draw

    plot = pathlib.Path(options.out)
    summary = summarise(recorder.recording, plot)
    draw(recorder.recording, summary, options.title, str(plot))
    if options.gif:
        write_film(recorder.recording, options.gif)
    pathlib.Path(options.json).write_text(json.dumps(summary, indent=2) + "\n")
    print_json(**summary)


if __name__ == "__main__":
    run_main(main)
