"""Adds an environment: what the operator names is unpacked, copied, checked, tried, and only then given its name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from gitward.environments import copying, etc, inspection, registry, sources, unpacking, variables
from gitward.environments.catalogue import HOST, NAME_RULE, is_name
from gitward.environments.copying import Copied
from gitward.environments.sources import Kind, Source
from gitward.environments.store import Store, Stored, Unusable, remove_tree
from gitward.grants.endpoint import Nowhere
from gitward.grants.system_image import SystemImage
from gitward.sandboxes import Command, Limits, SandboxEngine, Stream, foreign_folders
from gitward.sandboxes.etc_folder import TEXTS

_TRIAL_SECONDS = 60.0
_TRIAL = "git --version && gh --version && if command -v git-lfs; then :; fi"
_ALSO = ("var/lib",)  # below what a sandbox makes itself


@dataclass(frozen=True, kw_only=True)
class Adder:
    """Where environments lie, and what it takes to add one."""

    store: Store
    engine: SandboxEngine  # started
    limit_bytes: int  # of one image
    environment: Mapping[str, str]  # for skopeo: the operator's proxy, and where his logins are
    tell: Callable[[str], None]  # what a person should know

    async def add(self, name: str, text: str, given: Iterable[str] = ()) -> Stored:
        """:param given: NAME=VALUE, beside the image's own variables. Raises Unusable; nothing has changed then."""
        if not is_name(name) or name == HOST:
            raise Unusable(f"{name!r}: an environment's name {NAME_RULE}; `{HOST}` is taken.")
        chosen = variables.parse(given)
        source = sources.parse(text)
        if source.kind is not Kind.FOLDER:
            unpacking.check_tools()
        with self.store.changing():
            self.store.sweep()
            try:
                async with self._unpacked(source) as (root, lines):
                    digest = await self._take(root, lines, chosen)
            except OSError as error:
                raise Unusable(f"The image could not be stored: {error.strerror or error}.") from error
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self.store.name(name, digest, source=text, added_at=now)
            self.store.sweep()
        stored = self.store.get(name)
        assert stored is not None
        return stored

    @contextlib.asynccontextmanager
    async def _unpacked(self, source: Source) -> AsyncIterator[tuple[Path, tuple[object, ...]]]:
        if source.kind is Kind.FOLDER:
            yield source.path, tuple(variables.of_folder(source.path))
            return
        part = self.store.new_part()
        try:
            fetch = None
            if source.kind is Kind.REGISTRY:
                fetch = partial(registry.fetch, source, environment=self.environment, limit=self.limit_bytes)
            self.tell(f"Unpacking {source.text}")
            workspace = part / "unpacking"
            unpacked = await unpacking.unpack(self.engine, workspace, source, limit=self.limit_bytes, fetch=fetch)
            yield unpacked.root, unpacked.variables
        finally:
            await asyncio.to_thread(_clear, part)

    async def _take(self, root: Path, lines: tuple[object, ...], chosen: Mapping[str, str]) -> str:
        """The digest of the image, which is in its place."""
        part = self.store.new_part()
        try:
            about, digest = await asyncio.to_thread(self._copy, root, part, lines, chosen)
            await self._try(part, about)
            self.store.put(part, digest, about)
            return digest
        finally:
            if part.exists():
                await asyncio.to_thread(remove_tree, part)

    def _copy(
        self, root: Path, part: Path, lines: tuple[object, ...], chosen: Mapping[str, str]
    ) -> tuple[dict[str, Any], str]:
        tree = self.store.tree(part)
        tree.chmod(0o755)
        folders, links = inspection.top_names(root)
        copied = Copied(limit_bytes=self.limit_bytes)
        also = [each for each in _ALSO if inspection.resolve(root, each) == each and (root / each).is_dir()]
        for folder in (*folders, "etc", *also):
            copying.copy(root, tree, folder, copied, etc.is_wanted)
        for name, target in links.items():
            (tree / name).symlink_to(target)
        own, dropped = variables.kept(lines, tree)
        values = variables.merged(own, chosen)
        inspection.check_parts(tree, values)
        roots = inspection.find_roots(tree)
        assert roots is not None
        etc.furnish(tree / "etc", TEXTS, roots)
        self._report(copied, dropped)
        about = {
            "folders": [*folders, *also],
            "links": links,
            "variables": values,
            "bytes": copied.size,
            "files": copied.files,
        }
        return about, copied.digest(repr(sorted(links.items())).encode(), repr(sorted(values.items())).encode())

    def _report(self, copied: Copied, dropped: Iterable[str]) -> None:
        if copied.left_out_count:
            more = copied.left_out_count - len(copied.left_out)
            names = ", ".join(copied.left_out) + (f" and {more} more" if more else "")
            self.tell(f"Left out: {names}")
        if names := ", ".join(dropped):
            self.tell(f"Variables of the image that lead to places a sandbox does not have, left out: {names}")

    async def _try(self, part: Path, about: Mapping[str, Any]) -> None:
        """Runs the programs that every run needs, in the image. Raises Unusable."""
        lock = part / "lock"
        lock.touch(mode=0o644)
        image = SystemImage(
            root=self.store.tree(part),
            folders=tuple(about["folders"]),
            links=about["links"],
            variables=about["variables"],
            lock=lock,
        )
        said = bytearray()

        async def keep(_stream: Stream, piece: bytes) -> None:
            said.extend(piece)
            del said[:-2000]

        trial = part.with_name(f"{part.name}-trial")
        sandbox = await self.engine.open(
            name="environment", workspace=trial, endpoint=Nowhere(), limits=Limits(), image=image
        )
        try:
            argv = ("/bin/bash", "-c", _TRIAL)
            completed = await sandbox.run(Command(argv=argv, timeout_seconds=_TRIAL_SECONDS, in_image=True), keep)
        finally:
            await sandbox.close()
            await asyncio.to_thread(_clear, trial)
        text = "".join(each if each.isprintable() else " " for each in said.decode("utf-8", "replace"))
        if completed.exit_code != 0:
            raise Unusable(f"git and gh of the image do not run: {' '.join(text.split())}")
        if "git-lfs" not in text:
            self.tell("The image has no git-lfs: commands that add or fetch LFS files fail in it.")
        if not inspection.has_library(image.root, "libstdc++.so.6"):
            self.tell("The image has no libstdc++.so.6: agents that need Node.js do not start in it.")


def _clear(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        foreign_folders.clear(folder)
        folder.rmdir()
