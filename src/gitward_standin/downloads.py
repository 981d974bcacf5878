"""Files that GitHub keeps with another provider: the API answers with a signed address, which needs no token."""

from __future__ import annotations

import secrets

from aiohttp import web

PREFIX = "/_downloads/"


class Downloads:
    """Offers files under addresses that nobody can guess. Addresses begin with `base`."""

    def __init__(self) -> None:
        self.base = ""
        self._files: dict[str, tuple[bytes, str]] = {}

    def offer(self, content: bytes, content_type: str) -> str:
        """The address, good as long as the stand-in runs."""
        path = f"{PREFIX}{secrets.token_urlsafe(24)}"
        self._files[path] = (content, content_type)
        return f"{self.base}{path}"

    def is_download(self, request: web.BaseRequest) -> bool:
        return request.rel_url.raw_path.startswith(PREFIX)

    def answer(self, request: web.BaseRequest) -> web.Response:
        found = self._files.get(request.rel_url.raw_path)
        if found is None or request.method not in ("GET", "HEAD"):
            return web.Response(status=403, text="The signature does not match.\n")
        return web.Response(body=found[0], content_type=found[1])
