"""Repositories and their pull requests: what the stand-in keeps beside the bare git folders."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from gitward.standin.accounts import Account, Identity, TokenKind
from gitward.standin.plumbing import Git


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class Role(IntEnum):
    """What a user may do in a repository; a higher role includes the lower ones."""

    PULL = 1
    TRIAGE = 2
    PUSH = 3
    MAINTAIN = 4
    ADMIN = 5


@dataclass(kw_only=True)
class PullRequest:
    """A pull request from a branch of the same repository."""

    id: int
    number: int
    title: str
    body: str | None
    author: Account
    head: str  # branch
    base: str  # branch
    head_sha: str  # the last one seen; kept when the branch is deleted
    base_sha: str
    draft: bool = False
    state: str = "open"  # open or closed
    labels: list[str] = field(default_factory=list)
    reviewers: list[Account] = field(default_factory=list)
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    closed_at: datetime | None = None
    html_url: str = ""


@dataclass(kw_only=True)
class Repository:
    """One repository. Names compare without case; `owner` and `name` are GitHub's spelling."""

    id: int
    owner: Account
    name: str
    path: Path  # the bare git folder
    default_branch: str
    private: bool
    archived: bool
    drafts: bool  # whether draft pull requests are supported
    protected: tuple[str, ...]  # branches that refuse pushes
    permissions: dict[str, Role]  # by lower-case login
    git: Git
    pulls: list[PullRequest] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)  # name -> id
    last_number: int = 0  # issues and pull requests count together
    created_at: datetime = field(default_factory=now)
    pushed_at: datetime = field(default_factory=now)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def role(self, account: Account | None) -> Role | None:
        """The user's own role, whatever the token may do; None: not even visible."""
        if account is not None:
            if account.login.lower() == self.owner.login.lower():
                return Role.ADMIN
            role = self.permissions.get(account.login.lower())
            if role is not None:
                return role
        return None if self.private else Role.PULL

    def pull(self, number: int) -> PullRequest | None:
        return next((pull for pull in self.pulls if pull.number == number), None)

    async def head(self, branch: str) -> str | None:
        """The commit at a branch's tip; None when there is no such branch."""
        return await self.resolve(f"refs/heads/{branch}")

    async def resolve(self, ref: str) -> str | None:
        """The object of exactly this full ref; None when there is none."""
        if "\0" in ref:
            return None
        return (await self._refs(ref)).get(ref)

    async def branches(self) -> dict[str, str]:
        """Every branch with its commit, in git's order."""
        refs = await self._refs("refs/heads")
        return {ref.removeprefix("refs/heads/"): sha for ref, sha in refs.items()}

    async def _refs(self, pattern: str) -> dict[str, str]:
        listing = await self.git.run("for-each-ref", "--format=%(objectname) %(refname)", pattern, cwd=self.path)
        lines = (line.split(" ", 1) for line in listing.decode().splitlines())
        return {ref: sha for sha, ref in lines}

    async def commits_between(self, base: str, head: str) -> int:
        """How many commits `head` has that `base` has not."""
        return int(await self.git.run("rev-list", "--count", head, f"^{base}", cwd=self.path))

    async def commit(
        self,
        branch: str,
        files: Mapping[str, str | bytes],
        *,
        message: str = "Change",
        start: str | None = None,
    ) -> str:
        """Commits files on a branch (made from the commit `start`, or without parent); returns the commit."""
        tip = await self.head(branch) or start
        await self.git.run("fast-import", "--quiet", cwd=self.path, stdin=_stream(branch, files, message, tip))
        await self.follow_pushes()
        head = await self.head(branch)
        assert head is not None
        return head

    async def follow_pushes(self) -> None:
        """Brings open pull requests, and refs/pull/N/head, up to their branches."""
        self.pushed_at = now()
        for pull in self.pulls:
            head = await self.head(pull.head) if pull.state == "open" else None
            if head is not None and head != pull.head_sha:
                pull.head_sha, pull.updated_at = head, now()
                await self.keep_head(pull)

    async def keep_head(self, pull: PullRequest) -> None:
        await self.git.run("update-ref", f"refs/pull/{pull.number}/head", pull.head_sha, cwd=self.path)


def visible(repository: Repository, identity: Identity | None) -> bool:
    """Whether the sender sees the repository at all; if not, GitHub says that it does not exist."""
    if identity is None:
        return not repository.private
    if not repository.private:
        return True
    token = identity.token
    if not _reaches(repository, identity) or not token.has_scope("repo"):
        return False
    return token.kind is TokenKind.APP or repository.role(identity.account) is not None


def may_write(repository: Repository, identity: Identity | None) -> bool:
    """Whether both the token and the user behind it may push and open pull requests."""
    if identity is None or not identity.token.push or not _reaches(repository, identity):
        return False
    if not identity.token.has_scope("repo", *(() if repository.private else ("public_repo",))):
        return False
    if identity.token.kind is TokenKind.APP:
        return True
    role = repository.role(identity.account)
    return role is not None and role >= Role.PUSH


def _reaches(repository: Repository, identity: Identity) -> bool:
    listed = identity.token.repositories
    return listed is None or repository.full_name.lower() in {name.lower() for name in listed}


def _stream(branch: str, files: Mapping[str, str | bytes], message: str, tip: str | None) -> bytes:
    """One commit in the language of `git fast-import`."""
    text = message.encode()
    out = [
        f"commit refs/heads/{branch}\ncommitter GitHub <noreply@github.com> {int(time.time())} +0000\n".encode(),
        b"data %d\n%s\n" % (len(text), text),
        f"from {tip}\n".encode() if tip else b"",
    ]
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        out.append(f'M 100644 inline "{quoted}"\n'.encode() + b"data %d\n%s\n" % (len(data), data))
    return b"".join(out)
