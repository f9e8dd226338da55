"""The errors of the simulated arm. Each is one sentence: what was expected, what was received and from where."""


class SimulationError(Exception):
    """Ends the process with status 1 and `CODE: sentence` on stderr.

    Codes: ENVIRONMENT, LOCKSTEP_TIMEOUT, NO_CHUNK, NO_CLOCK, INTERRUPTED, POLICY_TIMEOUT, POLICY_REJECTED, TABLE_MARKERS,
    NO_PAIRS.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")


class CommandRejected(ValueError):
    """A command that a ros2_control controller would not accept. The arm keeps its previous command."""
