"""Which repositories a caller may name, by the claims of the token: GITWARD_REPOS and GITWARD_AUTHORIZE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gitward.errors import FieldError, InvalidRequest

RULE_FORM = "CLAIM=VALUE -> REPOSITORY[, REPOSITORY …], rules separated by ';', with * as a wildcard"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Callers with this claim may use these repositories."""

    claim: str  # "groups"; a list of strings matches when one of its items does
    value: str  # a glob
    repositories: tuple[str, ...]  # globs, lower case

    def admits(self, claims: Mapping[str, Any], repository: str) -> bool:
        held = claims.get(self.claim)
        values = held if isinstance(held, list) else [held]
        if not any(isinstance(value, str) and fnmatchcase(value, self.value) for value in values):
            return False
        return any(fnmatchcase(repository.lower(), glob) for glob in self.repositories)


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


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """What this server serves to whom. Without globs and rules: everything to everybody who is authenticated."""

    repositories: tuple[str, ...] = ()  # globs, lower case; of the whole server
    rules: Sequence[Rule] = ()

    def check(self, claims: Mapping[str, Any], repository: str, *, field: str = "repo") -> None:
        """:raises InvalidRequest: the caller may not use this repository."""
        if self.repositories and not any(fnmatchcase(repository.lower(), glob) for glob in self.repositories):
            raise _refused(field, f"must be one of those that this server serves: {', '.join(self.repositories)}")
        if self.rules and not any(rule.admits(claims, repository) for rule in self.rules):
            raise _refused(field, "must be one that the server's rules allow to a caller with your token's claims")


def _refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(
        "This repository is not served to you here.", errors=[FieldError(field=field, message=message)]
    )
