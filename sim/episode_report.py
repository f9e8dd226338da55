"""What is known about an episode, the time in which the policy has one prompt."""

import json
from dataclasses import asdict, dataclass

LINGER = 500_000_000  # ns for which the policy keeps control after an episode, so that its result is seen

@dataclass(frozen=True)
class EpisodeReport:
    """What the simulated arm publishes on `episode`, once at the begin of an episode and once at its end."""

    index: int  # 0 for the first
    count: int  # of all episodes of the run
    prompt: str
    seed: int  # of the layout
    task: str | None  # touch, pick, bowl or stack; None if the prompt is no wording of a task: it is not judged
    begin: int  # ns, simulation time
    end: int | None = None  # ns; None while the episode runs
    success: bool | None = None  # None while it runs, and without a task
    reason: str = ""  # of a failure

    @property
    def is_last(self) -> bool:
        return self.index + 1 == self.count

    @property
    def seconds(self) -> float | None:
        """The length of an episode that has ended, s."""
        return None if self.end is None else (self.end - self.begin) / 1e9

    @property
    def outcome(self) -> str:
        """The result in a few words, empty while the episode runs."""
        if self.seconds is None:
            return ""
        if self.success is None:
            return f"{self.seconds:.1f} s, not judged"
        return f"success in {self.seconds:.1f} s" if self.success else self.reason

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "EpisodeReport":
        return EpisodeReport(**json.loads(text))
