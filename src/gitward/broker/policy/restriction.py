"""Restricts a grant to one purpose: fetching a mirror, or publishing a run's work.

A restriction applies after the grant's own rules have allowed a request, so it can only take away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gitward.broker.policy.git import GitCall, Service
from gitward.broker.policy.lfs import Batch, Call, LfsCall
from gitward.broker.policy.push import PushHead, Update
from gitward.broker.policy.verdict import Verdict, allow, deny
from gitward.grants.grant import ExactPush, Grant

FETCH_ONLY = "fetch.only"
PUBLISH_ONLY = "publish.only"
MESSAGES = {
    FETCH_ONLY: "this access may only fetch {repository} and download its LFS objects",
    PUBLISH_ONLY: "the work of this run is being published; only its own push to {branch} is allowed now",
}


class Restriction(Protocol):
    """Answers for git and LFS. REST, GraphQL and other hosts have no question here: they are refused."""

    @property
    def refusal(self) -> Verdict:
        """The answer to everything that is not allowed."""
        ...

    @property
    def lists_only(self) -> bool:
        """Whether a POST git-upload-pack may only be ls-refs; the caller reads its body."""
        ...

    def git(self, call: GitCall) -> Verdict: ...

    def push(self, head: PushHead) -> Verdict: ...

    def lfs(self, call: LfsCall, method: str) -> Verdict: ...

    def lfs_batch(self, batch: Batch) -> Verdict: ...


@dataclass(frozen=True, kw_only=True)
class FetchOnly:
    """A grant that makes or refreshes a mirror."""

    repository: str
    lists_only: bool = False

    @property
    def refusal(self) -> Verdict:
        return deny(FETCH_ONLY, MESSAGES[FETCH_ONLY].format(repository=self.repository))

    def git(self, call: GitCall) -> Verdict:
        own = _same(call.repository, self.repository)
        return allow("git.fetch") if own and call.service is Service.FETCH else self.refusal

    def push(self, head: PushHead) -> Verdict:
        del head
        return self.refusal

    def lfs(self, call: LfsCall, method: str) -> Verdict:
        down = call.call is Call.BATCH or (call.call is Call.ACTION and method == "GET")
        return allow("lfs.download") if down and _same(call.repository, self.repository) else self.refusal

    def lfs_batch(self, batch: Batch) -> Verdict:
        return allow("lfs.download") if batch.operation == "download" else self.refusal


@dataclass(frozen=True, kw_only=True)
class Publishing:
    """A grant that publishes: of the push, what git and git-lfs ask around it, and of nothing else."""

    repository: str
    exact: ExactPush
    lists_only: bool = True
    lfs_oids: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lfs_oids", frozenset(self.exact.lfs_oids))

    @property
    def refusal(self) -> Verdict:
        branch = self.exact.ref.removeprefix("refs/heads/")
        return deny(PUBLISH_ONLY, MESSAGES[PUBLISH_ONLY].format(branch=branch))

    def git(self, call: GitCall) -> Verdict:
        return allow("git.publish") if _same(call.repository, self.repository) else self.refusal

    def push(self, head: PushHead) -> Verdict:
        """The one update, or git's probe before it."""
        wanted = Update(old=self.exact.old, new=self.exact.new, ref=self.exact.ref)
        return allow("git.publish") if head.updates in ((), (wanted,)) else self.refusal

    def lfs(self, call: LfsCall, method: str) -> Verdict:
        up = call.call in {Call.BATCH, Call.VERIFY_LOCKS} or (call.call is Call.ACTION and method != "GET")
        return allow("lfs.upload") if up and _same(call.repository, self.repository) else self.refusal

    def lfs_batch(self, batch: Batch) -> Verdict:
        named = batch.operation == "upload" and batch.oids <= self.lfs_oids
        return allow("lfs.upload") if named else self.refusal


def restriction_of(grant: Grant) -> Restriction | None:
    """The restriction that a grant has from its opening."""
    return FetchOnly(repository=grant.repository) if grant.fetch_only else None


def publishing(grant: Grant, push: ExactPush) -> Publishing:
    """The restriction of a grant that is narrowed. Raises ValueError for a push that the grant did not allow before."""
    if grant.fetch_only or push.ref != grant.push_ref:
        raise ValueError(f"this grant cannot be narrowed to a push of {push.ref}")
    return Publishing(repository=grant.repository, exact=push)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
