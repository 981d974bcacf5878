"""Adds the files of a work tree to an index: all that git can take, and the names of all that it cannot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gitward.repositories import tree_entries
from gitward.repositories.git import LISTING_BYTES, Git, GitFailed
from gitward.repositories.tree_entries import Change

_MOST_BAD = 1000  # files that git cannot take; the rest of the files beside them is then left out too
_PIECE = 1000  # files at once, when git gave up at one of all
# Where git names the file at which it gave up.
_GAVE_UP = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^fatal: Unable to process path (.+)$",
        r"^fatal: failed to encode '(.+)' from \S+ to \S+$",
        r"^fatal: BOM is (?:required|prohibited) in '(.+)' if encoded as \S+$",
        r"^fatal: (.+): clean filter '[^']*' failed$",
    )
)
_IGNORED = re.compile(r"^Ignoring path (.+)$", re.MULTILINE)  # git goes on, and ends with 0
_FAULTS = "Permission denied|File name too long|Input/output error|Too many levels of symbolic links"
_UNREADABLE = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (r"^warning: could not open directory '(.+?)(?:': .+)?$", rf"^(?!\w+: )(.+): (?:{_FAULTS})$")
)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What may differ from the index."""

    changed: tuple[Change, ...] = ()
    new: tuple[bytes, ...] = ()
    nested: tuple[bytes, ...] = ()  # repositories in the tree
    unreadable: tuple[bytes, ...] = ()  # folders that git could not look into


@dataclass(kw_only=True)
class Added:
    """What became of the files."""

    refused: list[bytes] = field(default_factory=list)  # files that git cannot take
    errors: tuple[str, ...] = ()  # what git called an error, and went on


async def find(git: Git) -> Candidates:
    """Files that may differ from the index, or are new to it; and repositories inside the tree. Raises GitFailed."""
    (changed, complaint), (listed, warnings) = await asyncio.gather(
        tree_entries.compare_files(git),
        git.hear("ls-files", "--others", "--exclude-standard", "-z", limit=LISTING_BYTES),
    )
    untracked = await asyncio.to_thread(tree_entries.names, listed)
    nested: list[bytes] = []
    new: list[bytes] = []
    for name in untracked:
        (nested if name.endswith(b"/") else new).append(name)
    unreadable = [
        found.encode("utf-8", "replace").rstrip(b"/")
        for text in (warnings, complaint)
        for pattern in _UNREADABLE
        for found in pattern.findall(text)
    ]
    return Candidates(
        changed=tuple(changed), new=tuple(new), nested=tuple(nested), unreadable=tuple(dict.fromkeys(unreadable))
    )


async def add(git: Git, found: Candidates, forced: Iterable[bytes] = ()) -> Added:
    """Takes the candidates into the index; `forced` are further names, which git may ignore. Raises GitFailed."""
    gone = [change for change in found.changed if change.status == "D"]
    await tree_entries.put(
        git, map(tree_entries.no_entry, gone)
    )  # git refuses to look beyond a link, where they once were
    there = [change.path for change in found.changed if change.status != "D"]
    return await _add(git, list(dict.fromkeys([*there, *found.new, *forced])))


async def _add(git: Git, names: Sequence[bytes]) -> Added:
    added = Added()
    if not names:
        return added
    ended = await _once(git, names, added)
    if ended:
        return added
    for place in range(0, len(names), _PIECE):
        await _piece(git, names[place : place + _PIECE], added)
    return added


async def _piece(git: Git, names: Sequence[bytes], added: Added) -> None:
    """Without those at which git gives up."""
    rest = list(names)
    while rest:
        if len(added.refused) >= _MOST_BAD:
            added.refused += rest
            return
        bad: list[bytes] = []
        if await _once(git, rest, added, bad):
            return
        if not bad and len(rest) > 1:
            half = len(rest) // 2
            await _piece(git, rest[:half], added)
            await _piece(git, rest[half:], added)
            return
        for name in bad or rest:
            added.refused.append(name)
            rest.remove(name)


async def _once(git: Git, names: Sequence[bytes], added: Added, bad: list[bytes] | None = None) -> bool:
    """Whether git took all of them, or passed over some; `bad` gets the name at which it gave up."""
    ended = await git.ask(
        "update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=tree_entries.joined(names)
    )
    if ended.exit_code == 0:
        added.errors += ended.errors
        if "Ignoring path " in ended.complaint:
            added.refused += _named((_IGNORED,), ended.complaint, names)
        return True
    if ended.exit_code not in {128, 1}:
        raise GitFailed(ended)
    if bad is not None:
        bad += _named(_GAVE_UP, ended.complaint, names)[:1]
    return False


def _named(patterns: Iterable[re.Pattern[str]], complaint: str, names: Sequence[bytes]) -> list[bytes]:
    known = {name.decode("utf-8", "replace"): name for name in names}
    found = [match[1] for pattern in patterns for match in pattern.finditer(complaint)]
    return [known[text] for text in found if text in known]
