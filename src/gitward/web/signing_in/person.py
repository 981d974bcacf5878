"""Who looks at a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitward.errors import GitwardError
from gitward.sessions.model import Owner


@dataclass(frozen=True, kw_only=True)
class Person:
    """A caller of the pages, as their cookie proves it."""

    owner: Owner  # as the API's bearer token gives it
    claims: Mapping[str, Any]  # as the issuer gave them; the rules of GITWARD_AUTHORIZE look at them
    operator: bool  # GITWARD_OPERATORS names them
    csrf_token: str  # goes into every form as `csrf_token`, or into the header `X-CSRF-Token`
    expires_at: datetime  # a live stream ends then, and its page asks again

    @property
    def name(self) -> str:
        """What they are called: for people only, since anybody may choose a name."""
        told = (self.claims.get(claim) for claim in ("name", "preferred_username", "email"))
        name = next((each for each in told if isinstance(each, str) and each.isprintable() and each), None)
        return (name or self.owner.subject)[:100]


class NotSignedIn(GitwardError):
    """There is no valid cookie; the answer leads to /sign-in."""
