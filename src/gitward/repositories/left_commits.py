"""Commits of the result: for the tree, and for work beside the change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitward.repositories import tree_entries
from gitward.repositories.git import LISTING_BYTES, Git
from gitward.repositories.result import INDEX, OTHER_INDEX, Result
from gitward.repositories.tree_entries import Change

WEAK = frozenset({"reflog", "ref"})  # a run that leaves no more than these has left nothing undone


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who commits what is uncommitted."""

    name: str
    email: str


@dataclass(frozen=True, kw_only=True)
class Tip:
    """A commit of the command's, and where it was found."""

    kind: str  # "branch", "tag", "ref", "stash", "worktree", "reflog"
    name: str  # for a person: "branch fix/typo"
    oid: str


@dataclass(frozen=True, kw_only=True)
class LeftCommit:
    """Work that is kept beside the change."""

    kind: str  # of a tip, or "staged"
    name: str
    oid: str


async def collect(res: Result, tips: Iterable[Tip], author: Author) -> tuple[LeftCommit, ...]:
    """What tips have; a stash becomes commits that a patch can show."""
    return tuple(
        [
            LeftCommit(
                kind=tip.kind,
                name=tip.name,
                oid=await _unstashed(res, tip.oid, author) if tip.kind == "stash" else tip.oid,
            )
            for tip in tips
        ]
    )


async def _unstashed(res: Result, oid: str, author: Author) -> str:
    """A stash is a merge of an index, a tree and untracked files, of which no patch can be made: one upon the other."""
    names = ("^{tree}", "^1^{commit}", "^1^{tree}", "^2^{tree}", "^3^{tree}")
    tree, parent, base, staged, untracked = [
        found[0] if found is not None else None for found in await res.resolve(*(f"{oid}{name}" for name in names))
    ]
    if tree is None or parent is None:
        return oid
    git = res.bare.on(index=OTHER_INDEX)
    if staged is not None and staged not in (base, tree):
        parent = await commit(git, staged, parent, author, f"What was staged in the stash {oid[:12]}")
    if untracked is not None:
        listed = await git.do("ls-tree", "-r", "-z", untracked, limit=LISTING_BYTES)
        await git.do("read-tree", tree)
        await tree_entries.put(git, tree_entries.names(listed))
        tree = (await git.do("write-tree")).decode().strip()
    return await commit(git, tree, parent, author, f"What was stashed ({oid[:12]})")


async def commit_staged(res: Result, head: str, staged: Sequence[Change], author: Author) -> str:
    """What the command's own index had, and nothing else."""
    git = res.bare.on(index=OTHER_INDEX)
    await git.do("read-tree", head)
    await tree_entries.put(git, [tree_entries.entry(each.new_mode, each.new, each.path) for each in staged])
    tree = (await git.do("write-tree")).decode().strip()
    return await commit(git, tree, head, author, "Staged content that is not in the files")


async def commit(git: Git, tree: str, parent: str, author: Author, message: str) -> str:
    """A commit that HEAD does not stand on."""
    made = await git.do(*_identity(author), "commit-tree", "-p", parent, tree, stdin=message.encode())
    return made.decode().strip()


async def commit_tree(
    res: Result,
    parent: str,
    author: Author,
    *,
    message: str,
    trailers: Iterable[str] = (),
    index: str | None = None,
) -> str:
    """Commits the index on top of `parent`; the new commit. `trailers` join those that the message has."""
    git = res.without_files.on(index=index or INDEX)
    await res.stand_on(parent)
    added = [part for trailer in trailers for part in ("--trailer", trailer)]
    await git.do(*_identity(author), "commit", "--quiet", "--no-verify", *added, "--file=-", stdin=message.encode())
    return await res.stands_on()


def _identity(author: Author) -> tuple[str, ...]:
    return ("-c", f"user.name={author.name}", "-c", f"user.email={author.email}", "-c", "commit.gpgSign=false")
