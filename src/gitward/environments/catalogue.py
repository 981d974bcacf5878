"""Which environments sessions may use: those of this machine, as far as the operator allows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitward.environments.store import Store, Stored, Unusable

HOST = "host"  # the worker's own machine; needs no image
NAME_RULE = (
    "must be a name of at most 32 lower-case letters, digits, '.', '_' and '-', and begin with a letter or digit"
)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_ADD = "gitward environments add"


def is_name(value: str) -> bool:
    return _NAME.fullmatch(value) is not None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One environment as callers see it."""

    name: str
    digest: str | None = None  # of its content; None: the host, or only a worker on another machine knows
    bytes: int | None = None
    ready: bool | None = True  # None: only a worker on another machine knows
    reason: str | None = None  # why it is not ready, and what to do


class Environments:
    """The environments of this server. What is added later is seen without a restart."""

    def __init__(self, folder: Path, allowed: Sequence[str] = ()) -> None:
        """:param allowed: those that sessions may name, the default first; empty: the host and all that were added."""
        self._store = Store(folder)
        self._allowed = tuple(allowed)

    @property
    def default(self) -> str:
        """Of a session that names none."""
        return self._allowed[0] if self._allowed else HOST

    def get(self, name: str) -> Stored | None:
        """The image of an environment; None: it was not added here. Blocks shortly. Raises Unusable."""
        return self._store.get(name)

    def refusal(self, name: str, *, here: bool = True) -> str | None:
        """Why a session may not use it, as a sentence for a caller; None when it may. Blocks shortly.

        :param here: whether this machine's folder tells which there are.
        """
        if self._allowed and name not in self._allowed:
            return f"must be one of {', '.join(self._allowed)}"
        if name == HOST:
            return None
        if not here:
            return None if name in self._allowed else f"must be {HOST}, unless GITWARD_ENVIRONMENTS names others"
        return self._missing(name)

    def _missing(self, name: str) -> str | None:
        try:
            found = self._store.get(name)
        except Unusable as error:
            return str(error)
        if found is not None:
            return None
        if name in self._allowed:
            return f"is allowed, but was not added on this machine; the operator runs: {_ADD} {name} …"
        return f"must be one of {', '.join([HOST, *self._store.names()])}"

    def offers(self, *, here: bool = True) -> list[Offer]:
        """What sessions may name, the default first. Blocks shortly."""
        names = self._allowed or (HOST, *(self._store.names() if here else ()))
        return [self._offer(name, here=here) for name in names]

    def _offer(self, name: str, *, here: bool) -> Offer:
        if name == HOST:
            return Offer(name=HOST)
        if not here:
            return Offer(name=name, ready=None)
        try:
            stored = self._store.get(name)
        except Unusable as error:
            return Offer(name=name, ready=False, reason=str(error))
        if stored is None:
            return Offer(name=name, ready=False, reason=f"It was not added on this machine; run: {_ADD} {name} …")
        return Offer(name=name, digest=stored.digest, bytes=stored.bytes)
