"""What the stand-in keeps of GitHub: repositories, and what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from gitward_standin.accounts import Account, Role, Team
from gitward_standin.clock import now
from gitward_standin.git_folder import GitFolder
from gitward_standin.rulesets import Rule


@dataclass(kw_only=True, eq=False)
class Repository(GitFolder):
    """One repository. Names compare without case; `owner` and `name` are GitHub's spelling."""

    id: int
    owner: Account
    name: str
    default_branch: str
    private: bool
    archived: bool
    drafts: bool  # whether draft pull requests are supported
    protected: tuple[str, ...]  # branches that refuse pushes: names or globs
    permissions: dict[str, Role]  # by lower-case login
    description: str | None = None
    former_names: list[str] = field(default_factory=list)  # owner/name in lower case; they lead here still
    issues_enabled: bool = True
    size_kib: int = 0  # as GitHub tells it, hours late
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
        await self.add_commit(branch, files, deletions, message, tip)
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


@dataclass(kw_only=True, eq=False)
class Label:
    repository: Repository = field(repr=False)
    id: int
    name: str
    color: str = "ededed"
    description: str | None = None
    created_at: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class Milestone:
    repository: Repository = field(repr=False)
    id: int
    number: int
    title: str
    description: str | None = None
    due_on: datetime | None = None
    state: str = "open"  # open or closed
    created_at: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class Comment:
    on: Discussion = field(repr=False)
    id: int
    author: Account
    body: str
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)

    @property
    def repository(self) -> Repository:
        return self.on.repository

    @property
    def html_url(self) -> str:
        return f"{self.on.html_url}#issuecomment-{self.id}"


@dataclass(kw_only=True, eq=False)
class Discussion:
    """What an issue and a pull request have in common. Both are numbered by one count."""

    repository: Repository = field(repr=False)
    id: int
    number: int
    title: str
    body: str | None
    author: Account
    state: str = "open"  # open or closed
    state_reason: str | None = None  # of an issue: completed, not_planned or reopened
    labels: list[str] = field(default_factory=list)
    assignees: list[Account] = field(default_factory=list)
    milestone: Milestone | None = None
    comments: list[Comment] = field(default_factory=list)
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    closed_at: datetime | None = None
    html_url: str = ""

    def close(self) -> None:
        self.state, self.closed_at, self.updated_at = "closed", now(), now()

    def reopen(self) -> None:
        self.state, self.closed_at, self.updated_at = "open", None, now()

    def label(self, *names: str) -> None:
        """Names as the repository spells them; those it has already are ignored."""
        self.labels += [name for name in dict.fromkeys(names) if name not in self.labels]
        self.updated_at = now()


@dataclass(kw_only=True, eq=False)
class Issue(Discussion):
    """An issue that is no pull request."""


@dataclass(kw_only=True, eq=False)
class Review:
    on: PullRequest = field(repr=False)
    id: int
    author: Account
    state: str  # approved, changes_requested or commented
    body: str
    commit: str
    submitted_at: datetime = field(default_factory=now)

    @property
    def repository(self) -> Repository:
        return self.on.repository

    @property
    def html_url(self) -> str:
        return f"{self.on.html_url}#pullrequestreview-{self.id}"


@dataclass(frozen=True, kw_only=True)
class AutoMerge:
    """The wish that a pull request be merged when it can be. The stand-in keeps it, and never acts on it."""

    method: str  # merge, squash or rebase
    by: Account
    since: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class PullRequest(Discussion):
    """A pull request from a branch of the same repository."""

    head: str  # branch
    base: str  # branch
    head_sha: str  # the last one seen; kept when the branch is deleted
    base_sha: str
    draft: bool = False
    reviewers: list[Account] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)  # whose review is requested
    reviews: list[Review] = field(default_factory=list)
    auto_merge: AutoMerge | None = None
    merged_at: datetime | None = None
    merged_by: Account | None = None
    merge_sha: str | None = None


@dataclass(kw_only=True, eq=False)
class Workflow:
    repository: Repository = field(repr=False)
    id: int
    name: str
    path: str  # .github/workflows/ci.yml
    state: str = "active"
    created_at: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class WorkflowRun:
    workflow: Workflow
    id: int
    suite_id: int  # of the check suite that goes with it
    number: int
    event: str  # push, pull_request, …
    branch: str
    sha: str
    title: str
    actor: Account
    status: str = "completed"  # queued, in_progress or completed
    conclusion: str | None = "success"
    attempt: int = 1
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)

    @property
    def repository(self) -> Repository:
        return self.workflow.repository

    @property
    def jobs(self) -> list[CheckRun]:
        return [check for check in self.repository.check_runs if check.run is self]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a job."""

    number: int
    name: str
    conclusion: str | None  # None: not completed
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A remark of a check about a line."""

    path: str
    line: int
    level: str  # notice, warning or failure
    message: str


@dataclass(kw_only=True, eq=False)
class CheckRun:
    """One check. With a `run` it is a job of that workflow run, under the same number."""

    repository: Repository = field(repr=False)
    id: int
    name: str
    sha: str
    status: str = "completed"  # queued, in_progress or completed
    conclusion: str | None = "success"
    run: WorkflowRun | None = field(default=None, repr=False)
    steps: tuple[Step, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    started_at: datetime = field(default_factory=now)
    completed_at: datetime | None = field(default_factory=now)
    details_url: str = ""


@dataclass(kw_only=True, eq=False)
class StatusContext:
    """A commit status, of the older API that needs no check."""

    repository: Repository = field(repr=False)
    id: int
    sha: str
    context: str
    state: str  # success, failure, error or pending
    creator: Account
    description: str | None = None
    target_url: str | None = None
    created_at: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class Release:
    repository: Repository = field(repr=False)
    id: int
    tag: str
    name: str
    body: str
    author: Account
    draft: bool = False
    prerelease: bool = False
    target: str = ""  # what the tag was made from: a branch or a commit
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, kw_only=True)
class ChangedFile:
    path: str
    status: str  # added, modified, removed or renamed
    additions: int
    deletions: int
    sha: str  # of the new content; of the old one when the file was removed
    patch: str
