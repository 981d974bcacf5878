"""Reads what a command left in its `.git`, outside of any sandbox, as plain files: bounded, without following links.

Git itself is not used: it would obey the configuration there.
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from gitward.repositories.foreign_folder import Damaged, Tree, opened
from gitward.sandboxes import WORK_DIR

_SMALL = 4096  # bytes of HEAD, a loose ref, a `gitdir:` line
_PACKED = 96 * 1024 * 1024  # bytes of packed-refs; ours may be longer than the list of refs that it was made from
_LOG = 1024 * 1024  # bytes of a reflog or FETCH_HEAD, of which the end is read
_BRANCH_LOG = 16 * 1024  # the same of a branch's, of which there are many
_MOST_REFS = 700_000
_MOST_LOOSE = 100_000  # refs in files of their own
_MOST_LOGS = 2000  # of branches
_MOST_WORKTREES = 50
_DEPTH = 30  # of folders below refs/
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHARED_INDEX = re.compile(r"sharedindex\.(?:[0-9a-f]{40}|[0-9a-f]{64})")
_MOST_SHARED = 100
_PACKED_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) (refs/[^\x00-\x20\x7f]+)\n?")
_LOG_LINE = re.compile(rb"^(?:[0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ", re.MULTILINE)
_FETCH_LINE = re.compile(
    rb"^(?:[0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) [^\t\n]*\tfetch[ :]", re.MULTILINE
)
_FETCHED = re.compile(rb"^([0-9a-f]{40}|[0-9a-f]{64})\t", re.MULTILINE)
# Files that stand in .git while an operation is under way, the more telling first.
OPERATIONS = {
    "rebase-apply/applying": "am",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "MERGE_HEAD": "merge",
}
# Files that hold what git stashed for the time of an operation.
_AUTOSTASHES = ("MERGE_AUTOSTASH", "rebase-merge/autostash", "rebase-apply/autostash")


@dataclass(frozen=True, kw_only=True)
class Worktree:
    """A further work tree of the repository."""

    name: str
    head: str | None  # the commit that it stands on
    path: PurePosixPath | None  # inside the sandbox, where its files are


@dataclass(frozen=True, kw_only=True)
class GitFolder:
    """The state of a repository, as its files tell it. Whatever is not of git's form is not there."""

    head: str | None  # the commit that HEAD stands for
    head_ref: str | None  # its full name; None: detached, or no HEAD at all
    refs: Mapping[str, str]  # by full name
    loose: frozenset[str] = frozenset()  # names of refs that have a file of their own
    stashes: tuple[str, ...] = ()
    worktrees: tuple[Worktree, ...] = ()
    fetched: frozenset[str] = frozenset()  # what FETCH_HEAD names, and what branches were fetched to
    logged: tuple[str, ...] = ()  # where HEAD stood before, the newest last
    operation: str | None = None  # that is under way: "merge"
    modules: bool = False  # whether submodules were cloned
    sparse: bool = False
    index: tuple[int, int, int] | None = None  # identity of the index file: inode, size, time of change


def find(work: Path, tree: str) -> str | None:
    """Where the `.git` of a work tree is, below a workspace's `work`; None: there is none in the workspace. Blocks.

    `.git` may be a folder, a file that names one, or a link to one; a further step is not taken.
    """
    try:
        with opened(work) as root:
            return _find(root, f"{tree}/.git")
    except OSError:
        return None


def shallow(work: Path, path: str) -> frozenset[str]:
    """Where the history of a `.git` ends that was not cloned to its beginning. Blocks."""
    try:
        with opened(work) as root:
            text = (root.read(f"{path}/shallow", _LOG) or b"").decode("ascii", "replace")
    except OSError:
        return frozenset()
    return frozenset(line for line in text.splitlines() if _ID.fullmatch(line))


def check_alternates(work: Path, path: str) -> None:
    """Git reads the list of a store's alternates to its end, whatever it is. Blocks. Raises Damaged."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), opened(work) as root:
        name = f"{path}/objects/info/alternates"
        if root.status(name) is not None and root.read(name, _SMALL) is None:
            raise Damaged("objects/info/alternates is no small file")


def show_shared_indexes(work: Path, path: str, to: Path) -> None:
    """Links the base files of a split index into a `.git` of ours: git looks for them there alone. Blocks."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), opened(work) as root:
        for name in [name for name, _ in root.names(path) if _SHARED_INDEX.fullmatch(name)][:_MOST_SHARED]:
            with contextlib.suppress(FileExistsError):
                (to / name).symlink_to(f"{WORK_DIR}/{path}/{name}")


def _find(root: Tree, path: str) -> str | None:
    status = root.status(path)
    if status is None or stat.S_ISDIR(status.st_mode):
        return None if status is None else path
    named = root.link(path)
    if named is None:
        text = _text(root.read(path, _SMALL))
        named = text.removeprefix("gitdir: ") if text.startswith("gitdir: ") else None
    if not named:
        return None
    inside = posixpath.normpath(posixpath.join(WORK_DIR, posixpath.dirname(path), named))
    if not inside.startswith(f"{WORK_DIR}/"):
        return None
    found = inside.removeprefix(f"{WORK_DIR}/")
    status = root.status(found)
    return found if status is not None and stat.S_ISDIR(status.st_mode) else None


def read(work: Path, path: str) -> GitFolder | None:
    """The repository whose `.git` folder lies at `path` below a workspace's `work`; None: there is none. Blocks.

    :raises Damaged: there is more in it than can be looked at.
    """
    try:
        with opened(work) as root, root.below(path) as folder:
            return _read(folder)
    except Damaged:
        raise
    except OSError:
        return None


def _read(folder: Tree) -> GitFolder:
    refs, loose = _refs(folder)
    head_ref, head = _head(folder, "HEAD", refs)
    index = folder.status("index")
    return GitFolder(
        head=head,
        head_ref=head_ref,
        refs=refs,
        loose=loose,
        stashes=_stashes(folder, refs),
        worktrees=_worktrees(folder, refs),
        fetched=_ids(_FETCHED, folder.read("FETCH_HEAD", _LOG, end=True)) | _fetched_to_branches(folder),
        logged=_log(folder, "logs/HEAD"),
        operation=next((name for path, name in OPERATIONS.items() if folder.has(path)), None),
        modules=bool(folder.names("modules")),
        sparse=folder.has("info/sparse-checkout"),
        index=(index.st_ino, index.st_size, index.st_mtime_ns) if index is not None else None,
    )


def _refs(folder: Tree) -> tuple[dict[str, str], frozenset[str]]:
    refs: dict[str, str] = {}
    for line in io.BytesIO(folder.read("packed-refs", _PACKED) or b""):  # one by one: others may want the interpreter
        found = _PACKED_LINE.fullmatch(line) if len(line) <= _SMALL else None
        if found is not None:
            refs[found[2].decode("utf-8", "surrogateescape")] = found[1].decode()
        if len(refs) > _MOST_REFS:
            raise Damaged(f"more than {_MOST_REFS} refs")
    loose: set[str] = set()
    for number, name in enumerate(_loose(folder, "refs", 0)):
        target = _text(folder.read(name, _SMALL))
        if _ID.fullmatch(target):
            refs[name] = target
            loose.add(name)
        if number >= _MOST_LOOSE:
            raise Damaged(f"more than {_MOST_LOOSE} refs in files of their own")
    return refs, frozenset(loose)


def _fetched_to_branches(folder: Tree) -> frozenset[str]:
    """`git fetch origin pull/5/head:review`: the next fetch makes FETCH_HEAD forget it, the branch's log does not."""
    found: set[str] = set()
    for name in islice(_loose(folder, "logs/refs/heads", 0), _MOST_LOGS):
        found |= _ids(_FETCH_LINE, folder.read(name, _BRANCH_LOG, end=True))
    return frozenset(found)


def _loose(folder: Tree, path: str, depth: int) -> Iterator[str]:
    for name, is_folder in folder.names(path):
        if "\n" in name:
            continue  # no ref of git's, and a line of two in every list of refs
        if is_folder and depth < _DEPTH:
            yield from _loose(folder, f"{path}/{name}", depth + 1)
        elif not is_folder and not name.endswith(".lock"):
            yield f"{path}/{name}"


def _head(folder: Tree, path: str, refs: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The ref that a HEAD file names, and the commit."""
    text = _text(folder.read(path, _SMALL))
    if text.startswith("ref: refs/"):
        name = text.removeprefix("ref: ").strip()
        return name, refs.get(name)
    return None, text if _ID.fullmatch(text) else None


def _stashes(folder: Tree, refs: Mapping[str, str]) -> tuple[str, ...]:
    """The newest last."""
    kept = [_text(folder.read(path, _SMALL)) for path in _AUTOSTASHES]
    found = [oid for oid in kept if _ID.fullmatch(oid)]
    top = refs.get("refs/stash")
    if top is not None:
        found = [*_log(folder, "logs/refs/stash"), top, *found]
    return tuple(dict.fromkeys(found))


def _worktrees(folder: Tree, refs: Mapping[str, str]) -> tuple[Worktree, ...]:
    found = []
    for name, is_folder in folder.names("worktrees")[:_MOST_WORKTREES]:
        if is_folder:
            _, head = _head(folder, f"worktrees/{name}/HEAD", refs)
            place = PurePosixPath(_text(folder.read(f"worktrees/{name}/gitdir", _SMALL)))
            found.append(Worktree(name=name, head=head, path=place.parent if place.is_absolute() else None))
    return tuple(found)


def _log(folder: Tree, path: str) -> tuple[str, ...]:
    content = folder.read(path, _LOG, end=True) or b""
    return tuple(oid.decode() for oid in _LOG_LINE.findall(content))


def _ids(pattern: re.Pattern[bytes], content: bytes | None) -> frozenset[str]:
    return frozenset(oid.decode() for oid in pattern.findall(content or b""))


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "surrogateescape").strip()
