"""Our own style sheet and scripts. Their addresses change with their content, so that they may be kept for ever."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from gitward.errors import NotFound
from gitward.web.templating import ASSETS, asset_bytes

router = APIRouter()
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_NAMES = frozenset(each.name for each in ASSETS.iterdir() if each.name.endswith(tuple(_TYPES)))


@router.get("/assets/{digest}/{name}")
async def asset(digest: str, name: str) -> Response:
    del digest  # an old page may ask for an old one; it gets ours
    if name not in _NAMES:
        raise NotFound("There is no such file.")
    media_type = _TYPES["." + name.rpartition(".")[2]]
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(asset_bytes(name), media_type=media_type, headers=headers)


@router.get("/assets/{name}")
async def renewed_asset(name: str) -> Response:
    """The same under an address that stays, asked for again each hour."""
    if name not in _NAMES:
        raise NotFound("There is no such file.")
    media_type = _TYPES["." + name.rpartition(".")[2]]
    return Response(asset_bytes(name), media_type=media_type, headers={"Cache-Control": "max-age=3600"})


@router.get("/favicon.ico")
async def favicon() -> Response:
    return Response(asset_bytes("icon.svg"), media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})
