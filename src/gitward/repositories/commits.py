"""The commits of the command's repository: what HEAD brings, and what lies elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitward.errors import Reason
from gitward.repositories.baseline import Baseline
from gitward.repositories.commit_search import CommitSearch
from gitward.repositories.git_folder import GitFolder
from gitward.repositories.left_commits import Author, Tip
from gitward.repositories.result import Result

TRACKING = "refs/remotes/"
_MOST_LOGGED = 20
_NAMED = {"refs/heads/": "branch", "refs/tags/": "tag"}
_NOBODYS = (TRACKING, "refs/replace/", "refs/bisect/", "refs/original/", "refs/rewritten/", "refs/prefetch/")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a change may not be pushed."""

    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What `work.take` looks at."""

    workspace: Path
    baseline: Baseline
    upstream: frozenset[str]  # all that heads and tags stand for at GitHub, as far as the snapshot knows
    author: Author
    message: str  # of the commit of what is uncommitted
    trailers: tuple[str, ...]  # added to it: "Gitward-Session: ses_x"
    pushed: frozenset[str] = field(default_factory=frozenset)  # what the broker saw accepted in this run


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The commits, judged and taken."""

    head: str | None  # on which the tree is committed; None: on the start
    new_head: bool = False  # whether HEAD has commits of the command's
    moved: str | None = None  # HEAD stands elsewhere, on a commit that is upstream
    tips: tuple[Tip, ...] = ()  # other commits of the command's
    notices: tuple[str, ...] = ()
    problem: Problem | None = None


async def read_commits(res: Result, scene: Scene, folder: GitFolder | None, store: str) -> Seen:
    """:param store: where the command's objects are, inside."""
    if folder is None:
        return _without_git("has no .git any more")
    search = search_in(res, scene, folder, store)
    known = search.known
    others = [tip for tip in _tips(folder) if tip.oid not in known and tip.oid != folder.head]
    wanted = [] if folder.head is None or folder.head in known else [folder.head]
    missing = await search.fetch([tip.oid for tip in others] + wanted)
    if folder.head in missing:
        return _damaged(missing[folder.head])
    new = await search.new_among([tip.oid for tip in others if tip.oid not in missing])
    seen = Seen(head=folder.head, tips=_distinct(others, new), notices=_unread(others, missing))
    if folder.head is None or folder.head in known or not await search.is_new(folder.head):
        return await _logged(search, folder, await _moved(res, scene, seen))
    if not await res.related(folder.head, scene.baseline.start.sha):
        return _unrelated(scene, folder, seen)
    return replace(seen, new_head=True)


def search_in(res: Result, scene: Scene, folder: GitFolder, store: str) -> CommitSearch:
    known = _known(scene, folder)
    return CommitSearch(
        res=res,
        place=scene.workspace / "result" / "work",
        stores=[store],
        start=scene.baseline.start,
        known=known,
        fetched=known - scene.upstream,
    )


def _without_git(told: str) -> Seen:
    return Seen(head=None, notices=(f"The checkout {told}; its files are compared with the start.",))


def _unread(tips: Sequence[Tip], missing: dict[str, str]) -> tuple[str, ...]:
    names = [tip.name for tip in tips if tip.oid in missing]
    if not names:
        return ()
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return (f"Left out, because git could not read it: {', '.join(names[:10])}{more}.",)


def _known(scene: Scene, folder: GitFolder) -> frozenset[str]:
    """Commits that are upstream: of the snapshot, or fetched by the command. Its own branch is not among them."""
    own = f"{TRACKING}origin/{scene.baseline.start.branch}"
    tracked = {oid for name, oid in folder.refs.items() if name.startswith(TRACKING) and name != own}
    start = scene.baseline.start
    return (scene.upstream | tracked | folder.fetched | {start.sha, start.target_sha}) - scene.pushed


def _tips(folder: GitFolder) -> list[Tip]:
    """Where else work may be: branches before tags, for of two that bring the same work the first has its name; then
    stashes, work trees and refs of other kinds."""
    named = [_named(name, oid) for name, oid in folder.refs.items() if not name.startswith((*_NOBODYS, "refs/stash"))]
    strong = [tip for kind in _NAMED.values() for tip in named if tip.kind == kind]
    stashes = [Tip(kind="stash", name=f"stash {number}", oid=oid) for number, oid in enumerate(folder.stashes[::-1])]
    trees = [
        Tip(kind="worktree", name=f"worktree {tree.name}", oid=tree.head)
        for tree in folder.worktrees
        if tree.head is not None
    ]
    found: dict[str, Tip] = {}
    for tip in (*strong, *stashes, *trees, *(tip for tip in named if tip.kind == "ref")):
        found.setdefault(tip.oid, tip)
    return list(found.values())


def _distinct(tips: Sequence[Tip], commits: Mapping[str, str]) -> tuple[Tip, ...]:
    """Those that bring commits. A tag of what a branch or another tag stands on is kept, and no work of its own."""
    found: list[Tip] = []
    seen: set[str] = set()
    for tip in tips:
        if tip.oid in commits:
            commit = commits[tip.oid]
            found.append(replace(tip, kind="ref") if commit in seen else replace(tip, oid=commit))
            seen.add(commit)
    return tuple(found)


def _named(name: str, oid: str) -> Tip:
    for prefix, kind in _NAMED.items():
        if name.startswith(prefix):
            return Tip(kind=kind, name=f"{kind} {name.removeprefix(prefix)}", oid=oid)
    return Tip(kind="ref", name=name, oid=oid)


async def _logged(search: CommitSearch, folder: GitFolder, seen: Seen) -> Seen:
    """Where HEAD stood before, when it brings nothing now: commits that no branch holds any more are kept too."""
    if seen.new_head:
        return seen
    tips = [tip.oid for tip in seen.tips]
    past = [oid for oid in dict.fromkeys(folder.logged[::-1]) if oid not in search.known and oid not in tips]
    past = past[:_MOST_LOGGED]
    missing = await search.fetch(past)
    new = await search.new_among([oid for oid in past if oid not in missing], beside=tips)
    lost = [oid for oid in past if oid in new][:1]
    return replace(
        seen,
        tips=(*seen.tips, *(Tip(kind="reflog", name=f"commit {oid[:12]} of no branch", oid=oid) for oid in lost)),
    )


def _damaged(complaint: str) -> Seen:
    problem = Problem(
        reason=Reason.TASK_FAILED,
        message=f"The command's commits are damaged or incomplete, so only its files are kept: {complaint}",
    )
    return Seen(head=None, problem=problem)


async def _moved(res: Result, scene: Scene, seen: Seen) -> Seen:
    """HEAD stands on no new commit: a reset within the session's own branch is a change of it all the same."""
    start, head = scene.baseline.start, seen.head
    if head is None:
        return replace(seen, notices=(*seen.notices, *_without_git("has a .git without a commit").notices))
    if head == start.sha:
        return seen
    if await res.is_ancestor(head, start.sha) and not await res.is_ancestor(head, start.target_sha):
        return replace(seen, new_head=True)
    return replace(seen, moved=head)


def _unrelated(scene: Scene, folder: GitFolder, seen: Seen) -> Seen:
    """History that has nothing in common with the repository's: an orphan branch, or a `.git` that was made anew."""
    start = scene.baseline.start
    ours = folder.refs.get(f"{TRACKING}origin/{start.target_branch}") is not None
    if not ours:
        notice = "The checkout's .git was replaced; its files are compared with the start."
        return replace(seen, head=None, notices=(*seen.notices, notice))
    problem = Problem(
        reason=Reason.WORK_NOT_ON_BRANCH,
        message=(
            f"The work has no history in common with {start.target_branch}, so no pull request can be opened for it. "
            "Publish with mode `branch` to push it as it is."
        ),
    )
    return replace(seen, new_head=True, problem=problem)
