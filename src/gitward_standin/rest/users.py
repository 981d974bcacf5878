"""/user, /users and the calls that need no repository."""

from __future__ import annotations

import time

from gitward_standin.accounts import TokenKind
from gitward_standin.rest import represent
from gitward_standin.rest.call import Answer, ApiError, Call, Json, not_found

RATE_LIMIT = 5000  # requests an hour


async def root(call: Call) -> Answer:
    """What gh asks at login, for the headers of the answer."""
    links = call.site.links
    return Answer(
        payload={
            "current_user_url": links.api("user"),
            "emails_url": links.api("user", "emails"),
            "rate_limit_url": links.api("rate_limit"),
            "repository_url": f"{links.api_url}/repos/{{owner}}/{{repo}}",
            "user_url": f"{links.api_url}/users/{{user}}",
        }
    )


async def user(call: Call) -> Answer:
    sender = call.sender()
    if sender.token.kind is TokenKind.APP:
        raise ApiError(403, "Resource not accessible by integration")
    return Answer(payload=represent.profile(call.site.links, sender.account))


async def emails(call: Call) -> Answer:
    """The verified addresses; a classic token needs `user:email` (or `user`)."""
    sender = call.sender()
    if sender.token.kind is TokenKind.APP:
        raise ApiError(403, "Resource not accessible by integration")
    if not sender.token.has_scope("user:email", "user"):
        raise not_found()
    who = sender.account
    own = [] if who.email is None else [_email(who.email, "public" if who.email_public else "private")]
    noreply = f"{who.id}+{who.login}@users.noreply.{call.site.links.host.partition(':')[0]}"
    return Answer(payload=[*own, _email(noreply, None if own else "private")])


def _email(address: str, visibility: str | None) -> Json:
    """`visibility` is told of the primary address only."""
    return {"email": address, "primary": visibility is not None, "verified": True, "visibility": visibility}


async def other_user(call: Call) -> Answer:
    who = call.site.accounts.find(call.params["login"])
    if who is None:
        raise not_found()
    return Answer(payload=represent.profile(call.site.links, who))


async def rate_limit(_call: Call) -> Answer:
    core = {"limit": RATE_LIMIT, "used": 0, "remaining": RATE_LIMIT, "reset": int(time.time()) + 3600}
    return Answer(payload={"resources": {"core": core, "graphql": core}, "rate": core})


async def meta(_call: Call) -> Answer:
    return Answer(
        payload={
            "verifiable_password_authentication": False,
            "domains": {"website": ["*.github.com", "github.com"]},
            "hooks": [],
            "web": [],
            "api": [],
            "git": [],
        }
    )


async def zen(_call: Call) -> Answer:
    return Answer(text="Keep it logically awesome.")
