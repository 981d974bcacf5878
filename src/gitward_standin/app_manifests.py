"""Making a GitHub App from a manifest: the page on which a person makes it, and the code that leads back.

Sources: GitHub's documentation, "Registering a GitHub App from a manifest" and "Create a GitHub App from a manifest".
GitHub's own page is for people who are signed in; here everybody is the user who owns the stand-in's Apps.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gitward_standin.made_apps import MadeApp
from gitward_standin.site import Site

OWNER = "octocat"  # who makes Apps for themselves
LONGEST_NAME = 34  # characters
# Permissions of repositories that a manifest may name, as far as somebody has needed them here.
_KNOWN = frozenset(
    {"metadata", "contents", "pull_requests", "issues", "actions", "checks", "statuses", "workflows", "administration"}
)
_LEVELS = {"read", "write", "admin"}
_NEW = re.compile(r"/(?:settings|organizations/(?P<organization>[A-Za-z0-9-]+)/settings)/apps/new")
_MAKE = re.compile(r"/(?:settings|organizations/(?P<organization>[A-Za-z0-9-]+)/settings)/apps")
_PAGE = "<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><main><h1>{title}</h1>{body}</main>"
_FORM = (
    "<form method='post' action='{action}'><input type='hidden' name='manifest' value='{manifest}'>"
    "<label>GitHub App name <input name='name' value='{name}' maxlength='34'></label> "
    "<button>Create GitHub App for {owner}</button></form>"
)


def is_page(request: web.BaseRequest) -> bool:
    path = request.rel_url.raw_path
    return request.method == "POST" and (_NEW.fullmatch(path) or _MAKE.fullmatch(path)) is not None


async def serve(site: Site, request: web.BaseRequest, body: bytes) -> web.Response:
    """GitHub's page for a manifest, or what its button does."""
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    path = request.rel_url.raw_path
    new = _NEW.fullmatch(path)
    match = new or _MAKE.fullmatch(path)
    assert match is not None
    owner = match["organization"] or OWNER
    wrong, manifest = _read(form.get("manifest", ""))
    if wrong:
        return _page("Invalid GitHub App configuration", "".join(f"<p>Error {escape(each)}</p>" for each in wrong))
    state = request.rel_url.query.get("state")
    if new:
        return _ask(owner, manifest, form["manifest"], path.removesuffix("/new"), state)
    return await _make(site, owner, manifest, form.get("name") or str(manifest["name"]), state)


def _ask(owner: str, manifest: Mapping[str, Any], text: str, action: str, state: str | None) -> web.Response:
    address = f"{action}?{urlencode({'state': state})}" if state is not None else action
    form = _FORM.format(
        action=escape(address), manifest=escape(text), name=escape(str(manifest.get("name", ""))), owner=escape(owner)
    )
    return _page("Create GitHub App", form)


async def _make(site: Site, owner: str, manifest: Mapping[str, Any], name: str, state: str | None) -> web.Response:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug or len(name) > LONGEST_NAME or site.apps.named(slug) is not None:
        return _page("Invalid GitHub App configuration", "<p>Error Name is already taken, or is none</p>")
    private, public = await asyncio.to_thread(_key_pair)
    app = site.apps.add(slug, owner=owner, public_key=public)
    code = site.made_apps.add(MadeApp(app=app, private_key=private, manifest={**manifest, "name": name}))
    told = {"code": code, **({"state": state} if state is not None else {})}
    back = str(manifest["redirect_url"])
    where = f"{back}{'&' if urlsplit(back).query else '?'}{urlencode(told)}"
    return web.Response(status=302, headers={"Location": where})


def _key_pair() -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _read(text: str) -> tuple[list[str], dict[str, Any]]:
    """What is wrong with a manifest, and the manifest."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return ["The manifest is not a JSON object"], {}
    wrong = [f'"{name}" wasn\'t supplied.' for name in ("url", "redirect_url") if not _is_address(found.get(name))]
    if "hook_attributes" in found and not _is_address((found["hook_attributes"] or {}).get("url")):
        wrong.append('"url" wasn\'t supplied.')  # the hook's: GitHub's words name no object
    permissions = found.get("default_permissions") or {}
    wrong += [f"Default permission records resource is not included in the list: {name}"
              for name, level in permissions.items() if name not in _KNOWN or level not in _LEVELS]  # fmt: skip
    return wrong, found


def _is_address(value: object) -> bool:
    return isinstance(value, str) and urlsplit(value).scheme in {"http", "https"} and bool(urlsplit(value).hostname)


def _page(title: str, body: str) -> web.Response:
    return web.Response(text=_PAGE.format(title=escape(title), body=body), content_type="text/html")
