"""GitHub's search over what the sender may see: issues and pull requests, repositories, accounts.

Known qualifiers: repo, user, org, is, type, state, author, assignee, mentions, review-requested, label, head, base,
draft, archived, in. Others are ignored. Words match title and body, or the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gitward_standin.access import visible
from gitward_standin.accounts import Account, Identity
from gitward_standin.model import Discussion, PullRequest, Repository
from gitward_standin.site import Site

_TERM = re.compile(r'(-?)(?:([a-z-]+):)?("[^"]*"|[^\s()]+)')


@dataclass(frozen=True, kw_only=True)
class Term:
    """One word of a query, or a qualifier with its value."""

    name: str  # "" for a word
    value: str  # lower case
    negated: bool


def parse(query: str) -> list[Term]:
    return [
        Term(name=name, value=value.strip('"').lower(), negated=bool(minus))
        for minus, name, value in _TERM.findall(query)
        if name or value.upper() not in ("AND", "OR", "NOT")
    ]


def discussions(site: Site, identity: Identity | None, query: str) -> list[Discussion]:
    """Issues and pull requests, newest first."""
    terms = [_resolved(term, identity) for term in parse(query)]
    everything: list[Discussion] = []
    for repository in site.repositories:
        if visible(repository, identity):
            everything += [*repository.issues, *repository.pulls]
    found = [each for each in everything if all(_holds(each, term) != term.negated for term in terms)]
    return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)


def repositories(site: Site, identity: Identity | None, query: str) -> list[Repository]:
    terms = [_resolved(term, identity) for term in parse(query)]
    return [
        repository
        for repository in site.repositories
        if visible(repository, identity) and all(_about_repository(repository, term) != term.negated for term in terms)
    ]


def accounts(site: Site, query: str) -> list[Account]:
    words = [term.value for term in parse(query) if not term.name]
    return [who for who in site.accounts.all if all(word in f"{who.login} {who.name}".lower() for word in words)]


def _resolved(term: Term, identity: Identity | None) -> Term:
    me = identity.login.lower() if identity else ""
    return Term(name=term.name, value=me, negated=term.negated) if term.value == "@me" else term


def _about_repository(repository: Repository, term: Term) -> bool:
    if not term.name:
        return term.value in f"{repository.full_name} {repository.description or ''}".lower()
    if term.name in ("user", "org"):
        return repository.owner.login.lower() == term.value
    if term.name == "repo":
        return repository.full_name.lower() == term.value
    if term.name == "is" and term.value in ("public", "private"):
        return repository.private == (term.value == "private")
    return not term.negated


def _holds(each: Discussion, term: Term) -> bool:
    test = _QUALIFIERS.get(term.name)
    return test(each, term.value) if test else not term.negated  # unknown ones change nothing


def _is(each: Discussion, value: str) -> bool:
    pull = isinstance(each, PullRequest)
    draft = isinstance(each, PullRequest) and each.draft
    merged = isinstance(each, PullRequest) and each.merged_at is not None
    facts = {
        "pr": pull,
        "pull-request": pull,
        "issue": not pull,
        "open": each.state == "open",
        "closed": each.state == "closed",
        "merged": merged,
        "unmerged": not merged,
        "draft": draft,
        "public": not each.repository.private,
        "private": each.repository.private,
    }
    return facts.get(value, True)


def _logins(*accounts: Account) -> set[str]:
    return {account.login.lower() for account in accounts}


def _pull(test: Callable[[PullRequest, str], bool]) -> Callable[[Discussion, str], bool]:
    return lambda each, value: isinstance(each, PullRequest) and test(each, value)


def _owned(each: Discussion, value: str) -> bool:
    return each.repository.owner.login.lower() == value


_QUALIFIERS: Mapping[str, Callable[[Discussion, str], bool]] = {
    "": lambda each, value: value in f"{each.title} {each.body or ''}".lower() or value == str(each.number),
    "repo": lambda each, value: each.repository.full_name.lower() == value,
    "user": _owned,
    "org": _owned,
    "is": _is,
    "type": _is,
    "state": _is,
    "author": lambda each, value: each.author.login.lower() == value,
    "assignee": lambda each, value: value in _logins(*each.assignees),
    "mentions": lambda each, value: f"@{value}" in (each.body or "").lower(),
    "label": lambda each, value: value in {name.lower() for name in each.labels},
    "archived": lambda each, value: each.repository.archived == (value == "true"),
    "review-requested": _pull(lambda pull, value: value in _logins(*pull.reviewers)),
    "head": _pull(lambda pull, value: pull.head.lower() == value),
    "base": _pull(lambda pull, value: pull.base.lower() == value),
    "draft": _pull(lambda pull, value: pull.draft == (value == "true")),
}
