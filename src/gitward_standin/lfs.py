"""Git LFS: the batch call behind the token, and a store whose addresses are signed and need no token.

Source: the Git LFS API specification (batch, basic transfer, verify, locking). As on GitHub, an action's address
and its headers are both signed and valid for a limited time, and live under another path than the repository.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from gitward_standin.model import Repository

MEDIA_TYPE = "application/vnd.git-lfs+json"
LIFETIME = 3600  # seconds that an action is good for
STORE = "/_lfs"
PIECE = 1024 * 1024

_OID = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(STORE + r"/(\d+)/([0-9a-f]{64})(/verify)?")

Json = dict[str, Any]


@dataclass
class LfsRefusal(Exception):
    """An answer of the LFS protocol that is no success; git-lfs shows the message."""

    status: int
    message: str

    def response(self) -> web.Response:
        return reply({"message": self.message, "request_id": secrets.token_hex(8)}, status=self.status)


def reply(payload: Json, *, status: int = 200) -> web.Response:
    body = json.dumps(payload).encode()
    return web.Response(status=status, body=body, headers={"Content-Type": MEDIA_TYPE})


def object_path(repository: Repository, oid: str) -> Path:
    return repository.path / "lfs" / "objects" / oid[:2] / oid[2:4] / oid


class Lfs:
    """Answers batch calls with signed actions, and carries the actions out. Addresses begin with `base`."""

    def __init__(self) -> None:
        self.base = ""
        self._key = secrets.token_bytes(32)

    def batch(self, repository: Repository, content: bytes) -> Json:
        """The answer to POST info/lfs/objects/batch. Raises LfsRefusal."""
        operation, objects = _parse_batch(content)
        entries = [self._entry(repository, operation, oid, size) for oid, size in objects]
        return {"transfer": "basic", "objects": entries, "hash_algo": "sha256"}

    def _entry(self, repository: Repository, operation: str, oid: str, size: int) -> Json:
        entry: Json = {"oid": oid, "size": size}
        stored = object_path(repository, oid).exists()
        if operation == "download":
            if not stored:
                return entry | {"error": {"code": 404, "message": "Object does not exist on the server"}}
            return entry | {"actions": {"download": self._action(repository, "download", oid)}}
        if stored:
            return entry  # nothing to do: git-lfs skips it
        upload, verify = (self._action(repository, name, oid) for name in ("upload", "verify"))
        return entry | {"actions": {"upload": upload, "verify": verify}}

    def _action(self, repository: Repository, name: str, oid: str) -> Json:
        expires = int(time.time()) + LIFETIME
        query, header = self._signatures(name, repository.id, oid, expires)
        tail = "/verify" if name == "verify" else ""
        address = f"{self.base}{STORE}/{repository.id}/{oid}{tail}"
        return {
            "href": f"{address}?X-Amz-Expires={expires}&X-Amz-Signature={query}",
            "header": {"Authorization": f"RemoteAuth {header}"},
            "expires_in": LIFETIME,
        }

    def _signatures(self, name: str, repository_id: int, oid: str, expires: int) -> tuple[str, str]:
        """One for the query and one for the header: both must come back."""
        text = f"{name} {repository_id} {oid} {expires}"
        query, header = (
            hmac.new(self._key, f"{part} {text}".encode(), hashlib.sha256).hexdigest() for part in ("query", "header")
        )
        return query, header

    def is_action(self, request: web.BaseRequest) -> bool:
        return request.rel_url.raw_path.startswith(f"{STORE}/")

    async def act(self, request: web.BaseRequest, repositories: tuple[Repository, ...]) -> web.StreamResponse:
        """Uploads, downloads or verifies one object. Raises LfsRefusal."""
        match = _ADDRESS.fullmatch(request.rel_url.raw_path)
        names = {"PUT": "upload", "GET": "download", "POST": "verify"}
        name = names.get(request.method)
        if match is None or name is None or (name == "verify") != bool(match[3]):
            raise LfsRefusal(404, "Not Found")
        repository = next((known for known in repositories if known.id == int(match[1])), None)
        if repository is None or not self._is_signed(request, name, repository.id, match[2]):
            raise LfsRefusal(403, "The request signature we calculated does not match the signature you provided.")
        path = object_path(repository, match[2])
        if name == "upload":
            await _store(request, path, match[2])
        elif not path.exists():
            raise LfsRefusal(404, "Object does not exist on the server")
        elif name == "download":
            return web.FileResponse(path)
        return web.Response()

    def _is_signed(self, request: web.BaseRequest, name: str, repository_id: int, oid: str) -> bool:
        expires = request.rel_url.query.get("X-Amz-Expires", "")
        if not (expires.isascii() and expires.isdigit()) or int(expires) < time.time():
            return False
        query, header = self._signatures(name, repository_id, oid, int(expires))
        sent = request.rel_url.query.get("X-Amz-Signature", "")
        return hmac.compare_digest(sent.encode(), query.encode()) and hmac.compare_digest(
            request.headers.get("Authorization", "").encode(), f"RemoteAuth {header}".encode()
        )


def _parse_batch(content: bytes) -> tuple[str, list[tuple[str, int]]]:
    try:
        body = json.loads(content)
        operation = body["operation"]
        objects = [(entry["oid"], entry["size"]) for entry in body["objects"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise LfsRefusal(422, "Invalid batch request") from error
    valid = (isinstance(oid, str) and _OID.fullmatch(oid) and type(size) is int for oid, size in objects)
    if operation not in ("upload", "download") or not all(valid):
        raise LfsRefusal(422, "Invalid batch request")
    return operation, objects


async def _store(request: web.BaseRequest, path: Path, oid: str) -> None:
    """Streams the body to the object's file, which appears only when the content has the right digest."""
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    digest = hashlib.sha256()
    try:
        with partial.open("wb") as file:
            async for piece in request.content.iter_chunked(PIECE):
                digest.update(piece)
                await asyncio.to_thread(file.write, piece)
        if digest.hexdigest() != oid:
            raise LfsRefusal(400, "The content does not have the object's digest")
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
