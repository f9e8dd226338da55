"""`python -m sim.evaluation.expert`: how often the scripted expert succeeds in the episodes of `pi05 eval`, by itself."""

import argparse
import json
import pathlib
from collections.abc import Iterator

import numpy as np

from sim.episode import EPISODES_PER_SEED, SEEDS, Episode, EpisodeRun, deal
from sim.evaluation.results import Record, kinds, rate
from sim.evaluation.tables import closing_line, percent_text, text_table
from sim.execution import REPLAN, Execution
from sim.expert import expert_chunk, expert_state
from sim.process import run_main
from sim.scene import Scene
from sim.tasks import TASKS

AT_ONCE = 16  # episodes; the expert computes their chunks together


class Player:
    """Runs one episode after the other in a scene, a control tick at a time."""

    def __init__(self, episode: Episode, delay: int) -> None:
        self._scene, self._delay = Scene(), delay
        self.start(episode)

    def start(self, episode: Episode) -> None:
        self.run = EpisodeRun(self._scene, episode)
        self.execution = Execution(self._delay)
        self.chunks = 0

    @property
    def prefix(self) -> np.ndarray:
        """The steps [≤ delay, 8] that are executed before the chunk of this tick's observation arrives."""
        return self.execution.upcoming[: self._delay]

    def advance(self) -> Record | None:
        """Executes one control tick. Returns the record if it was the last one."""
        velocities, finger = self.execution.command()
        self.run.velocities.append(velocities)
        self._scene.control.set_velocity(velocities, "expert")
        self._scene.gripper.set_position([finger], "expert")
        return self.run.record(self.run.episode.prompt, self.chunks) if self.run.advance() else None


def play(episodes: list[Episode], delay: int = 0) -> Iterator[Record]:
    """The records of the episodes, in the order in which they end.

    `delay`: ticks from an observation to the arrival of its chunk; the expert knows the steps that are executed meanwhile.
    """
    waiting = list(reversed(episodes))
    players = [Player(waiting.pop(), delay) for _ in range(min(AT_ONCE, len(waiting)))]
    while players:
        asking = [player for player in players if player.execution.wants_observation]
        if asking:
            chunks = chunks_of(asking)
            for player, chunk in zip(asking, chunks, strict=True):
                player.execution.submit(chunk)
                player.chunks += 1
        for player in list(players):
            if (record := player.advance()) is None:
                continue
            yield record
            if waiting:
                player.start(waiting.pop())
            else:
                players.remove(player)


def chunks_of(players: list[Player]) -> np.ndarray:
    """The chunks [n, HORIZON, 8] of the present states, each after the player's prefix."""
    state = expert_state([player.run.scene for player in players], [player.run.episode.task for player in players])
    prefixes = [player.prefix for player in players]
    lengths = np.array([len(prefix) for prefix in prefixes])
    padded = np.zeros((len(players), max(1, lengths.max()), 8))
    for row, prefix in enumerate(prefixes):
        padded[row, : len(prefix)] = prefix
    return expert_chunk(state, padded, lengths)


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.evaluation.expert", description="Runs the scripted expert.")
    parser.add_argument("--episodes", type=int, default=2000, metavar="N", help="of all tasks together (2000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the layouts (0)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="dealt in turn (all)")
    parser.add_argument("--delay", type=int, default=0, metavar="TICKS", help="from observation to chunk (0)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the records")
    options = parser.parse_args(argv)
    for name, allowed in (("episodes", range(1, EPISODES_PER_SEED + 1)), ("seed", SEEDS), ("delay", range(REPLAN))):
        if (value := getattr(options, name)) not in allowed:
            parser.error(f"expected {allowed.start} to {allowed.stop - 1} for --{name}, received {value}")
    return options


def success_table(records: list[Record]) -> str:
    """One row for each kind of task."""
    rows = [["task", "succeeded", "success, 95 % interval", "median time"]]
    for kind in [*kinds(records), "all"]:
        mine = [record for record in records if kind in (record["task"], "all")]
        success = rate(mine)
        times = [record["time_s"] for record in mine if record["success"]]
        median = f"{np.median(times):.1f} s" if times else "-"
        rows.append([kind, f"{success['count']} of {success['of']}", percent_text(success), median])
    return text_table(rows)


def main(argv: list[str]) -> None:
    options = arguments(argv[1:])
    episodes = [deal(tuple(options.tasks), options.seed, index) for index in range(options.episodes)]
    records = sorted(play(episodes, options.delay), key=lambda record: record["episode"])
    print(success_table(records), end="\n\n")
    for record in records:
        if not record["success"]:
            print(f"layout {record['layout_seed']}, {record['prompt']}: {record['reason']} at {record['time_s']:.1f} s")
    if options.json:
        options.json.write_text(json.dumps({"seed": options.seed, "delay": options.delay, "episodes": records}) + "\n")
    print(closing_line(records))


if __name__ == "__main__":
    run_main(main)
