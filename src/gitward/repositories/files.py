"""Takes the files of a run's tree into the result's index: what the instruction changed, and nothing else.

Git calls some untouched files modified: those whose line endings, encoding or filter do not fit the committed content.
They are part of the work only if their content on disk differs from what the checkout wrote.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gitward.repositories import index_additions, tree_entries
from gitward.repositories.baseline import SetupFile
from gitward.repositories.git import LISTING_BYTES, Git, GitFailed
from gitward.repositories.index_additions import Added, Candidates
from gitward.repositories.tree_entries import GITLINK, Change, shown
from gitward.repositories.untouched_files import Written, hashes, is_attributes


@dataclass(frozen=True, kw_only=True)
class Files:
    """What became of the tree in the index."""

    changes: tuple[Change, ...]  # against the commit that HEAD stands on
    nested: tuple[str, ...] = ()  # repositories inside the tree, which are left out
    refused: tuple[str, ...] = ()  # files and folders that git could not take
    conflicts: tuple[str, ...] = ()  # files with conflicts in the command's own index
    staged: tuple[Change, ...] = ()  # what the command's own index has, and neither HEAD nor the files
    errors: tuple[str, ...] = ()  # what git called an error, and went on


@dataclass(frozen=True, kw_only=True)
class Scope:
    """A work tree, and what its files are compared with."""

    git: Git  # with the tree, and an index of ours that was read from `head` or from the baseline's
    head: str
    start: str  # its .gitattributes wrote the tree
    their_index: str | None = None  # the command's own index, when it wrote one
    sparse: bool = False  # whether the command narrowed its checkout
    setup: Mapping[bytes, SetupFile] = field(default_factory=dict)  # what was in the tree before the instruction


async def take(scope: Scope) -> Files:
    """Brings the tree into the index, on top of `head`. Raises GitFailed."""
    git = scope.git
    theirs = await _their_index(git, scope)
    staged = {change.path: change for change in theirs or ()}
    await tree_entries.put(git, [tree_entries.no_entry(each) for each in staged.values() if each.status == "D"])
    found = await index_additions.find(git)
    declared = await _declared(git) if found.nested else set()
    forced = [each.path for each in staged.values() if each.status == "A" and not each.gitlink]
    forced += [path.rstrip(b"/") for path in found.nested if path.rstrip(b"/") in declared]
    added, on_disk = await asyncio.gather(
        index_additions.add(git, found, forced),
        hashes(git, [each.path for each in found.changed if each.status == "M"]),
    )
    written = Written(git=git, attributes=scope.start)
    changes = {change.path: change for change in await tree_entries.compare(git, scope.head)}
    untouched = await _untouched(git, written, changes, staged, on_disk)
    changes = await _without_untouched(git, changes, untouched)
    if scope.sparse:
        changes = await _without_out_of_cone(git, changes, scope, readable=theirs is not None)
    changes = await _put_back(git, changes, {path for path, each in changes.items() if _is_setup(each, scope)})
    changes, strange = await _without_gitlinks(git, changes, scope)
    refused = await _refused(git, written, found, added, on_disk)
    return Files(
        changes=tuple(changes.values()),
        nested=_shown({path.rstrip(b"/") for path in [*found.nested, *strange]} - declared),
        refused=_shown(refused),
        conflicts=_shown(each.path for each in staged.values() if each.status == "U"),
        staged=tuple(_only_staged([each for each in staged.values() if not _is_setup(each, scope)], changes)),
        errors=tuple(line for line in added.errors if _is_about(line, added, changes)),
    )


def _is_about(error: str, added: Added, changes: Changes) -> bool:
    """Whether git complains about the change, and not about a file that nobody touched."""
    named = {name.encode("utf-8", "surrogateescape") for name in re.findall(r"'(.+?)'", error)}
    return not named or not named.isdisjoint({*changes, *added.refused})


def _shown(paths: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(sorted({shown(path) for path in paths}))


async def _their_index(git: Git, scope: Scope) -> list[Change] | None:
    """How the command's own index differs from HEAD; None when there is none that can be read."""
    if scope.their_index is None:
        return None
    try:
        return await tree_entries.compare(git.on(index=scope.their_index), scope.head, "--ignore-submodules=all")
    except GitFailed:
        return None


Changes = dict[bytes, Change]


def _is_setup(change: Change, scope: Scope) -> bool:
    """Whether the setup left the file as it is now: the instruction did not change it."""
    noted = scope.setup.get(change.path)
    return noted is not None and (noted.mode, noted.oid) == (change.new_mode, change.new)


async def _untouched(
    git: Git, written: Written, changes: Changes, staged: Changes, on_disk: Mapping[bytes, str]
) -> set[bytes]:
    """What the command itself staged in another form than the committed one is its work."""
    asked = [each for each in changes.values() if each.regular and not _is_staged(each, staged)]
    return await written.same(git, asked, on_disk, anew=any(map(is_attributes, changes)))


async def _without_untouched(git: Git, changes: Changes, untouched: set[bytes]) -> Changes:
    """Their modes may have changed all the same."""
    mended = {path: _with_old_content(each) if path in untouched else each for path, each in changes.items()}
    await tree_entries.put(
        git, [tree_entries.entry(mended[path].new_mode, mended[path].new, path) for path in untouched]
    )
    return {path: each for path, each in mended.items() if (each.old_mode, each.old) != (each.new_mode, each.new)}


def _is_staged(change: Change, staged: Changes) -> bool:
    return change.path in staged and staged[change.path].new == change.new


def _with_old_content(change: Change) -> Change:
    return Change(
        status="M",
        old_mode=change.old_mode,
        new_mode=change.new_mode,
        old=change.old,
        new=change.old,
        path=change.path,
    )


async def _without_out_of_cone(git: Git, changes: Changes, scope: Scope, *, readable: bool) -> Changes:
    """Without files that are not on disk because the command's sparse checkout leaves them out.

    When its index cannot be read, no file is taken for deleted.
    """
    gone = {path for path, change in changes.items() if change.status == "D"}
    if not gone:
        return changes
    if readable and scope.their_index is not None:
        ended = await git.on(index=scope.their_index).run("ls-files", "-t", "-z", limit=LISTING_BYTES)
        if ended.exit_code == 0:
            gone &= {line[2:] for line in ended.output.split(b"\0") if line.startswith(b"S ")}
    return await _put_back(git, changes, gone)


async def _without_gitlinks(git: Git, changes: Changes, scope: Scope) -> tuple[Changes, list[bytes]]:
    """Without repositories that became entries of the tree, but that .gitmodules does not name.

    The command may have committed them itself: then they are taken out again on top of that.
    """
    strange = {path for path, change in changes.items() if change.status in "AT" and change.new_mode == GITLINK}
    committed: list[Change] = []
    if scope.head != scope.start:
        compared = await tree_entries.compare_commits(git, scope.start, scope.head)
        committed = [each for each in compared if each.status in "AT" and each.new_mode == GITLINK]
    if not strange and not committed:
        return changes, []
    declared = await _declared(git)
    strange -= declared
    out = [each for each in committed if each.path not in declared and each.path not in changes]
    await tree_entries.put(git, [tree_entries.no_entry(each) for each in out])
    rest = await _put_back(git, changes, strange)
    gone = {each.path: _removed(each) for each in out}
    return {**rest, **gone}, sorted({*strange, *gone})


def _removed(change: Change) -> Change:
    return Change(
        status="D",
        old_mode=change.new_mode,
        new_mode="000000",
        old=change.new,
        new="0" * len(change.new),
        path=change.path,
    )


async def _declared(git: Git) -> set[bytes]:
    """The paths that .gitmodules names."""
    ended = await git.run(
        *("config", "--file", f"{git.tree}/.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.path$"),
        limit=LISTING_BYTES,
    )
    return {line.partition(b"\n")[2] for line in ended.output.split(b"\0")} if ended.exit_code == 0 else set()


async def _put_back(git: Git, changes: Changes, paths: set[bytes]) -> Changes:
    """Gives paths of the index the entry that HEAD has, or none."""
    back = [changes[path] for path in paths]
    await tree_entries.put(
        git,
        [
            tree_entries.no_entry(each)
            if each.status == "A"
            else tree_entries.entry(each.old_mode, each.old, each.path)
            for each in back
        ],
    )
    return {path: change for path, change in changes.items() if path not in paths}


async def _refused(
    git: Git, written: Written, found: Candidates, added: Added, on_disk: Mapping[bytes, str]
) -> Sequence[bytes]:
    """Without those that nobody touched."""
    refused = set(added.refused)
    asked = [each for each in found.changed if each.path in refused and each.status == "M"]
    return [*(refused - await written.same(git, asked, on_disk)), *found.unreadable]


def _only_staged(staged: Iterable[Change], changes: Changes) -> Iterable[Change]:
    """Content that neither HEAD nor any file has; a file that went on since it was staged is no such case."""
    for each in staged:
        if each.status in "AMT" and each.new != each.old and not each.gitlink:
            taken = changes.get(each.path)
            if taken is None or taken.status == "D":
                yield each
