"""What of other repositories and people the REST API tells: lists by owner, organizations, search."""

from __future__ import annotations

from gitward_standin import search
from gitward_standin.access import role_of, visible
from gitward_standin.accounts import Account
from gitward_standin.model import Repository
from gitward_standin.rest import represent
from gitward_standin.rest.call import Answer, ApiError, Call, Json, not_found
from gitward_standin.rest.issues import represented
from gitward_standin.rest.pages import page


async def own_repositories(call: Call) -> Answer:
    """All repositories in which the sender has a role of its own."""
    sender = call.sender()
    return _listed(call, [each for each in call.site.repositories if each.own_role(sender.account) is not None])


async def own_organizations(call: Call) -> Answer:
    sender = call.sender()
    if not sender.token.has_scope("read:org", "write:org", "admin:org", "user"):
        raise ApiError(403, "You need at least read:org scope or user scope to list your organizations.")
    return page(call, [_organization(call, each) for each in call.site.accounts.organizations(sender.account)])


async def repositories(call: Call) -> Answer:
    owner = _find(call)
    return _listed(call, [each for each in call.site.repositories if each.owner == owner])


async def organization(call: Call) -> Answer:
    found = _find(call)
    if found.type != "Organization":
        raise not_found()
    return Answer(payload=_organization(call, found))


async def search_issues(call: Call) -> Answer:
    found = search.discussions(call.site, call.identity, call.query.get("q", ""))
    return _found(call, [represented(call, each) for each in found])


async def search_repositories(call: Call) -> Answer:
    found = search.repositories(call.site, call.identity, call.query.get("q", ""))
    return _found(call, [represent.repository(call.site.links, each, None) for each in found])


def _found(call: Call, shown: list[Json]) -> Answer:
    answer = page(call, shown, wrapped="items")
    return Answer(payload={**answer.payload, "incomplete_results": False}, headers=answer.headers)


def _find(call: Call) -> Account:
    found = call.site.accounts.find(call.params["login"])
    if found is None:
        raise not_found()
    return found


def _listed(call: Call, found: list[Repository]) -> Answer:
    shown = (
        represent.repository(call.site.links, each, role_of(each, call.identity))
        for each in found
        if visible(each, call.identity)
    )
    return page(call, list(shown))


def _organization(call: Call, found: Account) -> Json:
    shown = represent.account(call.site.links, found)
    return {**shown, "description": None, "name": found.name, "url": call.site.links.api("orgs", found.login)}
