"""LFS files for tests: their pointers, and their objects in the stand-in's store."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gitward.repositories.lfs.pointers import Pointer
from gitward_standin import Repository, StandIn
from gitward_standin.lfs import object_path

ATTRIBUTES = "*.psd filter=lfs diff=lfs merge=lfs -text\n"


def pointer_of(content: bytes) -> Pointer:
    return Pointer(oid=hashlib.sha256(content).hexdigest(), size=len(content))


def store(repository: Repository, content: bytes) -> Pointer:
    """Puts an object on the server."""
    pointer = pointer_of(content)
    place = object_path(repository, pointer.oid)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return pointer


def is_stored(repository: Repository, content: bytes) -> bool:
    return object_path(repository, pointer_of(content).oid).is_file()


def stored(repository: Repository) -> set[str]:
    """The objects on the server."""
    return {path.name for path in Path(repository.path, "lfs/objects").glob("*/*/*")}


def transfers(github: StandIn, repository: Repository, method: str) -> list[str]:
    """The objects that were sent from the server (GET) or to it (PUT), once for each time."""
    prefix = f"/_lfs/{repository.id}/"
    return [
        request.path.removeprefix(prefix)
        for request in github.requests
        if request.method == method and request.path.startswith(prefix)
    ]


def batches(github: StandIn, repository: Repository) -> int:
    """How often the server was asked about objects."""
    return sum(
        request.path.startswith(f"/{repository.full_name}.git/info/lfs/objects/batch") for request in github.requests
    )
