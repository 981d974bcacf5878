"""Takes the work of a run out of its checkout: what it changed, where it left it, and why it may not be proposed.

docs/work.md has the table of the ways to leave work; `tests/integration/repositories` tries each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from gitward.errors import Reason
from gitward.repositories import files as tree_files
from gitward.repositories import git_folder, result
from gitward.repositories.baseline import Baseline
from gitward.repositories.checkout import CHECKOUT_DIR, REPO
from gitward.repositories.files import Files
from gitward.repositories.git import GitFailed
from gitward.repositories.git_folder import GitFolder, Worktree
from gitward.repositories.left import Author, Left, Tip, collect, commit_tree
from gitward.repositories.result import Result

_TRACKING = "refs/remotes/"
_MOST_TIPS = 200
_MOST_LOGGED = 20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a change may not be pushed."""

    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run left, in the result."""

    head: str  # the commit that has the change
    changed: bool
    left: tuple[Left, ...] = ()  # beside it; kept, and not proposed
    notices: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def anything(self) -> bool:
        """Whether there is something to keep."""
        return self.changed or bool(self.left)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What `take` looks at."""

    workspace: Path
    baseline: Baseline
    upstream: frozenset[str]  # all that heads and tags stand for at GitHub, as far as the snapshot knows
    author: Author
    message: str  # of the commit of what is uncommitted
    trailers: tuple[str, ...]  # added to it: "Gitward-Session: ses_x"
    pushed: frozenset[str] = field(default_factory=frozenset)  # what the broker saw accepted in this run


async def take(res: Result, scene: Scene) -> Work:
    """:raises GitFailed: git cannot work with what is there."""
    folder = await asyncio.to_thread(git_folder.read, scene.workspace / "work", f"{REPO}/.git")
    if not await asyncio.to_thread(_has_files, scene.workspace):
        return _gone(scene)
    seen = await _look(res, scene, folder)
    base = seen.head or scene.baseline.start.sha
    taken = await _files(res, scene, folder, base)
    work = await _committed(res, scene, seen, base, taken)
    return _judged(_told(await _beside(res, scene, folder, seen, work), taken, seen), taken, folder)


def _has_files(workspace: Path) -> bool:
    """Whether there is a checkout, with anything in it."""
    try:
        with git_folder.opened(workspace / "work") as work, work.below(REPO):
            return bool(work.names(REPO))
    except OSError:
        return False


def _gone(scene: Scene) -> Work:
    problem = Problem(
        reason=Reason.TASK_FAILED,
        message=f"The command removed its checkout: {CHECKOUT_DIR} is no folder with files any more.",
    )
    return Work(head=scene.baseline.start.sha, changed=False, problem=problem)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The commits of the command's repository, judged and taken."""

    head: str | None  # on which the tree is committed; None: on the start
    new_head: bool = False  # whether HEAD has commits of the command's
    moved: str | None = None  # HEAD stands elsewhere, on a commit that is upstream
    tips: tuple[Tip, ...] = ()  # other commits of the command's
    notices: tuple[str, ...] = ()
    problem: Problem | None = None


async def _look(res: Result, scene: Scene, folder: GitFolder | None) -> _Seen:
    start = scene.baseline.start
    if folder is None or folder.head is None:
        told = "has no .git any more" if folder is None else "has a .git without a commit"
        return _Seen(head=None, notices=(f"The checkout {told}; its files are compared with the start.",))
    known = _known(scene, folder)
    others = [tip for tip in _tips(folder) if tip.oid not in known and tip.oid != folder.head]
    search = _Search(res=res, scene=scene, known=known, fetched=known - scene.upstream)
    missing = await search.fetch([tip.oid for tip in others] + ([] if folder.head in known else [folder.head]))
    if folder.head in missing:
        return _damaged(missing[folder.head])
    tips = [tip for tip in others if tip.oid not in missing and await search.is_new(tip.oid)]
    notices = tuple(f"{tip.name} could not be read and is left out." for tip in others if tip.oid in missing)
    seen = _Seen(head=folder.head, tips=tuple(tips), notices=notices)
    if folder.head == start.sha:
        return await _logged(search, folder, seen)
    if folder.head in known or not await search.is_new(folder.head):
        return await _logged(search, folder, await _moved(res, scene, seen))
    if not await res.related(folder.head, start.sha):
        return _unrelated(scene, folder, seen)
    return replace(seen, new_head=True)


def _known(scene: Scene, folder: GitFolder) -> frozenset[str]:
    """Commits that are upstream: of the snapshot, or fetched by the command. Its own branch is not among them."""
    own = f"{_TRACKING}origin/{scene.baseline.start.branch}"
    tracked = {oid for name, oid in folder.refs.items() if name.startswith(_TRACKING) and name != own}
    start = scene.baseline.start
    return (scene.upstream | tracked | folder.fetched | {start.sha, start.target_sha}) - scene.pushed


def _tips(folder: GitFolder) -> list[Tip]:
    """Where else work may be: branches, tags, stashes and work trees."""
    named = {"refs/heads/": "branch", "refs/tags/": "tag"}
    tips = [
        Tip(kind=kind, name=f"{kind} {name.removeprefix(prefix)}", oid=oid)
        for name, oid in folder.refs.items()
        for prefix, kind in named.items()
        if name.startswith(prefix)
    ]
    tips += [Tip(kind="stash", name=f"stash {number}", oid=oid) for number, oid in enumerate(folder.stashes[::-1])]
    tips += [
        Tip(kind="worktree", name=f"worktree {tree.name}", oid=tree.head)
        for tree in folder.worktrees
        if tree.head is not None
    ]
    return list({tip.oid: tip for tip in reversed(tips)}.values())[::-1]


@dataclass(kw_only=True)
class _Search:
    """Which commits of the command's repository are its own."""

    res: Result
    scene: Scene
    known: frozenset[str]
    fetched: frozenset[str]  # of the known ones, those that the snapshot may not have
    there: set[str] = field(default_factory=set)  # what was asked for and is in the snapshot

    async def fetch(self, oids: Sequence[str]) -> dict[str, str]:
        """Takes what the snapshot does not have into the result; what cannot be taken, each with what git says."""
        wanted = list(dict.fromkeys(oids))[-_MOST_TIPS:]
        if not wanted:
            return {}
        found = await self.res.resolve(*wanted)
        self.there |= {oid for oid, each in zip(wanted, found, strict=True) if each is not None}
        return await self._take([oid for oid in wanted if oid not in self.there])

    async def _take(self, oids: Sequence[str]) -> dict[str, str]:
        if not oids:
            return {}
        place = self.scene.workspace / "result" / "work"
        await asyncio.to_thread(result.offer, place, oids, stores=[f"{CHECKOUT_DIR}/.git/objects"])
        try:
            await self.res.fetch(oids)
        except GitFailed as failure:
            if len(oids) == 1:
                return {oids[0]: str(failure)}
        else:
            return {}
        missing: dict[str, str] = {}
        for oid in oids:
            missing |= await self._take([oid])
        return missing

    async def is_new(self, oid: str, beside: Sequence[str] = ()) -> bool:
        """Whether it is a commit that nothing upstream reaches. What the snapshot lacks, no ref of it reaches."""
        start = self.scene.baseline.start
        known = self.known if oid in self.there else self.fetched | {start.sha, start.target_sha}
        return await self.res.commits_beyond(oid, sorted({*known, *beside}))


async def _logged(search: _Search, folder: GitFolder, seen: _Seen) -> _Seen:
    """Where HEAD stood before, when it brings nothing now: commits that no branch holds any more are kept too."""
    if seen.new_head:
        return seen
    tips = [tip.oid for tip in seen.tips]
    past = [oid for oid in dict.fromkeys(folder.logged[::-1]) if oid not in search.known and oid not in tips]
    past = past[:_MOST_LOGGED]
    missing = await search.fetch(past)
    for oid in past:
        if oid not in missing and await search.is_new(oid, [*tips]):
            return replace(seen, tips=(*seen.tips, Tip(kind="reflog", name=f"commit {oid[:12]} of no branch", oid=oid)))
    return seen


def _damaged(complaint: str) -> _Seen:
    problem = Problem(
        reason=Reason.TASK_FAILED,
        message=f"The command's commits are damaged or incomplete, so only its files are kept: {complaint}",
    )
    return _Seen(head=None, problem=problem)


async def _moved(res: Result, scene: Scene, seen: _Seen) -> _Seen:
    """HEAD stands on a commit that is upstream: a reset within the session's own branch is a change of it."""
    start, head = scene.baseline.start, seen.head
    assert head is not None
    if await res.is_ancestor(head, start.sha) and not await res.is_ancestor(head, start.target_sha):
        return replace(seen, new_head=True)
    return replace(seen, moved=head)


def _unrelated(scene: Scene, folder: GitFolder, seen: _Seen) -> _Seen:
    """History that has nothing in common with the repository's: an orphan branch, or a `.git` that was made anew."""
    start = scene.baseline.start
    ours = folder.refs.get(f"{_TRACKING}origin/{start.target_branch}") is not None
    if not ours:
        notice = "The checkout's .git was made anew; its files are compared with the start."
        return replace(seen, head=None, notices=(*seen.notices, notice))
    problem = Problem(
        reason=Reason.WORK_NOT_ON_BRANCH,
        message=(
            f"The work has no history in common with {start.target_branch}, so no pull request can be opened for it; "
            "it is kept. Publish with mode `branch` to push it as it is."
        ),
    )
    return replace(seen, new_head=True, problem=problem)


async def _files(res: Result, scene: Scene, folder: GitFolder | None, base: str) -> Files:
    baseline = scene.baseline
    return await tree_files.take(
        res,
        base,
        start=baseline.start.sha,
        index_changed=folder is not None and folder.index is not None and folder.index != baseline.index,
        sparse=folder is not None and folder.sparse,
    )


async def _committed(res: Result, scene: Scene, seen: _Seen, base: str, taken: Files) -> Work:
    """The tree as a commit, if there is anything that is not committed."""
    if not taken.changes:
        return Work(head=base, changed=seen.new_head, notices=seen.notices, problem=seen.problem)
    head = await commit_tree(res, base, scene.author, message=scene.message, trailers=scene.trailers)
    return Work(head=head, changed=True, notices=seen.notices, problem=seen.problem)


async def _beside(res: Result, scene: Scene, folder: GitFolder | None, seen: _Seen, work: Work) -> Work:
    """What lies elsewhere: it becomes the change if it is the only one, else it is kept."""
    trees = [] if folder is None else await _other_trees(res, scene, folder)
    left = (*await collect(res, seen.tips, scene.author), *trees)
    if work.changed or work.problem is not None:
        return replace(work, left=left)
    branches = [each for each in left if each.kind == "branch"]
    start = scene.baseline.start
    if len(left) == 1 and branches and await res.is_ancestor(start.sha, branches[0].oid):
        notice = f"The command left its work on {branches[0].name}, not on HEAD; that is the change."
        return replace(work, head=branches[0].oid, changed=True, notices=(*work.notices, notice))
    if all(each.kind == "reflog" for each in left):
        return replace(work, left=left)
    where = ", ".join(each.name for each in left[:10])
    message = f"The command changed nothing on its branch, but left work elsewhere: {where}. It is kept in the bundle."
    return replace(work, left=left, problem=Problem(reason=Reason.WORK_NOT_ON_BRANCH, message=message))


async def _other_trees(res: Result, scene: Scene, folder: GitFolder) -> list[Left]:
    """Uncommitted files of further work trees."""
    found = []
    for tree in folder.worktrees:
        inside = _inside(tree)
        if inside is None or tree.head is None or not await res.has(tree.head):
            continue
        oid = await _tree_commit(res, scene, tree.head, inside)
        if oid is not None:
            found.append(Left(kind="worktree", name=f"uncommitted files of worktree {tree.name}", oid=oid))
    return found


def _inside(tree: Worktree) -> str | None:
    """The folder of a work tree, if it lies in the workspace."""
    if tree.path is None or ".." in tree.path.parts or not tree.path.is_relative_to(PurePosixPath("/workspace")):
        return None
    return str(tree.path)


async def _tree_commit(res: Result, scene: Scene, head: str, tree: str) -> str | None:
    git = res.bare.on(tree=tree, index=f"{result.RESULT_DIR}/index.other")
    try:
        await git.do("read-tree", "--reset", head)
        await tree_files.add_all(git)
        if await git.says("diff-index", "--cached", "--quiet", head, "--"):
            return None
    except GitFailed:
        return None
    return await commit_tree(res, head, scene.author, message="Uncommitted files of a work tree", index=git.index)


def _told(work: Work, taken: Files, seen: _Seen) -> Work:
    """With a sentence for all that a person must know."""
    told = [*work.notices]
    if taken.nested:
        told.append(f"Left out, for they are repositories of their own: {_listed(taken.nested)}.")
    if taken.refused:
        told.append(f"Left out, for git cannot take them: {_listed(taken.refused)}.")
    told += [f"git says: {line}" for line in taken.errors[:5]]
    if work.left and work.problem is None:
        told.append(f"Kept in the bundle, and not proposed: {_listed([each.name for each in work.left])}.")
    if seen.moved is not None and not work.changed:
        told.append(f"HEAD stands on {seen.moved[:12]}, which is upstream already.")
    return replace(work, notices=tuple(told))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _judged(work: Work, taken: Files, folder: GitFolder | None) -> Work:
    """An operation under way, or a conflict, is never proposed."""
    operation = folder.operation if folder is not None else None
    if operation is None and not taken.conflicts:
        return work
    what = f"a {operation} under way" if operation is not None else "conflicts"
    where = f" in {_listed(taken.conflicts)}" if taken.conflicts else ""
    message = f"The command left {what}{where}; finish or abort it in the command. The work is kept."
    return replace(work, problem=Problem(reason=Reason.TASK_FAILED, message=message))
