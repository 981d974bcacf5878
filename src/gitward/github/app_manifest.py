"""A GitHub App that GitHub makes of a manifest: what is asked for, and what comes back for the code.

Source: GitHub's documentation, "Registering a GitHub App from a manifest".
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gitward.errors import GitwardError
from gitward.github.app_permissions import REQUIRED, USEFUL, WORKFLOWS
from gitward.github.client import GitHub, Unreachable
from gitward.github.credentials import private_key_in
from gitward.secrets import Secret

LONGEST_NAME = 34  # characters, GitHub's own limit
_CODE = re.compile(r"[A-Za-z0-9_-]{8,200}")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_ORGANIZATION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")


class NotMade(GitwardError):
    """GitHub gave no App for the code. The text is a sentence, and holds nothing of code or key."""


@dataclass(frozen=True, kw_only=True)
class MadeApp:
    """An App that GitHub has just made. Its webhook and client secrets are dropped: nothing here needs them."""

    id: int
    slug: str
    page: str  # its address on GitHub
    key: Secret  # PEM


def is_organization(name: str) -> bool:
    """Whether an organisation may be called so."""
    return _ORGANIZATION.fullmatch(name) is not None


def is_code(code: str) -> bool:
    """Whether it has the form of one; others are not asked about."""
    return _CODE.fullmatch(code) is not None


def manifest(*, name: str, home: str, returns_to: str, workflows: bool) -> dict[str, Any]:
    """The least that sessions need: docs/tokens.md tells what each permission is for. No webhook, no events.

    :param workflows: whether sessions may change .github/workflows/.
    """
    return {
        "name": name[:LONGEST_NAME],
        "url": home,
        "description": "Opens pull requests for the sessions of Gitward.",
        "redirect_url": returns_to,
        "public": False,
        "default_permissions": {**REQUIRED, **USEFUL, **(WORKFLOWS if workflows else {})},
        "default_events": [],
    }


def form_address(server_url: str, organization: str, state: str) -> str:
    """Where a browser posts the manifest.

    :param organization: whose the App will be; empty: the person's who makes it.
    """
    owner = f"/organizations/{quote(organization, safe='')}" if organization else ""
    return f"{server_url}{owner}/settings/apps/new?state={quote(state, safe='')}"


async def exchange(github: GitHub, code: str, *, server_url: str) -> MadeApp:
    """The App of a code, which GitHub takes once. It is asked once too: a lost answer cannot be had again.

    :raises NotMade: there is none for it.
    """
    try:
        status, told = await github.exchange_code(f"/app-manifests/{quote(code, safe='')}/conversions")
    except Unreachable as error:
        raise NotMade(f"{error}. If GitHub made the App: delete the App on GitHub, then begin again.") from None
    if status == 404:
        raise NotMade(
            "GitHub does not know this code: it was used, or is older than an hour. Delete the App on "
            "GitHub, then begin again."
        )
    made = await asyncio.to_thread(_read, told, server_url) if status == 201 else None  # to look at a key takes a while
    if made is None:
        raise NotMade(
            f"GitHub gave no key for the App (it answered {status}). Delete the App on GitHub, then begin again."
        )
    return made


def _read(told: object, server_url: str) -> MadeApp | None:
    if not isinstance(told, dict):
        return None
    number, slug, page, key = told.get("id"), told.get("slug"), told.get("html_url"), private_key_in(told)
    if not isinstance(number, int) or not 0 < number < 2**53 or key is None:
        return None
    if not isinstance(slug, str) or _SLUG.fullmatch(slug) is None:
        return None
    is_ours = isinstance(page, str) and page.isascii() and page.isprintable() and page.startswith(f"{server_url}/")
    return MadeApp(id=number, slug=slug, page=str(page) if is_ours else f"{server_url}/apps/{slug}", key=key)
