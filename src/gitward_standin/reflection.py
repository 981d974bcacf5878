"""An upstream that repeats what it was sent, the credential too: what a broker must keep from whoever asks it.

A stand-in that reflects answers every request whose User-Agent has `reflect/<status>`, whatever its path.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from urllib.parse import quote

from aiohttp import web

from gitward_standin.traffic import ReceivedRequest

_WANTED = re.compile(r"\breflect/([2-5]\d\d)\b")


def wanted_status(request: ReceivedRequest) -> int | None:
    """The status that a request wants to have reflected; None: it is an ordinary one."""
    found = _WANTED.search(request.headers.get("user-agent", ""))
    return int(found[1]) if found else None


def answer(request: ReceivedRequest, *, status: int, url: str) -> web.Response:
    """All headers in the body and in headers, the credential in several spellings; a redirect carries it along.

    :param url: where a redirect leads, before the credential.
    """
    authorization = request.headers.get("authorization", "")
    secret = _credential(authorization)
    body = {
        "message": f"You sent {authorization}",
        "headers": dict(request.headers),
        "credential": secret,
        "encoded": [quote(secret, safe=""), secret.encode().hex(), base64.b64encode(secret.encode()).decode()],
    }
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Reflected-Authorization": authorization,
        "X-Reflected-Credential": secret,
        "X-Reflected-User-Agent": request.headers.get("user-agent", ""),
    }
    if 300 <= status < 400:
        headers["Location"] = f"{url}?token={quote(secret, safe='')}"
    return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)


def _credential(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return rest
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8", "replace").partition(":")[2]
    except (ValueError, binascii.Error):
        return rest
