"""The LFS objects that commits of the result name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from gitward.repositories.git import LISTING_BYTES
from gitward.repositories.lfs.pointers import LONGEST, Pointer, in_batch
from gitward.repositories.result import Result

_AT_ONCE = 8000  # blobs that are read at once
_BATCH_BYTES = _AT_ONCE * (LONGEST + 128)


async def named_by(res: Result, heads: Iterable[str], known: Iterable[str]) -> tuple[Pointer, ...]:
    """The pointers that the heads bring and the known commits do not have. Raises GitFailed."""
    asked = "".join([*(f"{oid}\n" for oid in heads), *(f"^{oid}\n" for oid in known)]).encode()
    filters = ("--filter=object:type=blob", f"--filter=blob:limit={LONGEST + 1}")
    listed = await res.bare.do(
        "rev-list", "--objects", "--no-object-names", *filters, "--stdin", stdin=asked, limit=LISTING_BYTES
    )
    blobs = await asyncio.to_thread(listed.decode().split)
    found: dict[str, Pointer] = {}
    for place in range(0, len(blobs), _AT_ONCE):
        for pointer in await _among(res, blobs[place : place + _AT_ONCE]):
            found.setdefault(pointer.oid, pointer)
    return tuple(found.values())


async def _among(res: Result, blobs: Sequence[str]) -> list[Pointer]:
    asked = "".join(f"{oid}\n" for oid in blobs).encode()
    output = await res.bare.do("cat-file", "--batch", stdin=asked, limit=_BATCH_BYTES)
    return await asyncio.to_thread(lambda: list(in_batch(output)))
