"""Which repositories a caller may name, by the claims of the token: the rules of GITWARD_AUTHORIZE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

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


def admitted(rules: Sequence[Rule], claims: Mapping[str, Any], repository: str) -> bool:
    """Whether one of the rules lets a caller with these claims use the repository. Without rules everybody may."""
    return not rules or any(rule.admits(claims, repository) for rule in rules)
