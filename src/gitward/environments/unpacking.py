"""Unpacks a foreign image by skopeo and umoci, inside a sandbox without any network.

Whatever the image makes of them happens as a user of the sandbox's own, in a folder of its own, within limits; what
comes out is copied by `copying`, which believes nothing of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gitward.environments import sources
from gitward.environments.sources import Kind, Source
from gitward.environments.store import Unusable
from gitward.grants.endpoint import Nowhere
from gitward.sandboxes import WORK_DIR, Command, Limits, Sandbox, SandboxEngine, Stream
from gitward.sandboxes.protocol import GIB

UNPACK_SECONDS = 1800.0
_TAIL = 2000  # characters of a tool's complaint
_MOST_CONFIG = 4 * 1024 * 1024
_INPUT, _LAYOUT, _BUNDLE = "input", "layout", "bundle"
TOOLS = {"skopeo": "skopeo", "umoci": "umoci"}  # program: Debian package


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What the sandbox left."""

    root: Path
    variables: tuple[object, ...]  # NAME=VALUE lines, as the image has them


def check_tools() -> None:
    """:raises Unusable: a program is missing."""
    missing = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    if missing:
        raise Unusable(f"{' and '.join(missing)} must be installed. On Debian: apt-get install {' '.join(missing)}")


async def unpack(
    engine: SandboxEngine, workspace: Path, source: Source, *, limit: int, fetch: Callable[[Path], None] | None
) -> Unpacked:
    """Unpacks below `workspace`.

    :param fetch: brings an image of a registry into a folder, as an OCI layout.
    :raises Unusable: the image cannot be unpacked; what its tools say about it is quoted.
    """
    work = workspace / "work"
    await asyncio.to_thread(work.mkdir, parents=True, mode=0o700)
    if fetch is not None:
        await asyncio.to_thread(fetch, work / _INPUT)
    else:
        await asyncio.to_thread(sources.bring_in, source, work / _INPUT, limit=limit)
    given = _given(source, work / _INPUT)
    limits = Limits(disk_bytes=4 * limit, file_bytes=limit, tmp_bytes=GIB)
    sandbox = await engine.open(name="unpack", workspace=workspace, endpoint=Nowhere(), limits=limits)
    try:
        # Through skopeo in every case: it checks digests, chooses among machines, and writes what umoci reads.
        layout = f"oci:{WORK_DIR}/{_LAYOUT}:image"
        skopeo = ("skopeo", "--insecure-policy", "--tmpdir", WORK_DIR, "copy", "--quiet", "--dest-compress-format")
        await _run(sandbox, *skopeo, "gzip", given, layout)
        image = ("--image", f"{WORK_DIR}/{_LAYOUT}:image")
        await _run(sandbox, "umoci", "unpack", "--rootless", *image, f"{WORK_DIR}/{_BUNDLE}")
    finally:
        await sandbox.close()
    return await asyncio.to_thread(_result, work / _BUNDLE)


def _given(source: Source, place: Path) -> str:
    inside = f"{WORK_DIR}/{_INPUT}"
    if source.kind is Kind.ARCHIVE:
        return f"docker-archive:{inside}" + (f":{source.reference}" if source.reference else "")
    tag = "image" if source.kind is Kind.REGISTRY else sources.only_tag(place, source)
    return f"oci:{inside}" + (f":{tag}" if tag else "")


async def _run(sandbox: Sandbox, *argv: str) -> None:
    said = bytearray()

    async def keep(_stream: Stream, piece: bytes) -> None:
        said.extend(piece)
        del said[: -4 * _TAIL]

    completed = await sandbox.run(Command(argv=argv, timeout_seconds=UNPACK_SECONDS), keep)
    if completed.timed_out:
        raise Unusable(f"{argv[0]} took longer than {UNPACK_SECONDS:g} s, which is the limit.")
    # Its size is limited twice, as a whole and by file: whichever comes first.
    if completed.limit == "disk" or (completed.exit_code != 0 and b"file too large" in said):
        raise Unusable("The image, unpacked, is larger than the limit allows; it is set by GITWARD_ENVIRONMENT_MB.")
    if completed.limit is not None:
        raise Unusable(f"{argv[0]} needs more {completed.limit} than one sandbox may have.")
    if completed.exit_code != 0:
        text = "".join(each if each.isprintable() else " " for each in said.decode("utf-8", "replace"))
        raise Unusable(f"{argv[0]} cannot take this image: {' '.join(text.split())[-_TAIL:] or 'it does not say why'}")


def _result(bundle: Path) -> Unpacked:
    root = bundle / "rootfs"
    if bundle.is_symlink() or root.is_symlink() or not root.is_dir():
        raise Unusable("The image holds no files.")
    return Unpacked(root=root, variables=_variables(bundle / "config.json"))


def _variables(config: Path) -> tuple[object, ...]:
    try:
        descriptor = os.open(config, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            lines = json.loads(file.read(_MOST_CONFIG))["process"]["env"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(lines) if isinstance(lines, list) else ()
