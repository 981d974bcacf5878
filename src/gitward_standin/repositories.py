"""Repositories: what the stand-in keeps beside the bare git folders, and who may see and write them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from gitward_standin.accounts import Account, Identity, TokenKind
from gitward_standin.clock import now
from gitward_standin.plumbing import Git
from gitward_standin.rulesets import Rule

if TYPE_CHECKING:
    from gitward_standin.actions import Workflow, WorkflowRun
    from gitward_standin.checks import CheckRun, StatusContext
    from gitward_standin.discussions import Issue, Label, Milestone, PullRequest
    from gitward_standin.history import ChangedFile
    from gitward_standin.releases import Release


class Role(IntEnum):
    """What a user may do in a repository; a higher role includes the lower ones."""

    PULL = 1
    TRIAGE = 2
    PUSH = 3
    MAINTAIN = 4
    ADMIN = 5


@dataclass(kw_only=True, eq=False)
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
    protected: tuple[str, ...]  # branches that refuse pushes: names or globs
    permissions: dict[str, Role]  # by lower-case login
    git: Git
    description: str | None = None
    former_names: list[str] = field(default_factory=list)  # owner/name in lower case; they lead here still
    issues_enabled: bool = True
    largest_file: int = 100 * 1024 * 1024  # bytes
    protection: tuple[str, ...] = ("Changes must be made through a pull request.",)  # why `protected` ones refuse
    rules: list[Rule] = field(default_factory=list)
    push_protection: bool = False  # whether pushes are searched for secrets
    pulls: list[PullRequest] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    labels: dict[str, Label] = field(default_factory=dict)  # by name
    milestones: list[Milestone] = field(default_factory=list)
    check_runs: list[CheckRun] = field(default_factory=list)
    statuses: list[StatusContext] = field(default_factory=list)
    workflows: list[Workflow] = field(default_factory=list)
    runs: list[WorkflowRun] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    changes: dict[tuple[str, str], list[ChangedFile]] = field(default_factory=dict, repr=False)  # between two commits
    last_number: int = 0  # issues and pull requests count together
    created_at: datetime = field(default_factory=now)
    pushed_at: datetime = field(default_factory=now)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def role(self, account: Account | None) -> Role | None:
        """The user's own role, whatever the token may do; None: not even visible."""
        own = self.own_role(account) if account is not None else None
        return own or (None if self.private else Role.PULL)

    def own_role(self, account: Account) -> Role | None:
        """The role that the account was given; None: it is nobody special here."""
        if account.login.lower() == self.owner.login.lower():
            return Role.ADMIN
        return self.permissions.get(account.login.lower())

    def is_protected(self, branch: str) -> bool:
        """Whether classic protection refuses pushes to the branch."""
        return any(fnmatchcase(branch, pattern) for pattern in self.protected)

    def pull(self, number: int) -> PullRequest | None:
        return next((pull for pull in self.pulls if pull.number == number), None)

    def issue(self, number: int) -> Issue | None:
        return next((issue for issue in self.issues if issue.number == number), None)

    def label(self, name: str) -> Label | None:
        """Labels compare without case."""
        return next((label for key, label in self.labels.items() if key.lower() == name.lower()), None)

    async def run_git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """git in the bare folder: its standard output. Raises GitFailed."""
        return await self.git.run(*arguments, cwd=self.path, stdin=stdin)

    async def head(self, branch: str) -> str | None:
        """The commit at a branch's tip; None when there is no such branch."""
        return await self.resolve(f"refs/heads/{branch}")

    async def resolve(self, ref: str) -> str | None:
        """The object of exactly this full ref; None when there is none."""
        if "\0" in ref:
            return None
        return (await self.refs(ref)).get(ref)

    async def branches(self) -> dict[str, str]:
        """Every branch with its commit, in git's order."""
        refs = await self.refs("refs/heads")
        return {ref.removeprefix("refs/heads/"): sha for ref, sha in refs.items()}

    async def refs(self, pattern: str) -> dict[str, str]:
        """The refs below `pattern`, or exactly of that name, each with its object."""
        listing = await self.run_git("for-each-ref", "--format=%(objectname) %(refname)", pattern)
        lines = (line.split(" ", 1) for line in listing.decode().splitlines())
        return {ref: sha for sha, ref in lines}

    async def commits_between(self, base: str, head: str) -> int:
        """How many commits `head` has that `base` has not."""
        return int(await self.run_git("rev-list", "--count", head, f"^{base}"))

    async def commit(
        self,
        branch: str,
        files: Mapping[str, str | bytes],
        *,
        message: str = "Change",
        start: str | None = None,
        deletions: Sequence[str] = (),
    ) -> str:
        """Commits files on a branch (made from the commit `start`, or without parent); returns the commit."""
        tip = await self.head(branch) or start
        stream = _stream(branch, files, deletions, message, tip)
        await self.run_git("fast-import", "--quiet", stdin=stream)
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
        await self.run_git("update-ref", f"refs/pull/{pull.number}/head", pull.head_sha)


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


def role_of(repository: Repository, identity: Identity | None) -> Role | None:
    """What `permissions` tells: the role of the user, not of the token; an App's bot has the App's rights."""
    if identity is None:
        return None
    if identity.token.kind is TokenKind.APP:
        return Role.PUSH if may_write(repository, identity) else Role.PULL
    return repository.role(identity.account)


def may_discuss(repository: Repository, identity: Identity | None) -> bool:
    """Whether the sender may open issues and comment: who may read may, unless the token is read-only."""
    if identity is None or not identity.token.push or not _reaches(repository, identity):
        return False
    return visible(repository, identity) and identity.token.has_scope(
        "repo", *(() if repository.private else ("public_repo",))
    )


def _reaches(repository: Repository, identity: Identity) -> bool:
    listed = identity.token.repositories
    names = {repository.full_name.lower(), *repository.former_names}
    return listed is None or not names.isdisjoint(name.lower() for name in listed)


def _stream(
    branch: str, files: Mapping[str, str | bytes], deletions: Sequence[str], message: str, tip: str | None
) -> bytes:
    """One commit in the language of `git fast-import`."""
    text = message.encode()
    out = [
        f"commit refs/heads/{branch}\ncommitter GitHub <noreply@github.com> {int(time.time())} +0000\n".encode(),
        b"data %d\n%s\n" % (len(text), text),
        f"from {tip}\n".encode() if tip else b"",
    ]
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        out.append(f'M 100644 inline "{_quoted(path)}"\n'.encode() + b"data %d\n%s\n" % (len(data), data))
    out += [f'D "{_quoted(path)}"\n'.encode() for path in deletions]
    return b"".join(out)


def _quoted(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
