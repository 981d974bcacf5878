"""/app and the installations of GitHub Apps."""

from __future__ import annotations

from gitward_standin.apps import App, AppRefused, Installation
from gitward_standin.clock import timestamp
from gitward_standin.node_ids import encode
from gitward_standin.rest import represent
from gitward_standin.rest.body import items
from gitward_standin.rest.call import Answer, ApiError, Call, Json, not_found
from gitward_standin.rest.pages import page

_UNREACHED = "There is at least one repository that does not exist or is not accessible to the parent installation."


async def app(call: Call) -> Answer:
    who = call.app()
    return Answer(payload={**_app(call, who), "installations_count": len(call.site.apps.of(who))})


def _app(call: Call, who: App) -> Json:
    return {
        "id": who.id,
        "client_id": who.client_id,
        "slug": who.slug,
        "node_id": encode("App", who.id),
        "owner": represent.account(call.site.links, who.owner),
        "name": who.slug,
        "description": None,
        "external_url": call.site.links.html(who.owner.login),
        "html_url": call.site.links.html("apps", who.slug),
        "created_at": timestamp(who.created_at),
        "updated_at": timestamp(who.created_at),
    }


async def installations(call: Call) -> Answer:
    return page(call, [_installation(call, each) for each in call.site.apps.of(call.app())])


async def installation(call: Call) -> Answer:
    return Answer(payload=_installation(call, _find(call)))


async def of_repository(call: Call) -> Answer:
    repository = call.site.follow_repository(f"{call.params['owner']}/{call.params['repo']}")
    found = call.site.apps.on(call.app(), repository) if repository is not None else None
    if found is None:
        raise not_found()
    return Answer(payload=_installation(call, found))


async def access_tokens(call: Call) -> Answer:
    found = _find(call)
    if found.suspended_at is not None:
        raise ApiError(403, "This installation has been suspended")
    body = call.body()
    names, numbers = body.get("repositories"), body.get("repository_ids")
    repositories = None if names is None else [f"{found.account.login}/{name}" for name in items(names, "repositories")]
    known = [call.site.find_repository(name) for name in repositories or ()]
    if isinstance(numbers, list):
        repositories = repositories or []
        known += [call.site.find_repository_by_id(number) for number in numbers]
    if any(each is None or not found.reaches(each) for each in known):
        raise ApiError(422, _UNREACHED)
    listed = found.repositories if repositories is None else tuple(each.full_name for each in known if each)
    try:
        value, token = call.site.apps.mint(found, listed, body.get("permissions"))
    except AppRefused as refused:
        raise ApiError(refused.status, refused.message) from None
    shown = [represent.repository(call.site.links, each, None) for each in known if each]
    return Answer(
        status=201,
        payload={
            "token": value,
            "expires_at": timestamp(token.expires_at),
            "permissions": dict(token.permissions or {}),
            "repository_selection": "all" if listed is None else "selected",
            **({"repositories": shown} if repositories is not None else {}),
        },
    )


async def from_manifest(call: Call) -> Answer:
    """The App, with its secrets, for a code that nobody has used."""
    made = call.site.made_apps.take(call.params["code"])
    if made is None:
        raise not_found()
    who = made.app
    return Answer(
        status=201,
        payload={
            **_app(call, who),
            "name": made.manifest["name"],
            "description": made.manifest.get("description"),
            "external_url": made.manifest["url"],
            "permissions": {"metadata": "read", **(made.manifest.get("default_permissions") or {})},
            "events": list(made.manifest.get("default_events") or []),
            "client_secret": made.client_secret,
            "webhook_secret": made.webhook_secret if "hook_attributes" in made.manifest else None,
            "pem": made.private_key.decode(),
        },
    )


def _find(call: Call) -> Installation:
    found = call.site.apps.find(call.app(), call.number("installation"))
    if found is None:
        raise not_found()
    return found


def _installation(call: Call, found: Installation) -> Json:
    links = call.site.links
    return {
        "id": found.id,
        "account": represent.account(links, found.account),
        "access_tokens_url": links.api("app", "installations", found.id, "access_tokens"),
        "repositories_url": links.api("installation", "repositories"),
        "html_url": links.html("settings", "installations", found.id),
        "app_id": found.app.id,
        "app_slug": found.app.slug,
        "target_id": found.account.id,
        "target_type": found.account.type,
        "permissions": dict(found.permissions),
        "events": [],
        "repository_selection": "all" if found.repositories is None else "selected",
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.created_at),
        "suspended_at": timestamp(found.suspended_at),
        "suspended_by": None,
    }
