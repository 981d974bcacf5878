"""The rules for GitHub's REST API: a list of what is allowed. Whatever is not in it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitward.broker.target import Query
from gitward.broker.verdict import Verdict, allow, deny
from gitward.grants.grant import Grant

_OWN = "{own}"  # in a template: the two segments owner/name of the grant's repository


@dataclass(frozen=True, kw_only=True)
class RestRule:
    """One allowed call. `parameters` are the names that its query may have."""

    name: str
    method: str
    path: str  # below the API's base: "/repos/{own}"
    sentence: str  # what it is for
    parameters: frozenset[str] = frozenset()

    def matches(self, method: str, segments: Sequence[str], grant: Grant) -> bool:
        if method != self.method:
            return False
        template = self.path.removeprefix("/")
        wanted = [part for part in template.replace(_OWN, grant.repository).split("/") if part]
        if _OWN not in template:
            return wanted == list(segments)
        # GitHub compares owner and name without case; everything else is compared as it stands.
        own = template.split("/").index(_OWN)
        return len(wanted) == len(segments) and all(
            _same(asked, want) if own <= place < own + 2 else asked == want
            for place, (asked, want) in enumerate(zip(segments, wanted, strict=True))
        )


RULES: tuple[RestRule, ...] = (
    RestRule(name="rest.root", method="GET", path="/", sentence="gh auth login and status try the credential"),
    RestRule(name="rest.user", method="GET", path="/user", sentence="who the credential belongs to"),
    RestRule(name="rest.repository", method="GET", path="/repos/{own}", sentence="the session's repository"),
)


def check(method: str, segments: Sequence[str], query: Query, grant: Grant) -> Verdict:
    """`segments` are those behind the API's base; one trailing slash is forgiven at the root only."""
    if tuple(segments) == ("",):
        segments = ()
    for rule in RULES:
        if rule.matches(method, segments, grant):
            if {name for name, _ in query} <= rule.parameters:
                return allow(rule.name)
            return deny(rule.name, f"{rule.path} takes no such parameters in this session")
    return deny("rest.unlisted", f"this session may only ask for {_listed(grant)}")


def _listed(grant: Grant) -> str:
    return ", ".join(f"{rule.method} {rule.path.replace(_OWN, grant.repository)}" for rule in RULES)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
