"""The e-mail addresses of the token's owner, and GitHub's noreply address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitward.github.client import Connection


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Of one account; in lower case."""

    own: frozenset[str]  # those that are not for everybody to see
    noreply: str
    complete: bool  # False: the token may not ask for them; `own` has at most the one of the profile


async def own_addresses(github: Connection) -> Addresses | None:
    """None for a token that no person is behind: nobody's address is its owner's."""
    if github.token.bot is not None:
        return None
    user = await github.get("/user")
    if user.status != 200 or not isinstance(user.body, dict):
        return None
    noreply = f"{user.body['id']}+{user.body['login']}@{github.noreply_host}"
    answer = await github.get("/user/emails", per_page="100")
    complete = answer.status == 200 and isinstance(answer.body, list)
    found = _hidden(answer.body) if complete else {str(user.body.get("email") or "").lower()}
    own = frozenset(each for each in found if "@" in each and not each.endswith(f"@{github.noreply_host}"))
    return Addresses(own=own, noreply=noreply, complete=complete)


def _hidden(entries: list[Any]) -> set[str]:
    return {
        str(entry.get("email") or "").lower()
        for entry in entries
        if isinstance(entry, dict) and entry.get("visibility") != "public"
    }
