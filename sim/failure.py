"""How the simulated arm says no: a code and one sentence, `CODE: sentence` on stderr, exit status 1."""


class Failure(Exception):
    """Ends the process. Codes: ENVIRONMENT, LOCKSTEP_TIMEOUT, NO_CHUNK, NO_CLOCK, INTERRUPTED."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")


class Rejected(ValueError):
    """A command that a controller would not take; the arm goes on with the one before."""
