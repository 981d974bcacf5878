"""The rules for GitHub's REST API: a list of the allowed calls. Every other call is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from gitward.broker.policy.argument import ANY, HEAD, Argument
from gitward.broker.policy.verdict import Verdict, deny
from gitward.broker.policy.writes import BASE, DRAFT, NONE, OWN_ONLY, PEOPLE, RULE, TEXT, UNSET
from gitward.broker.wire.json_body import Malformed, read_object
from gitward.broker.wire.target import Query
from gitward.grants.grant import Grant

OWN = ("repos", "{owner}", "{name}")  # how the paths of the session's repository begin
_PLACES = {
    "{number}": re.compile(r"0|[1-9][0-9]{0,18}"),
    "{one}": re.compile(r".+"),
    "{sha}": re.compile(r"[0-9a-f]{4,64}"),
}
# Last in a template: one segment or more. A colon in a comparison would name another repository of the network.
_REST = {"{path}": "", "{range}": ":"}
OPENING = "rest.issues.create"  # the rule whose answer tells the number of a new issue
_NOTHING: Mapping[str, Argument] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class RestRule:
    """One allowed call. `path` is below the API's base, or with `own` below the session's repository."""

    name: str
    method: str
    path: str  # "pulls/{number}/files"
    sentence: str  # what it is for
    own: bool = True
    parameters: frozenset[str] = frozenset()  # names that the query may have
    # Members that the JSON body may have; a rule without any sends no body on.
    body: Mapping[str, Argument] = field(default_factory=lambda: _NOTHING)
    own_number: frozenset[str] = frozenset()  # what {number} must be of the session: PullRequest, Issue

    @property
    def template(self) -> tuple[str, ...]:
        return (*(OWN if self.own else ()), *(part for part in self.path.split("/") if part))


# fmt: off
_READING = frozenset(
    {
        "actor", "anon", "assignee", "author", "base", "branch", "check_name", "check_suite_id",
        "created", "creator", "direction", "event", "exclude_pull_requests", "filter", "head", "head_sha",
        "labels", "mentioned", "milestone", "page", "path", "per_page", "protected", "recursive", "ref",
        "sha", "since", "sort", "state", "status", "until",
    }
)
# fmt: on


def _read(name: str, sentence: str, *paths: str) -> tuple[RestRule, ...]:
    return tuple(RestRule(name=name, method="GET", path=path, sentence=sentence, parameters=_READING) for path in paths)


def _write(name: str, method: str, path: str, sentence: str, *own_number: str, **body: Argument) -> RestRule:
    return RestRule(
        name=name,
        method=method,
        path=path,
        sentence=sentence,
        body=MappingProxyType(body),
        own_number=frozenset(own_number),
    )


# GitHub gives the objects of every fork by id, and takes the first four letters for one: such a name can be guessed.
# git takes the end of what `git describe` prints for one too.
_ABBREVIATED = re.compile(
    r"(?:.*-g)?[0-9a-f]{4,39}(?:[~^@:;].*|\.(?:diff|patch|json|html|atom|rss|txt|xml))?", re.IGNORECASE | re.DOTALL
)
_AROUND = re.compile(r"[\s\x00-\x1f\x7f\ufeff^]+")  # in no name; a server may leave it out
_COMMITS = frozenset({"ref", "sha"})  # parameters that name one
ABBREVIATED = (
    "a commit must be named by its full id, and a branch or tag whose name looks like the beginning of one by "
    "refs/heads/… or refs/tags/…"
)

_READS: tuple[RestRule, ...] = (
    RestRule(name="rest.root", method="GET", path="", own=False, sentence="gh tries the credential"),
    RestRule(name="rest.user", method="GET", path="user", own=False, sentence="the owner of the credential"),
    RestRule(name="rest.rate_limit", method="GET", path="rate_limit", own=False, sentence="remaining requests"),
    *_read("rest.repository", "the session's repository", "", "languages", "topics", "contributors", "assignees"),
    *_read("rest.files", "files of any commit", "readme", "contents", "contents/{path}",
           "git/blobs/{sha}", "git/trees/{sha}"),
    *_read("rest.refs", "branches and tags", "branches", "branches/{one}", "tags", "git/tags/{sha}", "git/ref/{path}",
           "git/matching-refs/{path}"),
    *_read("rest.commits", "commits, their checks, and what differs between two", "commits", "commits/{path}",
           "git/commits/{sha}", "compare/{range}"),
    *_read("rest.checks", "results of checks", "check-runs/{number}", "check-runs/{number}/annotations",
           "check-suites/{number}", "check-suites/{number}/check-runs"),
    *_read("rest.pulls", "pull requests", "pulls", "pulls/{number}", "pulls/{number}/files", "pulls/{number}/commits",
           "pulls/{number}/reviews", "pulls/{number}/comments", "pulls/{number}/requested_reviewers",
           "pulls/comments", "pulls/comments/{number}"),
    *_read("rest.issues", "issues and the comments of both", "issues", "issues/{number}", "issues/{number}/comments",
           "issues/{number}/labels", "issues/{number}/events", "issues/comments",
           "issues/comments/{number}"),
    *_read("rest.labels", "labels and milestones", "labels", "labels/{one}", "milestones", "milestones/{number}"),
    *_read("rest.releases", "releases", "releases", "releases/latest", "releases/{number}", "releases/tags/{path}",
           "releases/{number}/assets"),
    *_read("rest.actions", "runs of workflows, without their logs and artifacts' contents", "actions/runs",
           "actions/runs/{number}", "actions/runs/{number}/jobs", "actions/runs/{number}/artifacts",
           "actions/runs/{number}/attempts/{number}", "actions/runs/{number}/attempts/{number}/jobs",
           "actions/jobs/{number}", "actions/workflows", "actions/workflows/{one}", "actions/workflows/{one}/runs"),
)  # fmt: skip
_WRITES: tuple[RestRule, ...] = (
    _write("rest.pulls.create", "POST", "pulls", "a pull request of the session's branch", title=ANY, body=ANY,
           head=HEAD, base=ANY, draft=ANY, maintainer_can_modify=ANY),
    _write("rest.pulls.edit", "PATCH", "pulls/{number}", "texts and base of a pull request", title=ANY, body=ANY,
           base=ANY, maintainer_can_modify=ANY),
    _write("rest.pulls.reviewers", "POST", "pulls/{number}/requested_reviewers", "requests for a review",
           reviewers=PEOPLE, team_reviewers=ANY),
    _write(OPENING, "POST", "issues", "an issue", title=ANY, body=ANY, labels=ANY, assignees=PEOPLE,
           milestone=ANY),
    _write("rest.issues.edit", "PATCH", "issues/{number}", "texts, labels and people of an issue or pull request",
           title=ANY, body=ANY, labels=ANY, assignees=PEOPLE, milestone=ANY),
    _write("rest.issues.comment", "POST", "issues/{number}/comments", "a comment on an issue or pull request",
           body=ANY),
    _write("rest.issues.labels", "POST", "issues/{number}/labels", "labels of an issue or pull request", labels=ANY),
    _write("rest.issues.assignees", "POST", "issues/{number}/assignees", "assignees of an issue or pull request",
           assignees=PEOPLE),
)  # fmt: skip
_OWN_WRITES: tuple[RestRule, ...] = (
    _write("rest.pulls.create", "POST", "pulls", "a pull request of the session's branch", title=TEXT, body=TEXT,
           head=HEAD, base=BASE, draft=DRAFT, maintainer_can_modify=ANY),
    _write("rest.pulls.edit", "PATCH", "pulls/{number}", "texts of the session's pull request", "PullRequest",
           title=TEXT, body=TEXT),
    _write(OPENING, "POST", "issues", "an issue", title=TEXT, body=TEXT, labels=NONE, assignees=NONE,
           milestone=UNSET),
    _write("rest.issues.edit", "PATCH", "issues/{number}", "texts of the session's own issues and pull request",
           "PullRequest", "Issue", title=TEXT, body=TEXT),
    _write("rest.issues.comment", "POST", "issues/{number}/comments", "a comment on these", "PullRequest", "Issue",
           body=TEXT),
)  # fmt: skip
RULES = (*_READS, *_WRITES)  # with GITWARD_WRITES=repository
OWN_RULES = (*_READS, *_OWN_WRITES)  # with GITWARD_WRITES=own


def rules_of(grant: Grant) -> Sequence[RestRule]:
    return OWN_RULES if grant.own_writes else RULES


@dataclass(frozen=True, kw_only=True)
class RestCall:
    """An allowed call, in the grant's own spelling. Its body is still to be checked."""

    rule: RestRule
    segments: tuple[str, ...]

    @property
    def number(self) -> int | None:
        """The pull request or issue that is written, when it must be the session's own."""
        if not self.rule.own_number:
            return None
        return int(self.segments[self.rule.template.index("{number}")])


def find(method: str, segments: Sequence[str], query: Query, grant: Grant) -> RestCall | Verdict:
    """`segments` are those behind the API's base; one trailing slash is forgiven at the root only.

    GitHub's links to further pages name a repository by its number: they are understood too.
    """
    parts = () if tuple(segments) == ("",) else tuple(segments)
    own = ("repos", *grant.repository.split("/"))
    if grant.repository_id is not None and parts[:2] == ("repositories", str(grant.repository_id)):
        parts = (*own, *parts[2:])
    if parts[:1] == ("repos",) and [part.casefold() for part in parts[1:3]] == [part.casefold() for part in own[1:]]:
        parts = (*own, *parts[3:])
    elif parts[:1] in {("repos",), ("repositories",)}:
        return deny("rest.repository", f"this session may only use the REST API of {grant.repository}")
    for rule in rules_of(grant):
        if rule.method == method and _matches(rule, parts, own):
            if unknown := {name for name, _ in query} - rule.parameters:
                return deny(rule.name, f"the parameter {min(unknown)[:50]} is not allowed here in this session")
            if _abbreviates(rule, parts, query):
                return deny("rest.abbreviated", ABBREVIATED)
            return RestCall(rule=rule, segments=parts)
    if grant.own_writes and any(rule.method == method and _matches(rule, parts, own) for rule in _WRITES):
        return deny(RULE, OWN_ONLY)
    return deny(
        "rest.unlisted",
        f"this session may not use {method} /{'/'.join(parts)[:150]}; it may read {grant.repository} and write the "
        "texts of its issues and pull requests",
    )


def _abbreviates(rule: RestRule, parts: Sequence[str], query: Query) -> bool:
    """Whether a call names an object by the beginning of its id."""
    named = [value for name, value in query if name in _COMMITS]
    below = parts[len(OWN) :]
    if rule.path == "commits/{path}":
        named += ["/".join(below[1:end]) for end in range(2, len(below) + 1)]  # what follows may be a question about it
    elif rule.path == "compare/{range}":
        named += re.split(r"\.{2,3}", "/".join(below[1:]))
    elif "{sha}" in rule.path:
        named += below[-1:]
    return any(_ABBREVIATED.fullmatch(_AROUND.sub("", name)) for name in named)


def refusal_status(segments: Sequence[str]) -> int:
    """403, but where gh 2.23 shows a text of its own in place of a 403's message."""
    return 422 if segments[-1:] and segments[-1] in {"rerun", "rerun-failed-jobs"} else 403


def check_body(rule: RestRule, body: bytes, grant: Grant) -> bytes | Verdict:
    """What goes upstream: the body as it was understood."""
    try:
        given = read_object(body)
    except Malformed:
        return deny(rule.name, "the body must be one JSON object in UTF-8")
    problem = _problem(rule, given, grant)
    if problem is not None:
        return problem
    return json.dumps({name: rule.body[name].spelled(value, grant) for name, value in given.items()}).encode()


def _problem(rule: RestRule, given: Mapping[str, Any], grant: Grant) -> Verdict | None:
    for name, value in given.items():
        argument = rule.body.get(name)
        if argument is None and grant.own_writes and name in _more(rule):
            return deny(RULE, f"{name} cannot be written here: {OWN_ONLY}")
        if argument is None:
            return deny(rule.name, f"the member {name[:50]} is not allowed in this session")
        if (problem := argument.problem(value, grant)) is not None:
            return deny(rule.name, f"{name} must {problem}")
    if missing := {name for name, argument in rule.body.items() if argument.required} - set(given):
        return deny(rule.name, f"the member {min(missing)} is missing")
    implied = {name: argument for name, argument in rule.body.items() if argument.implied and name not in given}
    wrong = next((name for name, argument in implied.items() if not argument.accepts(None, grant)), None)
    return None if wrong is None else deny(rule.name, f"{wrong} must be {implied[wrong].allows}")


def logins_in(rule: RestRule, body: bytes) -> frozenset[str]:
    """Of a checked body: the logins that must be people's."""
    named = [name for name, argument in rule.body.items() if argument.people]
    given = json.loads(body) if named else {}
    return frozenset(login for name in named for login in given.get(name) or ())


def _more(rule: RestRule) -> frozenset[str]:
    """The members that a body may have with GITWARD_WRITES=repository."""
    return frozenset(name for other in _WRITES if other.name == rule.name for name in other.body)


def _matches(rule: RestRule, parts: tuple[str, ...], own: tuple[str, ...]) -> bool:
    template = rule.template
    if rule.own:
        if parts[: len(own)] != own:
            return False
        template, parts = template[len(OWN) :], parts[len(own) :]
    if template and (forbidden := _REST.get(template[-1])) is not None:
        template, rest = template[:-1], parts[len(template) - 1 :]
        if not rest or "" in rest or (forbidden and any(forbidden in part for part in rest)):
            return False
        parts = parts[: len(template)]
    return len(template) == len(parts) and all(map(_fits, template, parts))


def _fits(wanted: str, part: str) -> bool:
    place: Any = _PLACES.get(wanted)
    return part == wanted if place is None else bool(place.fullmatch(part))
