"""Commits of the result: of the tree, and of what lies beside the change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gitward.repositories.result import INDEX, Result


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who commits what is uncommitted."""

    name: str
    email: str


@dataclass(frozen=True, kw_only=True)
class Tip:
    """A commit of the command's, and where it was found."""

    kind: str  # "branch", "tag", "stash", "worktree", "reflog"
    name: str  # for a person: "branch fix/typo"
    oid: str


@dataclass(frozen=True, kw_only=True)
class Left:
    """Work that is kept beside the change."""

    kind: str
    name: str
    oid: str


async def collect(res: Result, tips: Iterable[Tip], author: Author) -> tuple[Left, ...]:
    """What tips have; a stash becomes a commit that a patch can show."""
    return tuple([Left(kind=tip.kind, name=tip.name, oid=await _plain(res, tip, author)) for tip in tips])


async def _plain(res: Result, tip: Tip, author: Author) -> str:
    """A stash is a merge of an index and a tree, of which no patch can be made: its tree on its first parent."""
    if tip.kind != "stash":
        return tip.oid
    found = await res.resolve(f"{tip.oid}^{{tree}}", f"{tip.oid}^1^{{commit}}")
    if found[0] is None or found[1] is None:
        return tip.oid
    return await _commit(res, found[0][0], found[1][0], author, f"What was stashed ({tip.oid[:12]})")


async def _commit(res: Result, tree: str, parent: str, author: Author, message: str) -> str:
    made = await res.bare.do(*_identity(author), "commit-tree", "-p", parent, tree, stdin=message.encode())
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
