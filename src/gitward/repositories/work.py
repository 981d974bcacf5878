"""Collects the work of a run from its checkout: what it changed, where it left it, and why it may not be proposed.

docs/work.md has the table of the ways to leave work; `tests/integration/repositories` tries each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from gitward.errors import Reason
from gitward.repositories import commits, foreign_folder, git_folder, left_commits, submodules
from gitward.repositories import files as tree_files
from gitward.repositories.baseline import setup_files
from gitward.repositories.checkout import CHECKOUT_DIR, REPO
from gitward.repositories.commits import Problem, Scene, Seen
from gitward.repositories.files import Files, Scope
from gitward.repositories.foreign_folder import Damaged
from gitward.repositories.git import GitFailed
from gitward.repositories.git_folder import GitFolder, Worktree
from gitward.repositories.left_commits import WEAK, LeftCommit
from gitward.repositories.result import OTHER_INDEX, Result
from gitward.repositories.submodules import Submodules
from gitward.repositories.tree_entries import Change, shown
from gitward.sandboxes import WORK_DIR

__all__ = ["Problem", "Scene", "Work", "take"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run left, in the result."""

    head: str  # the commit that has the change
    changed: bool
    paths: frozenset[bytes] | None = None  # all that differs from the start; None: to know it, git must be asked
    left: tuple[LeftCommit, ...] = ()  # beside it; kept, and not proposed
    submodules: Submodules | None = None  # work inside of them; `changes.make_submodules` makes its bundle
    notices: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def anything(self) -> bool:
        """Whether there is something to keep."""
        return self.changed or bool(self.left) or self.submodules is not None


@dataclass(frozen=True, kw_only=True)
class _Repository:
    """The command's repository."""

    folder: GitFolder | None
    git: str  # its `.git`, inside the sandbox

    @property
    def operation(self) -> str | None:
        return self.folder.operation if self.folder is not None else None


async def take(res: Result, scene: Scene) -> Work:
    """The tree has no pipes any more (`pipes.remove`).

    :raises GitFailed: git cannot work with what is there.
    """
    if not await asyncio.to_thread(_has_files, scene.workspace):
        return _gone(scene)
    theirs, problem = await asyncio.to_thread(_repository, scene.workspace)
    seen = await commits.read_commits(res, scene, theirs.folder, f"{theirs.git}/objects")
    if problem is not None:
        seen = replace(seen, problem=problem, notices=())
    base = seen.head or scene.baseline.start.sha
    taken = await _files(res, scene, theirs, base)
    work = await _committed(res, scene, seen, base, taken)
    made = taken.changes if work.changed and base == scene.baseline.start.sha else None
    work = replace(work, paths=None if made is None else frozenset(each.path for each in made))
    work = await _with_left(
        res, scene, theirs, replace(work, left=await left_commits.collect(res, seen.tips, scene.author)), taken.staged
    )
    work = await _adopted(res, scene, work)
    work = _with_submodules(work, await submodules.take(res, scene, work.head, made))
    work = _elsewhere(work, taken)
    return _judged(_told(work, taken, seen), taken, theirs.operation)


def _has_files(workspace: Path) -> bool:
    """Whether there is a checkout, with anything in it."""
    try:
        with foreign_folder.opened(workspace / "work") as work:
            return not work.is_empty(REPO)
    except OSError:
        return False


def _gone(scene: Scene) -> Work:
    problem = Problem(
        reason=Reason.TASK_FAILED,
        message=f"The command removed its checkout: {CHECKOUT_DIR} is no longer a folder with files.",
    )
    return Work(head=scene.baseline.start.sha, changed=False, problem=problem)


def _repository(workspace: Path) -> tuple[_Repository, Problem | None]:
    place = git_folder.find(workspace / "work", REPO) or f"{REPO}/.git"
    inside = f"{WORK_DIR}/{place}"
    try:
        folder = git_folder.read(workspace / "work", place)
        git_folder.show_shared_indexes(workspace / "work", place, workspace / "result/work/git")
        git_folder.check_alternates(workspace / "work", place)
    except Damaged as damage:
        message = f"The command's .git cannot be read, so only its files are kept: {damage}."
        return _Repository(folder=None, git=inside), Problem(reason=Reason.TASK_FAILED, message=message)
    return _Repository(folder=folder, git=inside), None


async def _files(res: Result, scene: Scene, theirs: _Repository, base: str) -> Files:
    """Of the checkout, in the result's index."""
    baseline, folder = scene.baseline, theirs.folder
    if base != baseline.start.sha:
        await res.tree.do("read-tree", "-i", "-m", base)  # what is the same keeps the times that git noted
    written = folder is not None and folder.index is not None and folder.index != baseline.index
    scope = Scope(
        git=res.tree,
        head=base,
        start=baseline.start.sha,
        their_index=f"{theirs.git}/index" if written else None,
        sparse=folder is not None and folder.sparse,
        setup=await asyncio.to_thread(setup_files, scene.workspace) if baseline.has_setup else {},
    )
    return await tree_files.take(scope)


async def _committed(res: Result, scene: Scene, seen: Seen, base: str, taken: Files) -> Work:
    """The tree as a commit, if there is anything that is not committed."""
    if taken.changes and seen.moved is not None and await _is_the_start(res, scene):
        return Work(head=scene.baseline.start.sha, changed=False, notices=seen.notices, problem=seen.problem)
    if not taken.changes:
        return Work(head=base, changed=seen.new_head, notices=seen.notices, problem=seen.problem)
    head = await left_commits.commit_tree(res, base, scene.author, message=scene.message, trailers=scene.trailers)
    return Work(head=head, changed=True, notices=seen.notices, problem=seen.problem)


async def _is_the_start(res: Result, scene: Scene) -> bool:
    """Whether the files are those of the start, though HEAD went back to an older commit (`git reset --soft`)."""
    tree = (await res.tree.do("write-tree")).decode().strip()
    [start] = await res.resolve(f"{scene.baseline.start.sha}^{{tree}}")
    return start is not None and start[0] == tree


async def _with_left(res: Result, scene: Scene, theirs: _Repository, work: Work, staged: Sequence[Change]) -> Work:
    """With what lies in further work trees, and in the command's index alone."""
    found = list(work.left)
    notices = list(work.notices)
    for tree in theirs.folder.worktrees if theirs.folder is not None else ():
        each, notice = await _worktree(res, scene, tree)
        found += [each] if each is not None else []
        notices += [notice] if notice is not None else []
    if staged:
        each, notice = await _staged(res, scene, theirs, staged, work.head)
        found += [each] if each is not None else []
        notices += [notice] if notice is not None else []
    return replace(work, left=tuple(found), notices=tuple(notices))


async def _staged(
    res: Result, scene: Scene, theirs: _Repository, staged: Sequence[Change], head: str
) -> tuple[LeftCommit | None, str | None]:
    """Content that is in the command's index alone (`git apply --cached`)."""
    assert theirs.folder is not None
    search = commits.search_in(res, scene, theirs.folder, f"{theirs.git}/objects")
    missing = await search.fetch([each.new for each in staged])
    there = [each for each in staged if each.new not in missing]
    names = _listed([shown(each.path) for each in there])
    notice = f"{len(missing)} staged files could not be read and are left out." if missing else None
    if not there:
        return None, notice
    oid = await left_commits.commit_staged(res, head, there, scene.author)
    return LeftCommit(kind="staged", name=f"staged content that is in no file: {names}", oid=oid), notice


async def _worktree(res: Result, scene: Scene, tree: Worktree) -> tuple[LeftCommit | None, str | None]:
    """Uncommitted files of a further work tree."""
    name = f"uncommitted files of worktree {tree.name}"
    if tree.head is None or not await res.has(tree.head):
        return None, f"Left out, because its commit cannot be read: worktree {tree.name}."
    if not await asyncio.to_thread(_is_inside, scene.workspace, tree):
        return None, f"Not searched, because it is not a folder of {WORK_DIR}: {name}."
    git = res.bare.on(tree=str(tree.path), index=OTHER_INDEX)
    try:
        await git.do("read-tree", tree.head)
        taken = await tree_files.take(Scope(git=git, head=tree.head, start=tree.head))
        if not taken.changes:
            return None, None
        made = (await git.do("write-tree")).decode().strip()
        oid = await left_commits.commit(git, made, tree.head, scene.author, "Uncommitted files of a work tree")
    except GitFailed as failure:
        return None, f"Left out, because git cannot take it: {name}: {failure}"
    return LeftCommit(kind="worktree", name=name, oid=oid), None


def _is_inside(workspace: Path, tree: Worktree) -> bool:
    if tree.path is None or ".." in tree.path.parts or not tree.path.is_relative_to(PurePosixPath(WORK_DIR)):
        return False
    try:
        with foreign_folder.opened(workspace / "work") as work, work.below(str(tree.path.relative_to(WORK_DIR))):
            return True
    except OSError:
        return False


def _with_submodules(work: Work, inner: Submodules) -> Work:
    problem = work.problem
    if problem is None and inner.unpublished:
        problem = Problem(reason=Reason.WORK_NOT_ON_BRANCH, message=inner.refusal)
    kept = inner if inner.kept else None
    return replace(work, submodules=kept, notices=(*work.notices, *inner.notices), problem=problem)


async def _adopted(res: Result, scene: Scene, work: Work) -> Work:
    """What lies elsewhere becomes the change, if there is no other work, and it is one branch from the start."""
    strong = [each for each in work.left if each.kind not in WEAK]
    if work.changed or work.problem is not None or len(strong) != 1 or strong[0].kind != "branch":
        return work
    if not await res.is_ancestor(scene.baseline.start.sha, strong[0].oid):
        return work
    notice = f"The command left its work on {strong[0].name}, not on HEAD; that is the change."
    rest = tuple(each for each in work.left if each is not strong[0])
    return replace(work, head=strong[0].oid, changed=True, left=rest, notices=(*work.notices, notice))


def _elsewhere(work: Work, taken: Files) -> Work:
    """A run that changed nothing fails when work lies where it is not proposed."""
    if work.changed or work.problem is not None:
        return work
    where = [each.name for each in work.left if each.kind not in WEAK]
    where += work.submodules.names if work.submodules is not None else []
    if where:
        message = f"The command changed nothing on its branch, but left work elsewhere: {_listed(where)}."
        return replace(work, problem=Problem(reason=Reason.WORK_NOT_ON_BRANCH, message=message))
    if taken.refused:
        message = f"git cannot take the command's changes: {_listed(taken.refused)}."
        return replace(work, problem=Problem(reason=Reason.TASK_FAILED, message=message))
    return work


def _told(work: Work, taken: Files, seen: Seen) -> Work:
    """With a sentence for all that a person must know."""
    told = [*work.notices]
    if taken.nested:
        told.append(f"Left out, because they are repositories of their own: {_listed(taken.nested)}.")
    if taken.refused:
        told.append(f"Left out, because git cannot take them: {_listed(taken.refused)}.")
    told += [f"git says: {line}" for line in taken.errors[:5]]
    if work.left and work.problem is None:
        told.append(f"Kept in the bundle, and not proposed: {_listed([each.name for each in work.left])}.")
    if work.submodules is not None and work.problem is None:
        told.append(f"Kept in bundle?of=submodules, and not proposed: {_listed(work.submodules.names)}.")
    if seen.moved is not None and not work.changed:
        told.append(f"HEAD is at {seen.moved[:12]}, which is already upstream.")
    return replace(work, notices=tuple(told))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _judged(work: Work, taken: Files, operation: str | None) -> Work:
    """An operation under way, or a conflict, is never proposed."""
    if operation is None and not taken.conflicts:
        return work
    article = "an" if operation == "am" else "a"
    what = f"{article} {operation} under way" if operation is not None else "conflicts"
    where = f" in {_listed(taken.conflicts)}" if taken.conflicts else ""
    message = f"The command left {what}{where}; finish or abort it in the command."
    return replace(work, problem=Problem(reason=Reason.TASK_FAILED, message=message))
