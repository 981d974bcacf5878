"""Authorization: GITWARD_REPOS and the rules of GITWARD_AUTHORIZE decide which repositories a caller may name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gitward.errors import FieldError, InvalidRequest
from gitward.identity.keys import LOCAL_ISSUER

CONDITION_FORM = "CLAIM=VALUE[ & CLAIM=VALUE …]"
RULE_FORM = f"{CONDITION_FORM} -> REPOSITORY[, REPOSITORY …], rules separated by ';', with * as a wildcard"
OPERATOR_FORM = f"{CONDITION_FORM}, separated by ';', with * as a wildcard"
_ISSUER = "iss"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A claim with a value."""

    claim: str  # "groups"; a list of strings fits when one of its items does
    value: str  # a glob; an issuer is written out

    def is_met(self, claims: Mapping[str, Any]) -> bool:
        held = claims.get(self.claim)
        if self.claim == _ISSUER:
            return held == self.value
        values = held if isinstance(held, list) else [held]
        return any(isinstance(value, str) and fnmatchcase(value, self.value) for value in values)


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Callers whose claims meet all of these conditions."""

    conditions: tuple[Condition, ...]

    def is_one(self, claims: Mapping[str, Any]) -> bool:
        return bool(self.conditions) and all(condition.is_met(claims) for condition in self.conditions)


@dataclass(frozen=True, kw_only=True)
class Rule(Holder):
    """Callers whose claims meet these conditions may use these repositories."""

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
            message = "must be a repository that this server's rules allow for your token's claims"
            errors.append(FieldError(field=field, message=message))
    return errors


def relevant_claims(rules: Sequence[Rule], claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims that the rules name. They are kept for when the rules are asked again; the issuer is the owner's."""
    named = {condition.claim for rule in rules for condition in rule.conditions} - {_ISSUER}
    return {claim: claims[claim] for claim in sorted(named & claims.keys())}


def check_repositories(
    globs: Sequence[str], rules: Sequence[Rule], claims: Mapping[str, Any], repo: str, submodules: Sequence[str]
) -> None:
    """:raises InvalidRequest: one of the repositories is refused."""
    errors = refused(globs, rules, claims, repo, submodules)
    if errors:
        raise InvalidRequest("This server does not serve this repository.", errors=errors)


def parse_rules(text: str, issuers: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules of GITWARD_AUTHORIZE.

    :param issuers: whose tokens are taken.
    :raises ValueError: a rule does not have the form RULE_FORM, or does not say whose claims it means.
    """
    rules = []
    for part in _parts(text):
        holder, arrow, repositories = part.partition("->")
        globs = tuple(glob.strip().lower() for glob in repositories.split(",") if glob.strip())
        conditions = _conditions(holder)
        if not arrow or not conditions or not globs:
            raise ValueError(f"must be {RULE_FORM}")
        rules.append(Rule(conditions=_with_issuer(conditions, issuers), repositories=globs))
    return tuple(rules)


def parse_operators(text: str, issuers: Sequence[str] = ()) -> tuple[Holder, ...]:
    """The callers of GITWARD_OPERATORS.

    :param issuers: whose tokens are taken.
    :raises ValueError: one does not have the form OPERATOR_FORM, or does not say whose claims it means.
    """
    holders = []
    for part in _parts(text):
        conditions = _conditions(part)
        if not conditions:
            raise ValueError(f"must be {OPERATOR_FORM}")
        holders.append(Holder(conditions=_with_issuer(conditions, issuers)))
    return tuple(holders)


def is_operator(operators: Sequence[Holder], claims: Mapping[str, Any]) -> bool:
    """Whether one of these holders is meant."""
    return any(operator.is_one(claims) for operator in operators)


def local_holder(subject: str) -> Holder:
    """Whoever has this subject of the local key."""
    literal = re.sub(r"([*?[])", r"[\1]", subject)
    return Holder(conditions=(Condition(claim=_ISSUER, value=LOCAL_ISSUER), Condition(claim="sub", value=literal)))


def holders_of_claim(claim: str, issuers: Sequence[str]) -> tuple[Rule, ...]:
    """Whoever has this claim may use what somebody else allows; the claim is kept with their sessions."""
    anything = Condition(claim=claim, value="*")
    return tuple(
        Rule(conditions=(anything, Condition(claim=_ISSUER, value=issuer)), repositories=("*",))
        for issuer in issuers or (LOCAL_ISSUER,)
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _conditions(text: str) -> tuple[Condition, ...]:
    """Empty when one has not the form CLAIM=VALUE. A value may have an `&` without spaces around it."""
    pieces = [[side.strip() for side in part.partition("=")] for part in re.split(r"\s&\s", text)]
    if not all(claim and equals and value for claim, equals, value in pieces):
        return ()
    return tuple(Condition(claim=claim, value=value) for claim, _, value in pieces)


def _with_issuer(conditions: tuple[Condition, ...], issuers: Sequence[str]) -> tuple[Condition, ...]:
    """Claims mean what their issuer says: every rule is about one, which is told by it unless there is only one.

    :raises ValueError: it names none though there are several, or one that is none of them.
    """
    known = issuers or (LOCAL_ISSUER,)
    named = [each.value for each in conditions if each.claim == _ISSUER]
    unknown = [issuer for issuer in named if issuer not in known]
    if unknown:
        raise ValueError(f"iss={unknown[0]} is not one of GITWARD_OIDC_ISSUERS, spelled as there")
    if named:
        return conditions
    if len(known) > 1:
        claim = conditions[0]
        raise ValueError(
            f"with several issuers, each rule must name the issuer of its claims: write `iss={known[0]} & "
            f"{claim.claim}={claim.value}`"
        )
    return (*conditions, Condition(claim=_ISSUER, value=known[0]))


def admitted(rules: Sequence[Rule], claims: Mapping[str, Any], repository: str) -> bool:
    """Whether one of the rules lets a caller with these claims use the repository. Without rules everybody may."""
    return not rules or any(rule.admits(claims, repository) for rule in rules)
