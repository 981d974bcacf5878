"""The rules for git's smart HTTP protocol: who may be fetched, who may be pushed to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gitward.broker.target import Query
from gitward.broker.verdict import Verdict, allow, deny
from gitward.grants.grant import Grant


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


def check(call: GitCall, grant: Grant) -> Verdict:
    """Whether the repository may be fetched, or pushed to at all; which refs may be pushed is `push`'s to say."""
    own = _same(call.repository, grant.repository)
    if call.service is Service.PUSH:
        if own:
            return allow("git.push")
        return deny("git.push.repository", f"this session may only push to {grant.repository}")
    if own or any(_same(call.repository, other) for other in grant.readable):
        return allow("git.fetch")
    readable = ", ".join((grant.repository, *grant.readable))
    return deny("git.fetch.repository", f"this session may only fetch from {readable}")


def upstream_path(call: GitCall, grant: Grant) -> str:
    """Where an allowed call goes: the repository in the grant's own spelling, whatever the sandbox wrote."""
    spelled = next(name for name in (grant.repository, *grant.readable) if _same(name, call.repository))
    if call.advertisement:
        return f"/{spelled}.git/info/refs?service={call.service}"
    return f"/{spelled}.git/{call.service}"


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
