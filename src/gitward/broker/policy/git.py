"""The rules for git's smart HTTP protocol: which repositories a run may fetch, and push to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gitward.broker.policy.verdict import Verdict, allow, deny
from gitward.broker.wire.target import Query
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant

PUBLIC = "git.fetch.public"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


class Service(StrEnum):
    """git's own names."""

    FETCH = "git-upload-pack"
    PUSH = "git-receive-pack"


@dataclass(frozen=True, kw_only=True)
class GitCall:
    """One request of the protocol, before it is known whether it is allowed."""

    owner: str
    name: str  # without .git
    service: Service
    advertisement: bool  # GET info/refs; else the POST

    @property
    def repository(self) -> str:
        return f"{self.owner}/{self.name}"


def parse(method: str, segments: Sequence[str], query: Query) -> GitCall | Verdict:
    """The call, or the refusal of what is no call of the smart protocol."""
    if len(segments) < 3:
        return deny("git.unlisted", "only git's own requests for a repository are allowed on this host")
    owner, name, *rest = segments
    name = name.removesuffix(".git")
    if method == "GET" and rest == ["info", "refs"]:
        services = {(("service", str(service)),): service for service in Service}
        if query in services:
            return GitCall(owner=owner, name=name, service=services[query], advertisement=True)
        return deny(
            "git.dumb", "only git's smart HTTP protocol is allowed (service=git-upload-pack or git-receive-pack)"
        )
    if method == "POST" and len(rest) == 1 and rest[0] in set(Service) and not query:
        return GitCall(owner=owner, name=name, service=Service(rest[0]), advertisement=False)
    return deny("git.unlisted", "only git's fetch and push are allowed on this host")


def is_listed(repository: str, grant: Grant) -> bool:
    """Whether the grant names the repository, so that the token may be used for it."""
    return any(_same(repository, name) for name in (grant.repository, *grant.readable))


def may_be_public(repository: str, grant: Grant) -> bool:
    """Whether the repository may be fetched without a token; whether it can be is GitHub's to say."""
    return grant.public_read and not is_listed(repository, grant) and bool(_NAME.fullmatch(repository))


def hidden(repository: str, grant: Grant, status: int) -> PolicyDenied:
    """The refusal when GitHub does not show the repository to anybody: a redirect's status, or another."""
    if 300 <= status < 400:  # after it has authenticated, git does not follow
        return PolicyDenied(PUBLIC, f"{repository} has moved on GitHub; use its new name")
    message = f"this session may only fetch from {_readable(grant)} and public repositories; {repository} is not public"
    return PolicyDenied(PUBLIC, message)


def check(call: GitCall, grant: Grant) -> Verdict:
    """Whether the repository may be fetched, or pushed to at all; which refs may be pushed is `push`'s to say."""
    own = _same(call.repository, grant.repository)
    if call.service is Service.PUSH:
        if own:
            return allow("git.push")
        return deny("git.push.repository", f"this session may only push to {grant.repository}")
    if is_listed(call.repository, grant):
        return allow("git.fetch")
    if may_be_public(call.repository, grant):
        return allow(PUBLIC)
    return deny("git.fetch.repository", f"this session may only fetch from {_readable(grant)}")


def upstream_path(call: GitCall, grant: Grant) -> str:
    """Where an allowed call goes: the repository in the grant's own spelling, whatever the sandbox wrote.

    A public repository has no spelling of ours; its name consists of harmless characters.
    """
    listed = (name for name in (grant.repository, *grant.readable) if _same(name, call.repository))
    spelled = next(listed, call.repository)
    if call.advertisement:
        return f"/{spelled}.git/info/refs?service={call.service}"
    return f"/{spelled}.git/{call.service}"


def _readable(grant: Grant) -> str:
    return ", ".join((grant.repository, *grant.readable))


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
