"""What git keeps compressed: the objects of repositories and bundles that foreign code has written.

Git only reads objects, into or from a repository of our own, so nothing that foreign code configured has an effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from gitward.audit.channels import Channel
from gitward.audit.ledger import Ledger
from gitward.errors import GitwardError
from gitward.settings import clean_environment

GIT_SECONDS = 60.0


async def search_objects(ledger: Ledger, objects: Path, *, loose: Channel, packed: Channel) -> None:
    """Every object below a folder `objects`."""
    names = {path.parent.name + path.name for path in objects.glob("[0-9a-f][0-9a-f]/*")}
    with tempfile.TemporaryDirectory(prefix="gitward-audit-") as folder:
        await _git("init", "--quiet", "--bare", folder)
        async for kind, name, content in _objects(folder, objects):
            ledger.look(loose if name in names else packed, f"{kind} {name[:12]}", content)


async def search_bundle(ledger: Ledger, bundle: bytes, *, bases: Sequence[Path]) -> None:
    """Every object that a bundle brings along. `bases`: folders `objects` with those that it builds on."""
    with tempfile.TemporaryDirectory(prefix="gitward-audit-") as folder:
        file = Path(folder, "bundle")
        file.write_bytes(bundle)
        await _git("init", "--quiet", "--bare", folder)
        unbundle = ("--git-dir", folder, "bundle", "unbundle", str(file))
        await _git(*unbundle, GIT_ALTERNATE_OBJECT_DIRECTORIES=":".join(map(str, bases)))
        async for kind, name, content in _objects(folder, Path(folder, "objects")):
            ledger.look(Channel.BUNDLE, f"{kind} {name[:12]}", content)


async def _objects(folder: str, objects: Path) -> AsyncIterator[tuple[str, str, bytes]]:
    """Type, name and content of each, one at a time in memory."""
    arguments = ("--git-dir", folder, "cat-file", "--batch-all-objects", "--batch")
    async with _running(*arguments, GIT_OBJECT_DIRECTORY=str(objects)) as process:
        assert process.stdout is not None
        while header := await process.stdout.readline():  # `name type size`, the content, a line break
            name, kind, size = header.decode().split()
            content = await process.stdout.readexactly(int(size) + 1)
            yield kind, name, content[:-1]


async def _git(*arguments: str, **variables: str) -> None:
    async with _running(*arguments, **variables) as process:
        assert process.stdout is not None
        await process.stdout.read()


@contextlib.asynccontextmanager
async def _running(*arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """git, until it has ended well. Raises GitwardError."""
    process = await asyncio.create_subprocess_exec(
        *("git", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=clean_environment(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", **variables),
    )
    try:
        async with asyncio.timeout(GIT_SECONDS):
            yield process
            status = await process.wait()
    except (TimeoutError, asyncio.IncompleteReadError):
        raise GitwardError("git could not show all objects in time: use a smaller repository") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status != 0:
        raise GitwardError(f"git {arguments[-2]} ended with exit status {status}: objects cannot be shown")
