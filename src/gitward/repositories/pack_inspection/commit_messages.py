"""Reads from the messages of a pack's commits which repositories' issues they close."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gitward.grants.closing_keywords import closed_by
from gitward.grants.inspection import BadPack
from gitward.repositories.pack_inspection.objects import read_objects

MAX_COMMITS = 50_000  # of one pack
MAX_MESSAGE = 128 * 1024  # bytes of one commit: a search of that takes some milliseconds
AT_ONCE = 1_000  # commits that git is asked for at once
LISTING = ("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)")
_ENCODING = re.compile(rb"\nencoding ([^\n]*)")  # a header of a commit
# In which a letter of ASCII is always one byte, and this byte never anything else.
_PLAIN = re.compile(
    rb"utf-?8|(?:us-)?ascii|(?:iso[-_]?)?8859-?[0-9]{1,2}|latin-?[0-9]{1,2}|(?:windows|cp)-?125[0-8]|(?:cp|ibm)-?(?:437|85\d|866)"
    rb"|koi8-[ru]|euc-?(?:jp|kr|cn)|mac(?:roman|intosh)|tis-620"
)
_SHIFTS = re.compile(rb"\x1b[\x20-\x2f]*[\x30-\x7e]|[\x0e\x0f]")  # of ISO 2022, which some readers guess


class CommitIds:
    """Collects the ids of commits from the listing of a pack, piece by piece."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Raises BadPack."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self.found += [line[7:].decode("ascii", "replace") for line in lines if line.startswith(b"commit ")]
        if len(self.found) > MAX_COMMITS or len(self._rest) > 200:
            raise BadPack(f"a push must contain at most {MAX_COMMITS} commits; push in several steps")


def closings(oids: Sequence[str], output: bytes) -> dict[str, str]:
    """As `closed_by`, of what git printed for these commits. Raises BadPack."""
    found: dict[str, str] = {}
    for commit in read_objects(output, oids):
        if commit is None or commit.kind != "commit":
            raise BadPack("git cannot read this pack")
        found |= closings_of(commit.content)
    return found


def closings_of(commit: bytes) -> dict[str, str]:
    """Of one commit. Raises BadPack."""
    header = commit.partition(b"\n\n")[0].lower()
    for encoding in _ENCODING.findall(header):
        require_readable(encoding)
    if b"\0" in commit:
        raise BadPack("a commit's message must not have a NUL")
    return closings_in(commit)


def require_readable(encoding: bytes) -> None:
    """Of a commit. Raises BadPack for one in which others may read other words."""
    if not _PLAIN.fullmatch(encoding.strip().lower()):
        told = encoding[:40].decode("ascii", "replace")
        raise BadPack(f"a commit's message must be in UTF-8, or ISO 8859, for its words to be read; one is in {told}")


def closings_in(text: bytes) -> dict[str, str]:
    """Of a message, with or without what stands before it in its commit. Raises BadPack."""
    if len(text) > MAX_MESSAGE:
        raise BadPack(f"a commit must have at most {MAX_MESSAGE} bytes with its message")
    found = closed_by(text.decode("utf-8", "replace"))
    bare = _SHIFTS.sub(b"", text).decode("utf-8", "ignore")  # as a reader may take it that leaves out what is wrong
    return found if bare.encode() == text else closed_by(bare) | found
