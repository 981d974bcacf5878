"""What git keeps compressed: the objects of repositories and bundles that foreign code has written.

git reads objects only, into or from a repository of our own: nothing that foreign code has configured is in force.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gitward.cli.audit.channels import Channel
from gitward.cli.audit.ledger import Ledger
from gitward.errors import GitwardError
from gitward.settings import clean_environment

GIT_SECONDS = 60.0


async def look_at_objects(ledger: Ledger, objects: Path, *, loose: Channel, packed: Channel) -> None:
    """Every object below a folder `objects`."""
    names = {path.parent.name + path.name for path in objects.glob("[0-9a-f][0-9a-f]/*")}
    with tempfile.TemporaryDirectory(prefix="gitward-audit-") as folder:
        await _git("init", "--quiet", "--bare", folder)
        listed = await _listed(folder, objects)
    for kind, name, content in _objects(listed):
        ledger.look(loose if name in names else packed, f"{kind} {name[:12]}", content)


async def look_at_bundle(ledger: Ledger, bundle: bytes, *, base: Path) -> None:
    """Every object that a bundle brings along. `base`: a folder `objects` with those that it builds on."""
    with tempfile.TemporaryDirectory(prefix="gitward-audit-") as folder:
        file = Path(folder, "bundle")
        file.write_bytes(bundle)
        await _git("init", "--quiet", "--bare", folder)
        unbundle = ("--git-dir", folder, "bundle", "unbundle", str(file))
        await _git(*unbundle, GIT_ALTERNATE_OBJECT_DIRECTORIES=str(base))
        listed = await _listed(folder, Path(folder, "objects"))
    for kind, name, content in _objects(listed):
        ledger.look(Channel.BUNDLE, f"{kind} {name[:12]}", content)


async def _listed(folder: str, objects: Path) -> bytes:
    arguments = ("--git-dir", folder, "cat-file", "--batch-all-objects", "--batch")
    return await _git(*arguments, GIT_OBJECT_DIRECTORY=str(objects))


async def _git(*arguments: str, **variables: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *("git", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean_environment(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", **variables),
    )
    try:
        async with asyncio.timeout(GIT_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise GitwardError("git took too long to show objects") from None
    if process.returncode != 0:
        raise GitwardError(f"git cannot show objects: {err.decode(errors='replace')[:500]}")
    return out


def _objects(listed: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Type, name and content of each, from the output of `cat-file --batch`: `name type size\\n content \\n`."""
    position = 0
    while position < len(listed):
        end = listed.index(b"\n", position)
        name, kind, size = listed[position:end].decode().split()
        position = end + 1
        yield kind, name, listed[position : position + int(size)]
        position += int(size) + 1
