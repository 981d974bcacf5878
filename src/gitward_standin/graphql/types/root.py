"""Where every query begins: the viewer, a repository, an account, a node by its id, a thing by its address, search."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from gitward_standin import search
from gitward_standin.accounts import Account
from gitward_standin.graphql.connections import PAGE_INFO, Connection, cut, extra, tables
from gitward_standin.graphql.lookup import find_node
from gitward_standin.graphql.refusals import not_found
from gitward_standin.graphql.tables import Tables, keys
from gitward_standin.graphql.visits import Visit, found
from gitward_standin.model import Discussion, Repository
from gitward_standin.rest.users import RATE_LIMIT

_COUNTS = ("issueCount", "repositoryCount", "userCount", "codeCount", "discussionCount")
_ADDRESS = re.compile(r"/([^/]+)(?:/([^/]+)(?:/(issues|pull)/(\d{1,9}))?)?/?")


def _viewer(visit: Visit, _root: object) -> Account:
    return visit.viewer.account


def _repository(visit: Visit, _root: object, *, owner: str, name: str, follow_renames: bool = True) -> Repository:  # noqa: ARG001 - nothing is renamed here
    return visit.repository(f"{owner}/{name}")


def _account(visit: Visit, login: str, *types: str) -> Account | None:
    account = visit.site.accounts.find(login)
    return account if account and account.type in types else None


def _user(visit: Visit, _root: object, *, login: str) -> Account:
    return found(_account(visit, login, "User"), "User", f"the login of '{login}'")


def _organization(visit: Visit, _root: object, *, login: str) -> Account:
    return found(_account(visit, login, "Organization"), "Organization", f"the login of '{login}'")


def _owner(visit: Visit, _root: object, *, login: str) -> Account | None:
    return _account(visit, login, "User", "Organization")


async def _node(visit: Visit, _root: object, *, id: str) -> object:
    node = await find_node(visit, id)
    return found(node, "node", f"the global id of '{id}'")


async def _nodes(visit: Visit, _root: object, *, ids: Sequence[str]) -> list[object]:
    return [await find_node(visit, each) or not_found("node", f"the global id of '{each}'") for each in ids]


def _resource(visit: Visit, _root: object, *, url: str) -> object:
    """What lives at an address of the web page: an account, a repository, an issue or a pull request."""
    match = _ADDRESS.fullmatch(unquote(urlsplit(url).path))
    if match is None:
        raise not_found("URL", f"the path '{url}'")
    owner, name, kind, number = match.groups()
    if name is None:
        return _account(visit, owner, "User", "Organization")
    repository = visit.repository(f"{owner}/{name}")
    if kind is None:
        return repository
    return repository.issue(int(number)) or repository.pull(int(number))


def _search(
    visit: Visit,
    _root: object,
    *,
    query: str,
    type: str,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
) -> Connection:
    items: Sequence[Discussion | Repository | Account] = ()
    if type == "ISSUE":
        items = [each for each in search.discussions(visit.site, visit.viewer, query) if visit.sees(each.repository)]
    elif type == "REPOSITORY":
        items = visit.seen(search.repositories(visit.site, visit.viewer, query))
    elif type == "USER":
        items = [who for who in search.accounts(visit.site, query) if who.type != "Bot"]
    counts = dict.fromkeys(_COUNTS, 0)
    if f"{type.lower()}Count" in counts:
        counts[f"{type.lower()}Count"] = len(items)
    return cut(items, first=first, last=last, after=after, before=before, extra=counts)


def _rate_limit(_visit: Visit, _root: object) -> dict[str, Any]:
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    return {"cost": 1, "limit": RATE_LIMIT, "remaining": RATE_LIMIT - 1, "used": 1, "nodeCount": 0, "resetAt": reset}


TABLES: Tables = {
    "Query": {
        "viewer": _viewer,
        "repository": _repository,
        "user": _user,
        "organization": _organization,
        "repositoryOwner": _owner,
        "node": _node,
        "nodes": _nodes,
        "resource": _resource,
        "search": _search,
        "rateLimit": _rate_limit,
        "relay": lambda _visit, _root: {},
    },
    "RateLimit": keys("cost", "limit", "remaining", "used", "nodeCount", "resetAt"),
    "SearchResultItemConnection": {
        **{name: field for name, field in tables("X")["XConnection"].items() if name != "totalCount"},
        **extra(*_COUNTS),
    },
    "SearchResultItemEdge": tables("X")["XEdge"],
    **PAGE_INFO,
}
