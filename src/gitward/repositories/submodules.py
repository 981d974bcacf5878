"""Work inside submodules: commits that no upstream of theirs has, and edits that are not committed.

Git is never run with a submodule's configuration: a `.git` of ours borrows its objects, and its refs are read as files.
The work that it finds goes into a bundle of its own. It also decides whether the change may be pushed: nobody could
check out a submodule at a commit that only this machine has.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gitward.repositories import files as tree_files
from gitward.repositories import foreign_folder, git_folder, left_commits, result, tree_entries
from gitward.repositories.checkout import CHECKOUT_DIR, REPO
from gitward.repositories.commits import TRACKING, Scene
from gitward.repositories.files import Scope
from gitward.repositories.foreign_folder import Damaged
from gitward.repositories.git import LISTING_BYTES, Git, GitFailed
from gitward.repositories.git_folder import GitFolder
from gitward.repositories.result import OTHER_INDEX, Result
from gitward.repositories.tree_entries import GITLINK, Change, shown
from gitward.sandboxes import WORK_DIR

_MOST = 100  # submodules that are looked into, those inside of others included
_MOST_KNOWN = 20_000  # refs of a submodule's upstream


@dataclass(frozen=True, kw_only=True)
class SubmoduleCommit:
    """One commit of a submodule."""

    name: str  # for a person: "commits in submodule lib"
    ref: str  # its name in the bundle
    oid: str


@dataclass(frozen=True, kw_only=True)
class Submodules:
    """What a run left inside of submodules."""

    kept: tuple[SubmoduleCommit, ...] = ()
    known: frozenset[str] = frozenset()  # what the bundle need not have
    unpublished: tuple[str, ...] = ()  # submodules that the change has at a commit which is nowhere upstream
    notices: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.kept]

    @property
    def refusal(self) -> str:
        return (
            f"The change moves {', '.join(self.unpublished[:10])} to a commit that its upstream does not have, so "
            "nobody could check it out. Push the commit to the submodule's own repository first, then move the "
            "submodule to it."
        )


@dataclass(frozen=True, kw_only=True)
class _Submodule:
    """One that is cloned."""

    path: str  # from the top of the checkout
    git: str  # its `.git`, below the workspace's `work`
    folder: GitFolder


@dataclass(kw_only=True)
class _Gathering:
    """What is found on the way."""

    kept: list[SubmoduleCommit] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    notices: list[str] = field(default_factory=list)


async def take(res: Result, scene: Scene, head: str, changes: Sequence[Change] | None = None) -> Submodules:
    """Raises GitFailed.

    :param head: the commit that is to be proposed.
    :param changes: how it differs from the start; None: nobody has looked yet.
    """
    if changes is None:
        changes = await _changes(res, scene, head)
    moved = {shown(each.path): each.new for each in changes if each.new_mode == GITLINK}
    found, notices = await _cloned(res, scene)
    gathering = _Gathering(notices=notices)
    if found:
        stores = [f"{WORK_DIR}/{each.git}/objects" for each in found]
        shallow = await asyncio.to_thread(_shallow, scene, found)
        await asyncio.to_thread(
            partial(result.borrow, scene.workspace / "result" / "work", stores, shallow, wide=len(head) == 64)
        )
    new = {each.path: await _read_submodule(res, scene, each, number, gathering) for number, each in enumerate(found)}
    unpublished = [path for path, oid in moved.items() if path in new and oid in new[path]]
    unknown = [path for path in moved if path not in new]
    if unknown:
        told = "Gitward could not check whether these commits are upstream, because the submodules are not cloned"
        gathering.notices.append(f"{told}: {', '.join(sorted(unknown)[:10])}.")
    return Submodules(
        kept=tuple(gathering.kept),
        known=frozenset(gathering.known),
        unpublished=tuple(sorted(unpublished)),
        notices=tuple(gathering.notices),
    )


async def _changes(res: Result, scene: Scene, head: str) -> Sequence[Change]:
    start = scene.baseline.start.sha
    return await tree_entries.compare_commits(res.bare, start, head) if head != start else ()


async def _cloned(res: Result, scene: Scene) -> tuple[list[_Submodule], list[str]]:
    """Those that .gitmodules names, and whose `.git` is there; also those inside of others."""
    found: list[_Submodule] = []
    notices: list[str] = []
    trees = [""]
    for tree in trees:  # grows
        if not await asyncio.to_thread(_names_any, scene, tree):
            continue  # the ordinary case costs no command
        for path in await _declared(res, tree):
            if len(trees) > _MOST:
                notices.append(f"There are more than {_MOST} submodules; the rest was not searched.")
                return found, notices
            try:
                each = await asyncio.to_thread(_read, scene, path)
            except Damaged as damage:
                notices.append(f"Left out, because its .git cannot be read: submodule {path}: {damage}.")
                continue
            if each is not None and each.path not in {known.path for known in found}:
                found.append(each)
                trees.append(path)
    return found, notices


def _names_any(scene: Scene, tree: str) -> bool:
    """Whether there is a .gitmodules. Blocks."""
    try:
        with foreign_folder.opened(scene.workspace / "work") as work:
            return work.has(posixpath.join(REPO, tree, ".gitmodules"))
    except OSError:
        return False


async def _declared(res: Result, tree: str) -> list[str]:
    """Paths from the top of the checkout, none of which leaves it."""
    file = posixpath.join(CHECKOUT_DIR, tree, ".gitmodules")
    asked = ("config", "--file", file, "-z", "--get-regexp", r"^submodule\..*\.path$")
    ended = await res.bare.run(*asked, limit=LISTING_BYTES)
    if ended.exit_code != 0:
        return []
    text = ended.output.decode("utf-8", "surrogateescape")
    paths = [posixpath.normpath(posixpath.join(tree, line.partition("\n")[2])) for line in text.split("\0") if line]
    return [path for path in paths if not path.startswith(("../", "/")) and path not in {".", "..", tree}]


def _read(scene: Scene, path: str) -> _Submodule | None:
    work = scene.workspace / "work"
    git = git_folder.find(work, f"{REPO}/{path}")
    folder = git_folder.read(work, git) if git is not None else None
    return _Submodule(path=path, git=git, folder=folder) if git is not None and folder is not None else None


def _shallow(scene: Scene, found: Iterable[_Submodule]) -> list[str]:
    """Where histories end that were not cloned to their beginning."""
    oids: set[str] = set()
    for each in found:
        oids |= git_folder.shallow(scene.workspace / "work", each.git)
    return sorted(oids)


async def _read_submodule(
    res: Result, scene: Scene, each: _Submodule, number: int, gathering: _Gathering
) -> frozenset[str]:
    """Finds the work in one; its commits that are nowhere upstream of it."""
    folder = each.folder
    git = replace(res.bare, folder=result.SUBMODULES, tree=None, index=OTHER_INDEX)
    known = await _known(res, scene, each)
    tips = {"HEAD": folder.head} if folder.head is not None else {}
    tips |= {name: oid for name, oid in folder.refs.items() if not _is_upstream(folder, name)}
    tips |= {f"stash-{place}": oid for place, oid in enumerate(folder.stashes)}
    tips |= {f"commit-{oid[:12]}": oid for oid in folder.logged[-_MOST:]}
    try:
        new = await _new(git, frozenset(tips.values()) - known, known)
    except GitFailed as failure:
        gathering.notices.append(f"Left out, because its commits cannot be read: submodule {each.path}: {failure}")
        return frozenset()
    commits = [oid for oid in dict.fromkeys(tips.values()) if oid in new]
    _add_commits(gathering, each, number, await _independent(git, commits[:_MOST]))
    gathering.known |= known
    await _add_edits(res, scene, each, number, gathering)
    return new


def _add_commits(gathering: _Gathering, each: _Submodule, number: int, commits: Sequence[str]) -> None:
    for place, oid in enumerate(commits):
        name = f"commits in submodule {each.path}" if place == 0 else f"more commits in submodule {each.path}"
        ref = f"refs/heads/submodule-{number + 1}/{place + 1}"
        gathering.kept.append(SubmoduleCommit(name=name, ref=ref, oid=oid))


async def _known(res: Result, scene: Scene, each: _Submodule) -> frozenset[str]:
    """What is upstream of it: its remote-tracking branches, what was fetched, and what the repository had it at."""
    tracked = {oid for name, oid in each.folder.refs.items() if _is_upstream(each.folder, name)}
    listed = await res.bare.do("ls-tree", "-z", scene.baseline.start.sha, "--", each.path)
    at_start = {line.split()[2].decode() for line in tree_entries.names(listed) if line.startswith(GITLINK.encode())}
    return frozenset({*sorted(tracked)[-_MOST_KNOWN:], *each.folder.fetched, *at_start})


def _is_upstream(folder: GitFolder, name: str) -> bool:
    """Tags that came with the clone are packed; one that the command made is not, nor one fetched later."""
    return name.startswith(TRACKING) or (name.startswith("refs/tags/") and name not in folder.loose)


async def _independent(git: Git, commits: Sequence[str]) -> list[str]:
    """Those that no other one reaches, the first ones first."""
    if len(commits) < 2:
        return list(commits)
    told = (await git.do("merge-base", "--independent", *commits)).decode().split()
    return [oid for oid in commits if oid in told]


async def _new(git: Git, tips: frozenset[str], known: frozenset[str]) -> frozenset[str]:
    """All commits that the tips reach and the known ones do not."""
    if not tips:
        return frozenset()
    asked = "".join([*(f"{oid}\n" for oid in sorted(tips)), *(f"^{oid}\n" for oid in sorted(known))]).encode()
    listed = await git.do("rev-list", "--ignore-missing", "--stdin", stdin=asked, limit=LISTING_BYTES)
    return frozenset(listed.decode().split())


async def _add_edits(res: Result, scene: Scene, each: _Submodule, number: int, gathering: _Gathering) -> None:
    """Its files, as a commit on its HEAD."""
    head = each.folder.head
    if head is None:
        return
    tree = posixpath.join(CHECKOUT_DIR, each.path)
    git = replace(res.bare, folder=result.SUBMODULES, tree=tree, index=OTHER_INDEX)
    try:
        await git.do("read-tree", head)
        taken = await tree_files.take(Scope(git=git, head=head, start=head))
        if not taken.changes:
            return
        made = (await git.do("write-tree")).decode().strip()
        oid = await left_commits.commit(git, made, head, scene.author, f"Uncommitted files of submodule {each.path}")
    except GitFailed as failure:
        gathering.notices.append(f"Left out, because git cannot take it: files of submodule {each.path}: {failure}")
        return
    ref = f"refs/heads/submodule-{number + 1}/edits"
    gathering.kept.append(SubmoduleCommit(name=f"uncommitted files of submodule {each.path}", ref=ref, oid=oid))
