"""The job's own client as tests use it: with a token of their own, and little patience."""

from __future__ import annotations

from gitward.github.retries import Patience
from gitward.github.tokens import Token
from gitward.secrets import Secret

HASTY = Patience(first_seconds=0.01, longest_seconds=0.1, total_seconds=2.0)


def given(secret: str) -> Token:
    """A token as a run is given it."""
    return Token(secret=Secret(secret), kind="a classic token", holder="token 1", renewable=False)
