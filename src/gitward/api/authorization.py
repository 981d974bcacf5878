"""Which repositories a caller may name: GITWARD_REPOS, and by the token's claims the rules of GITWARD_AUTHORIZE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gitward.errors import FieldError, InvalidRequest

RULE_FORM = "CLAIM=VALUE -> REPOSITORY[, REPOSITORY …], rules separated by ';', with * as a wildcard"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Callers with this claim."""

    claim: str  # "groups"; a list of strings matches when one of its items does
    value: str  # a glob

    def is_one(self, claims: Mapping[str, Any]) -> bool:
        held = claims.get(self.claim)
        values = held if isinstance(held, list) else [held]
        return any(isinstance(value, str) and fnmatchcase(value, self.value) for value in values)


@dataclass(frozen=True, kw_only=True)
class Rule(Holder):
    """Callers with this claim may use these repositories."""

    repositories: tuple[str, ...]  # globs, lower case

    def admits(self, claims: Mapping[str, Any], repository: str) -> bool:
        return self.is_one(claims) and any(fnmatchcase(repository.lower(), glob) for glob in self.repositories)


def refused(
    globs: Sequence[str], rules: Sequence[Rule], claims: Mapping[str, Any], repo: str, submodules: Sequence[str]
) -> list[FieldError]:
    """Which of a session's repositories the operator's token is not for, or not for a caller with these claims."""
    errors = []
    for field, name in [("repo", repo), *(("submodules", name) for name in submodules)]:
        if globs and not any(fnmatchcase(name.lower(), glob) for glob in globs):
            message = f"must be one of the repositories that this server serves: {', '.join(globs)}"
            errors.append(FieldError(field=field, message=message))
        elif not admitted(rules, claims, name):
            message = "must be one that this server's rules allow to a caller with your token's claims"
            errors.append(FieldError(field=field, message=message))
    return errors


def looked_at(rules: Sequence[Rule], claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims that the rules name. They are kept for when the rules are asked again."""
    return {rule.claim: claims[rule.claim] for rule in rules if rule.claim in claims}


def check_repositories(
    globs: Sequence[str], rules: Sequence[Rule], claims: Mapping[str, Any], repo: str, submodules: Sequence[str]
) -> None:
    """:raises InvalidRequest: one of the repositories is refused."""
    errors = refused(globs, rules, claims, repo, submodules)
    if errors:
        raise InvalidRequest("This repository is not served here.", errors=errors)


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The rules of GITWARD_AUTHORIZE.

    :raises ValueError: a rule does not have the form RULE_FORM.
    """
    rules = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        condition, arrow, repositories = part.partition("->")
        claim, equals, value = condition.partition("=")
        globs = tuple(glob.strip().lower() for glob in repositories.split(",") if glob.strip())
        if not arrow or not equals or not claim.strip() or not value.strip() or not globs:
            raise ValueError(f"must be {RULE_FORM}")
        rules.append(Rule(claim=claim.strip(), value=value.strip(), repositories=globs))
    return tuple(rules)


def parse_operators(text: str) -> tuple[Holder, ...]:
    """The callers of GITWARD_OPERATORS.

    :raises ValueError: one does not have the form CLAIM=VALUE.
    """
    holders = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        claim, equals, value = (piece.strip() for piece in part.partition("="))
        if not claim or not equals or not value:
            raise ValueError("must be CLAIM=VALUE, separated by ';', with * as a wildcard")
        holders.append(Holder(claim=claim, value=value))
    return tuple(holders)


def admitted(rules: Sequence[Rule], claims: Mapping[str, Any], repository: str) -> bool:
    """Whether one of the rules lets a caller with these claims use the repository. Without rules everybody may."""
    return not rules or any(rule.admits(claims, repository) for rule in rules)
