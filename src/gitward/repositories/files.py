"""The files of a run's tree, taken into the result's index: what the instruction changed, and nothing else.

Git calls files modified that nobody touched: those whose line endings, encoding or filter do not fit what is
committed. They are part of the work only when their content on disk is another than the checkout wrote.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gitward.repositories.checkout import CHECKOUT_DIR
from gitward.repositories.git import LISTING_BYTES, STREAMED, Ended, Git, GitFailed
from gitward.repositories.result import BEFORE, Result

_GITLINK = "160000"
_MOST_BAD = 100  # files that git cannot take, before it is given up
_THEIR_INDEX = f"{CHECKOUT_DIR}/.git/index"
# Where git names the file at which it gave up. The name stands as it is, with line breaks and all.
_BAD_FILE = (
    re.compile(r"^fatal: Unable to process path (.+)$", re.MULTILINE),
    re.compile(r"^fatal: failed to encode '(.+)' from \S+ to \S+$", re.MULTILINE),
    re.compile(r"^fatal: BOM is (?:required|prohibited) in '(.+)' if encoded as \S+$", re.MULTILINE),
    re.compile(r"^fatal: (.+): clean filter '[^']*' failed$", re.MULTILINE),
)


class TooMuch(GitFailed):
    """More files than can be taken."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One path of a comparison, as git's raw format tells it."""

    status: str  # "A", "M", "D", "T", "U"
    old_mode: str
    new_mode: str
    old: str
    new: str
    path: bytes

    @property
    def gitlink(self) -> bool:
        return self.new_mode == _GITLINK or (self.status == "D" and self.old_mode == _GITLINK)


@dataclass(frozen=True, kw_only=True)
class Files:
    """What became of the tree in the index."""

    changes: tuple[Change, ...]  # against the commit that HEAD stands on
    nested: tuple[str, ...] = ()  # repositories inside the tree, which are left out
    refused: tuple[str, ...] = ()  # files that git could not take
    conflicts: tuple[str, ...] = ()  # files with conflicts in the command's own index
    errors: tuple[str, ...] = field(default=())  # what git called an error, and went on


def shown(path: bytes) -> str:
    """A name for a person."""
    text = path.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:200]


async def take(result: Result, head: str, *, start: str, index_changed: bool, sparse: bool) -> Files:
    """Brings the tree into the result's index, on top of `head`. Raises GitFailed.

    :param start: the commit that the baseline's index was made of.
    :param index_changed: whether the command wrote its own index: then what it says of conflicts counts.
    """
    git = result.tree
    if head != start:
        await git.do("read-tree", "-i", "-m", head)  # what is the same keeps the times that git noted
    theirs = await _their_index(result, head) if index_changed else ()
    names, nested = await _candidates(git)
    forced = [change.path for change in theirs if change.status == "A" and not change.gitlink]
    ended, refused = await _add(git, [*names, *forced])
    changes = await _compare(git, head)
    untouched = await _untouched(result, changes, staged={change.path: change.new for change in theirs})
    untouched |= await _out_of_cone(result, changes) if sparse and index_changed else set()
    strange = {change.path for change in changes if change.status == "A" and change.new_mode == _GITLINK}
    strange -= await _declared(result) if strange else set()
    if untouched or strange:
        await _put_back(git, [change for change in changes if change.path in untouched | strange])
    return Files(
        changes=tuple(change for change in changes if change.path not in untouched | strange),
        nested=tuple(sorted({shown(path.rstrip(b"/")) for path in [*nested, *strange]})),
        refused=tuple(map(shown, refused)),
        conflicts=tuple(sorted({shown(change.path) for change in theirs if change.status == "U"})),
        errors=ended.errors if ended is not None else (),
    )


async def add_all(git: Git) -> None:
    """Takes every file of a tree into its index. Raises GitFailed."""
    names, _ = await _candidates(git)
    await _add(git, names)


async def _candidates(git: Git) -> tuple[list[bytes], list[bytes]]:
    """Files that may differ from the index, or are new to it; and repositories inside the tree.

    Of submodules git looks at HEAD alone: to know more it would run there, with the configuration that lies there.
    """
    changed, new = await asyncio.gather(
        git.do("diff-files", "--ignore-submodules=dirty", "--name-only", "-z", limit=LISTING_BYTES),
        git.do("ls-files", "--others", "--exclude-standard", "-z", limit=LISTING_BYTES),
    )
    untracked = _names(new)
    nested = [name for name in untracked if name.endswith(b"/")]
    files = [name for name in untracked if not name.endswith(b"/")]
    return [*_names(changed), *files], nested


async def _add(git: Git, names: Sequence[bytes]) -> tuple[Ended | None, list[bytes]]:
    """Takes the files; how git ended, and the files that it cannot take."""
    refused: list[bytes] = []
    rest = list(dict.fromkeys(names))
    while rest:
        ended = await git.ask(*STREAMED, "update-index", "--add", "--remove", "-z", "--stdin", stdin=_joined(rest))
        if ended.exit_code == 0:
            return ended, refused
        bad = _bad_file(ended.complaint, rest)
        if bad is None or len(refused) >= _MOST_BAD:
            raise GitFailed(ended)
        refused.append(bad)
        rest.remove(bad)
    return None, refused


def _bad_file(complaint: str, names: Sequence[bytes]) -> bytes | None:
    known = {name.decode("utf-8", "replace"): name for name in names}
    for pattern in _BAD_FILE:
        for match in pattern.finditer(complaint):
            if match[1] in known:
                return known[match[1]]
    return None


async def _compare(git: Git, head: str) -> list[Change]:
    told = await git.do(
        "diff-index", "--cached", "--raw", "--abbrev=64", "--no-renames", "-z", head, "--", limit=LISTING_BYTES
    )
    return await asyncio.to_thread(lambda: list(_changes(told)))


async def _their_index(result: Result, head: str) -> tuple[Change, ...]:
    """How the command's own index differs from HEAD; nothing when it cannot be read."""
    git = result.tree.on(index=_THEIR_INDEX)
    arguments = ("diff-index", "--cached", "--raw", "--abbrev=64", "--no-renames", "--ignore-submodules=all", "-z")
    ended = await git.ask(*arguments, head, "--", limit=LISTING_BYTES)
    return tuple(_changes(ended.output)) if ended.exit_code == 0 else ()


async def _untouched(result: Result, changes: Sequence[Change], staged: dict[bytes, str]) -> set[bytes]:
    """Paths whose content on disk is what the checkout wrote, though git would commit something else.

    What the command itself staged in that form is its work.
    """
    asked = [each for each in changes if each.status == "M" and each.old_mode == each.new_mode != _GITLINK]
    asked = [each for each in asked if staged.get(each.path) != each.new]
    if not asked:
        return set()
    on_disk = await _hashes(result.tree, CHECKOUT_DIR, [each.path for each in asked])
    converted = [each for each in asked if on_disk.get(each.path) not in (None, each.new)]
    if not converted:
        return set()
    before = result.bare.on(tree=BEFORE, index=f"{BEFORE}.index")
    lines = b"".join(f"{each.old_mode} {each.old}\t".encode() + each.path + b"\0" for each in converted)
    await before.do("read-tree", "--empty")
    await _with_attributes(result, before)
    await before.do("update-index", "-z", "--index-info", stdin=lines)
    await before.ask("checkout-index", "--force", "-z", "--stdin", stdin=_joined(each.path for each in converted))
    was = await _hashes(before, BEFORE, [each.path for each in converted])
    return {each.path for each in converted if was.get(each.path) == on_disk[each.path]}


async def _with_attributes(result: Result, before: Git) -> None:
    """Puts the .gitattributes of the start into an index: by them the checkout was written."""
    listed = await result.bare.do("ls-tree", "-r", "-z", "refs/upstream/start", limit=LISTING_BYTES)
    names = (b".gitattributes", b"/.gitattributes")
    lines = [line for line in listed.split(b"\0") if line.partition(b"\t")[2].endswith(names[1])]
    lines += [line for line in listed.split(b"\0") if line.partition(b"\t")[2] == names[0]]
    await before.do("update-index", "-z", "--index-info", stdin=_joined(lines))


async def _hashes(git: Git, folder: str, paths: Sequence[bytes]) -> dict[bytes, str]:
    """The object ids that the files would have without any conversion. Links and what is gone have none."""
    git = git.on(tree=folder)
    names = b"".join(_line(path) for path in paths)
    ended = await git.ask("hash-object", "--no-filters", "--stdin-paths", stdin=names, limit=LISTING_BYTES)
    if ended.exit_code != 0 and len(paths) == 1:
        return {}
    if ended.exit_code != 0:  # one is no file: each half for itself
        half = len(paths) // 2
        return {**await _hashes(git, folder, paths[:half]), **await _hashes(git, folder, paths[half:])}
    return dict(zip(paths, ended.output.decode().split(), strict=True))


async def _out_of_cone(result: Result, changes: Sequence[Change]) -> set[bytes]:
    """Files that are not on disk because the command's sparse checkout leaves them out."""
    gone = {change.path for change in changes if change.status == "D"}
    if not gone:
        return set()
    ended = await result.tree.on(index=_THEIR_INDEX).ask("ls-files", "-t", "-z", limit=LISTING_BYTES)
    if ended.exit_code != 0:
        return set()
    left_out = {line[2:] for line in ended.output.split(b"\0") if line.startswith(b"S ")}
    return gone & left_out


async def _declared(result: Result) -> set[bytes]:
    """The paths that .gitmodules names."""
    ended = await result.tree.ask(
        *("config", "--file", f"{CHECKOUT_DIR}/.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.path$")
    )
    return {line.partition(b"\n")[2] for line in ended.output.split(b"\0")} if ended.exit_code == 0 else set()


async def _put_back(git: Git, changes: Iterable[Change]) -> None:
    """Gives paths of the index the entry that HEAD has, or none."""
    lines = []
    for change in changes:
        mode, oid = ("0", "0" * len(change.new)) if change.status == "A" else (change.old_mode, change.old)
        lines.append(f"{mode} {oid}\t".encode() + change.path)
    await git.do("update-index", "-z", "--index-info", stdin=_joined(lines))


def _changes(raw: bytes) -> Iterable[Change]:
    fields = raw.split(b"\0")
    for place in range(0, len(fields) - 1, 2):
        old_mode, new_mode, old, new, status = fields[place].decode().lstrip(":").split(" ")
        yield Change(status=status[:1], old_mode=old_mode, new_mode=new_mode, old=old, new=new, path=fields[place + 1])


def _names(listing: bytes) -> list[bytes]:
    return [name for name in listing.split(b"\0") if name]


def _joined(names: Iterable[bytes]) -> bytes:
    return b"".join(name + b"\0" for name in names)


def _line(path: bytes) -> bytes:
    """A path on a line of its own, quoted as git reads it where that is needed."""
    if b"\n" not in path and not path.startswith(b'"'):
        return path + b"\n"
    return b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"\n'
