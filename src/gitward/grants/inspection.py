"""What a pushed pack says about the repository's top folders: the broker's request, and an inspector's answer.

The broker holds the token, so it never reads a pack. It hands the pack to an inspector, which holds no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gitward.errors import GitwardError

FOLDER = ".github"
WORKFLOWS = "workflows"  # below FOLDER; GitHub reads workflows there, in this spelling alone
MAX_NAMED = 100  # entries of one folder that are told; of a larger one only those on the way to WORKFLOWS


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a git tree."""

    mode: str  # octal, without leading zeros: "40000" a folder, "120000" a link, "160000" a submodule
    oid: str

    @property
    def is_folder(self) -> bool:
        return self.mode == "40000"


Entries = Mapping[str, Entry]  # by name


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What of the pushed commit lies in the pack. What does not is upstream already, or nowhere."""

    tree: str | None = None  # of the pushed commit; None: the commit is not in the pack
    trees: Mapping[str, Entries] = field(default_factory=dict)  # by object id
    closes: Mapping[str, str] = field(default_factory=dict)  # what the pack's commits close, as `closing.closed_by`


class BadPack(GitwardError):
    """git cannot read the pack by itself. The text says what to push instead."""


class InspectionFailed(GitwardError):
    """The inspector failed, not the pack. The text goes to the one who pushed."""


class Inspector(Protocol):
    """Looks into packs, in a place without credential and without network."""

    def spool(self) -> int:
        """The descriptor of an empty file without a name, on disk: it is gone once nobody has it open. Blocks."""
        ...

    async def look(self, pack: int, tip: str, *, messages: bool = False) -> Findings:
        """What the pack in this file says about the commit `tip`. The caller keeps the descriptor.

        With `messages` those of all its commits are read too.

        Cancelling ends it. Raises BadPack and InspectionFailed.
        """
        ...
