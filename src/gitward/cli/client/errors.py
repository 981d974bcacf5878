"""How a command of the client ends when it does not succeed."""

from __future__ import annotations

from gitward.errors import Exit, GitwardError


class ClientError(GitwardError):
    """One sentence that says what to do next, and the exit code."""

    def __init__(self, message: str, *, exit: Exit) -> None:  # the word that `errors` has for it
        super().__init__(message)
        self.exit = exit


class Conflict(ClientError):
    """As things are now, the service does not do this; it may do something else instead."""


def refused(message: str) -> ClientError:
    """The request was wrong, and would be refused again."""
    return ClientError(message, exit=Exit.USAGE)


def unreachable(message: str) -> ClientError:
    """The same request may succeed later."""
    return ClientError(message, exit=Exit.SERVER)
