"""Rules of a repository that refuse a push to the session's branch, as far as GitHub reports them beforehand.

Source: GitHub's documentation, "REST API endpoints for rules", "Available rules for rulesets".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitward.github.client import Connection, path_of
from gitward.github.concurrent_calls import all_of
from gitward.github.names import one_line

Entry = Mapping[str, object]  # a rule as GitHub tells it

_MAX_RULES = 20  # that are looked at; a repository may have hundreds
_NEVER, _ALWAYS = frozenset({"never", "pull_requests_only"}), frozenset({"always", "exempt"})

# What a push must be like, though the job or its command may make it so.
_DEMANDS = {
    "required_signatures": "commits must be signed, and Gitward does not sign its commits",
    "pull_request": "changes must come by a pull request from another branch",
    "required_status_checks": "commits must have passed status checks before they are pushed",
    "required_deployments": "commits must be deployed before they are pushed",
    "merge_queue": "changes must come by the merge queue",
}
_PATTERNS = {
    "commit_message_pattern": "the message of each commit",
    "commit_author_email_pattern": "the author's e-mail address of each commit",
    "committer_email_pattern": "the committer's e-mail address of each commit",
    "branch_name_pattern": "the name of a branch",
}
_VERBS = {
    "starts_with": "must begin with",
    "ends_with": "must end with",
    "contains": "must contain",
    "regex": "must match",
}
_NEGATED = {
    "starts_with": "must not begin with",
    "ends_with": "must not end with",
    "contains": "must not contain",
    "regex": "must not match",
}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A rule that the push will, or may, break."""

    message: str
    is_certain: bool


@dataclass(frozen=True, kw_only=True)
class _Rule:
    ruleset: int
    source: str  # the repository or organization that has it
    sentence: str  # what it wants
    is_broken: bool  # whether a push of the branch breaks it whatever is in it


async def active_rules(github: Connection, repository: str, branch: str) -> tuple[Entry, ...]:
    """The rules that hold for a branch of this name, whether it is there or not; none where GitHub tells none."""
    answer = await github.get(path_of(repository, "rules", "branches", branch), per_page="100")
    if answer.status != 200 or not isinstance(answer.body, list):
        return ()
    return tuple(each for each in answer.body if isinstance(each, dict))[:_MAX_RULES]


async def find_refusals(
    github: Connection, repository: str, branch: str, entries: Sequence[Entry], *, exists: bool
) -> tuple[Refusal, ...]:
    """What the branch's rules refuse to this token.

    :param exists: whether the branch is upstream already.
    """
    rules = [rule for entry in entries if (rule := _read(entry, branch, exists=exists)) is not None]
    rulesets = sorted({rule.ruleset for rule in rules})
    bypasses = await all_of(*(_bypass(github, repository, ruleset) for ruleset in rulesets))
    return _judged(rules, dict(zip(rulesets, bypasses, strict=True)), branch)


def _judged(rules: Sequence[_Rule], bypasses: Mapping[int, str], branch: str) -> tuple[Refusal, ...]:
    """Without the rules that the token's owner may pass by."""
    return tuple(
        Refusal(
            message=f"A rule of {rule.source} for the branch {branch}: {rule.sentence}.",
            is_certain=rule.is_broken and bypasses[rule.ruleset] in _NEVER,
        )
        for rule in rules
        if bypasses[rule.ruleset] not in _ALWAYS
    )


async def _bypass(github: Connection, repository: str, ruleset: int) -> str:
    """Whether the token's owner may pass the ruleset by, in GitHub's words; empty when it is not told."""
    answer = await github.get(path_of(repository, "rulesets", ruleset))
    told = answer.body.get("current_user_can_bypass") if isinstance(answer.body, dict) else None
    return told if answer.status == 200 and isinstance(told, str) else ""


def _read(entry: Entry, branch: str, *, exists: bool) -> _Rule | None:
    """What the rule means for this branch; None: nothing that a push of it must fear."""
    kind, parameters = entry.get("type"), entry.get("parameters")
    meaning = _meaning(str(kind), parameters if isinstance(parameters, dict) else {}, branch, exists=exists)
    ruleset = entry.get("ruleset_id")
    if meaning is None or not isinstance(ruleset, int):
        return None
    sentence, is_broken = meaning
    source = one_line(str(entry.get("ruleset_source") or "the repository"))
    return _Rule(ruleset=ruleset, source=source, sentence=sentence, is_broken=is_broken)


def _meaning(kind: str, parameters: Mapping[str, object], branch: str, *, exists: bool) -> tuple[str, bool] | None:
    if kind == "creation":
        return None if exists else ("only those whom the rule exempts may create it", True)
    if kind == "update":
        return ("only those whom the rule exempts may push to it", exists)
    if kind in _DEMANDS:
        return None if not exists and parameters.get("do_not_enforce_on_create") else (_DEMANDS[kind], False)
    return _pattern(kind, parameters, branch, exists=exists) if kind in _PATTERNS else None


def _pattern(kind: str, parameters: Mapping[str, object], branch: str, *, exists: bool) -> tuple[str, bool] | None:
    operator, pattern, negate = parameters.get("operator"), parameters.get("pattern"), bool(parameters.get("negate"))
    if not isinstance(operator, str) or operator not in _VERBS or not isinstance(pattern, str):
        return None
    sentence = f"{_PATTERNS[kind]} {(_NEGATED if negate else _VERBS)[operator]} {one_line(pattern)!r}"
    if kind != "branch_name_pattern":
        return sentence, False
    if exists:
        return None  # its name was good enough when it was made
    if operator == "regex":  # GitHub's expressions are not Python's
        return sentence, False
    fits = {"starts_with": branch.startswith, "ends_with": branch.endswith, "contains": branch.__contains__}
    return None if fits[operator](pattern) is not negate else (sentence, True)
