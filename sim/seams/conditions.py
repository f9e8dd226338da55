"""What is compared: modes, delays, and delays that the schedule is wrong about."""

from collections.abc import Callable
from dataclasses import dataclass

from sim.execution import MODES, PERIOD_NS, Execution

SECOND_NS = 1_000_000_000
DELAYS_MS = (0, 100, 300)
JITTER_MS = 300  # jittered: from 0 to this
WRONG_AT_MS = 300
ERRORS = (-0.5, 0.0, 0.5, 1.0, 2.0)  # of the delay that the schedule counts with
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Condition:
    mode: str
    delay_ms: int
    jitter_ms: int = 0
    error: float | None = None  # of a fixed `schedule.delay`; None = estimated

    @property
    def delay_text(self) -> str:
        return f"0 to {self.jitter_ms} ms" if self.jitter_ms else f"{self.delay_ms} ms"

    def delay_ticks(self, stamp: int) -> int:
        """Ticks until the chunk of the observation at `stamp`, ns, arrives, with the node's jitter (src/pipeline/injected-delay.ts)."""
        delay = self.delay_ms * 1_000_000 + ((self.jitter_ms * 1_000_000 * (_hash(stamp) >> 32)) >> 32)
        return -(-delay // PERIOD_NS)

    @property
    def assumed_ticks(self) -> int | None:
        """`schedule.delay` in ticks, as the node rounds it."""
        if self.error is None:
            return None
        exact = self.delay_ms * 1_000_000 * (1 + self.error) / PERIOD_NS
        return max(0, -int(-(exact - 1e-3) // 1))

    def execution(self, next_stamp: Callable[[], int]) -> Execution:
        """`next_stamp`: the stamp, ns, of the observation of the present tick."""
        return Execution(lambda: self.delay_ticks(next_stamp()), self.mode, assumed_delay=self.assumed_ticks)


def estimated_delays() -> list[Condition]:
    fixed = [Condition(mode, delay) for mode in MODES for delay in DELAYS_MS]
    return fixed + [Condition(mode, 0, JITTER_MS) for mode in MODES]


def wrong_delays() -> list[Condition]:
    """Mode sync does not count with the delay."""
    return [Condition(mode, WRONG_AT_MS, error=error) for mode in MODES if mode != "sync" for error in ERRORS]


def _hash(value: int) -> int:
    """splitmix64."""
    z = (value + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
