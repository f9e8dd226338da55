"""Compares the engine's backends on recorded observations: the error of the actions in the robot's units, by joint.

    python -m training.compare_backends --checkpoint DIR --observations FILE.npz… [--candidates cuda cuda-fp32]
        [--json FILE] [--markdown FILE]

The reference is the CPU backend, which computes in float32. The table goes to stdout too.

An observation file (.npz) has N observations; several files are read one after the other:

- `images` uint8 [N, cameras, height, width, 3]: RGB; camera i is in slot i;
- `tokens` int32 [N, longest] prompt token ids, the first `token_counts` int32 [N] of each row;
- `noise` float32 [N, horizon, action_dim];
- optionally, for real-time chunking with a known prefix, `previous` float32 [N, horizon, action_dim] (normalised) and
  `delays` int32 [N]; a delay of 0 is an inference without it.

The actions are DROID's: 7 joint velocities, of which 1 is VELOCITY_SCALE, and a gripper from 0 (open) to 1 (closed).
Errors are `CODE: sentence` on stderr with status 1.
"""

import argparse
import contextlib
import json
import pathlib
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from training.engine import Engine, EngineError, TrainedPrefix

VELOCITY_SCALE = 3.0  # rad/s
JOINTS = 7
UNITS = np.array([VELOCITY_SCALE] * JOINTS + [1.0])
CLOSED = 0.5  # the gripper is closed above this value
QUANTILES = ("p50", "p99", "max")

CANDIDATES = {
    "cpu": {"backend": "cpu"},
    "cuda": {"backend": "cuda", "environment": {"PI05_CUDA_PRECISION": "bf16"}},
    "cuda-fp32": {"backend": "cuda", "environment": {"PI05_CUDA_PRECISION": "fp32"}},
    "cuda-fp8": {"backend": "cuda", "precision": "fp8", "environment": {"PI05_CUDA_PRECISION": "bf16"}},
}
"""Arguments of Engine for each candidate."""


class RobotUnits:
    """From normalised actions to the robot's units, by the statistics of a checkpoint."""

    def __init__(self, checkpoint: str | pathlib.Path) -> None:
        """Raises EngineError CHECKPOINT_STATS without one norm_stats.json that has quantiles of 8 actions."""
        files = sorted(pathlib.Path(checkpoint).glob("assets/*/norm_stats.json"))
        if len(files) != 1:
            raise EngineError("CHECKPOINT_STATS", f"Expected one assets/*/norm_stats.json, received {len(files)}")
        try:
            actions = json.loads(files[0].read_text())["norm_stats"]["actions"]
            self._low, high = (np.array(actions[key], dtype=float) for key in ("q01", "q99"))
            self._range = high - self._low + 1e-6
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError("CHECKPOINT_STATS", f"Expected q01 and q99 of actions in {files[0]}: {error}") from error
        if self._range.shape != UNITS.shape:
            raise EngineError("CHECKPOINT_STATS", f"Expected {len(UNITS)} actions, received {self._range.shape}")

    def __call__(self, actions: np.ndarray) -> np.ndarray:
        """`actions` [rows, action_dim], normalised → [rows, 8]: rad/s, and the gripper."""
        return ((actions[:, : len(UNITS)] + 1) / 2 * self._range + self._low) * UNITS


def read_observations(path: str | pathlib.Path) -> Iterator[dict]:
    """The arguments of `Engine.infer` for each observation of a file. Raises EngineError INVALID_ARGUMENT."""
    try:
        with np.load(path) as file:
            arrays = dict(file)
        names = ["images", "tokens", "token_counts", "noise"] + ["previous", "delays"] * ("delays" in arrays)
        columns = [arrays[name] for name in names]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise EngineError("INVALID_ARGUMENT", f"Expected an .npz of observations in {path}: {error}") from error
    lengths = {name: len(column) for name, column in zip(names, columns, strict=True)}
    if len(set(lengths.values())) != 1:
        raise EngineError("INVALID_ARGUMENT", f"Expected as many rows in every array of {path}, received {lengths}")
    for images, tokens, token_count, noise, *rtc in zip(*columns, strict=True):
        prefix = TrainedPrefix(rtc[0], int(rtc[1])) if rtc and rtc[1] > 0 else None
        yield {"images": list(images), "tokens": tokens[:token_count], "noise": noise, "prefix": prefix}


class Comparison:
    """The errors of one candidate, collected by observation."""

    def __init__(self) -> None:
        self._errors: list[np.ndarray] = []  # [rows, 8] each
        self._gripper_differs: list[np.ndarray] = []  # bool [rows] each
        self._milliseconds: list[float] = []

    def add(self, reference: np.ndarray, candidate: np.ndarray, milliseconds: float) -> None:
        """Two chunks [rows, 8] of one observation in the robot's units."""
        self._errors.append(np.abs(candidate - reference))
        self._gripper_differs.append((candidate[:, JOINTS] > CLOSED) != (reference[:, JOINTS] > CLOSED))
        self._milliseconds.append(milliseconds)

    def summary(self) -> dict:
        """The JSON of this candidate."""
        errors = np.concatenate(self._errors)
        names = [f"joint {i + 1}" for i in range(JOINTS)] + ["gripper"]
        units = ["rad/s"] * JOINTS + ["0 … 1"]
        return {
            "milliseconds": _quantiles(np.array(self._milliseconds)),
            "errors": [
                {"name": name, "unit": unit, **_quantiles(column)}
                for name, unit, column in zip(names, units, errors.T, strict=True)
            ],
            "gripper_differs": float(np.concatenate(self._gripper_differs).mean()),
        }


def _quantiles(values: np.ndarray) -> dict[str, float]:
    """By nearest rank, as everywhere in the project."""
    p50, p99 = np.percentile(values, [50, 99], method="inverted_cdf")
    return {"p50": float(p50), "p99": float(p99), "max": float(values.max())}


def compare(
    reference: Engine, candidates: Mapping[str, Engine], units: RobotUnits, observations: Iterator[dict]
) -> dict:
    """Runs all engines on each observation. Raises EngineError, INVALID_ARGUMENT without observations."""
    comparisons = {name: Comparison() for name in candidates}
    rows, count, milliseconds = reference.info.horizon, 0, []
    for observation in observations:
        expected = units(reference.infer(**observation))
        milliseconds.append(reference.milliseconds)
        for name, engine in candidates.items():
            comparisons[name].add(expected, units(engine.infer(**observation)), engine.milliseconds)
        count += 1
    if count == 0:
        raise EngineError("INVALID_ARGUMENT", "Expected observations, received none")
    return {
        "observations": count,
        "rows": rows,
        "reference_milliseconds": _quantiles(np.array(milliseconds)),
        "candidates": {name: comparison.summary() for name, comparison in comparisons.items()},
    }


def markdown(result: Mapping) -> str:
    """A table of the errors for each candidate."""
    lines = []
    for name, candidate in result["candidates"].items():
        lines += [
            f"`{name}` against the CPU backend (float32): {result['observations']} observations, "
            f"{result['rows']} actions each",
            "",
            "| action | unit | error p50 | error p99 | largest error |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {error['name']} | {error['unit']} | " + " | ".join(f"{error[key]:.2g}" for key in QUANTILES) + " |"
            for error in candidate["errors"]
        ]
        times = [f"{part['p50']:.2f} ms" for part in (candidate["milliseconds"], result["reference_milliseconds"])]
        lines += [
            "",
            f"The gripper is open in one and closed in the other in {100 * candidate['gripper_differs']:.3g} % of the "
            f"actions. An inference takes {times[0]}, on the CPU {times[1]} (p50).",
            "",
        ]
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.compare_backends", description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", required=True, help="directory")
    parser.add_argument("--observations", required=True, nargs="+", metavar="FILE.npz")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=["cuda"])
    parser.add_argument("--threads", type=int, default=0, help="of the CPU backend; 0 = one per core")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the result")
    parser.add_argument("--markdown", type=pathlib.Path, help="where to write the tables")
    options = parser.parse_args(argv)

    units = RobotUnits(options.checkpoint)
    with contextlib.ExitStack() as stack:

        def opened(name: str) -> Engine:
            engine = Engine(options.checkpoint, threads=options.threads, **CANDIDATES[name])
            return stack.enter_context(engine)

        engines = {name: opened(name) for name in options.candidates}
        observations = (one for path in options.observations for one in read_observations(path))
        result = compare(opened("cpu"), engines, units, observations)
    text = markdown(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except EngineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
