"""What the sandbox of a look is given: a pack, and nothing that is worth anything."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from gitward.grants.endpoint import Endpoint, ports_of
from gitward.grants.inspection import Findings, InspectionFailed
from gitward.repositories.pack_inspection.inspector import PackInspector
from gitward.sandboxes import Command, Completed, Limits, OnOutput, Sandbox, SandboxError, Stream, User

TIP = "1" * 40
PACK = b"PACK, or what is said to be one"
LIMITS = Limits(memory_bytes=1, processes=2)


class Recorder:
    """An engine, and its one sandbox, in which every command succeeds and says that nothing is there."""

    def __init__(self) -> None:
        self.endpoint: Endpoint | None = None
        self.limits: Limits | None = None
        self.commands: list[Command] = []
        self.files: dict[str, bytes] = {}
        self.closed = False
        self.failure: Exception | None = None

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    async def open(
        self, *, name: str, workspace: Path, endpoint: Endpoint, limits: Limits, **nothing_else: Any
    ) -> Sandbox:
        assert not nothing_else
        assert name == workspace.name
        if self.failure is not None:
            raise self.failure
        self.endpoint, self.limits = endpoint, limits
        work = workspace / "work"
        self.files = {str(path.relative_to(work)): path.read_bytes() for path in work.rglob("*") if path.is_file()}
        return self

    async def run(self, command: Command, on_output: OnOutput | None = None) -> Completed:
        self.commands.append(command)
        if on_output is not None and command.stdin:
            answer = b"".join(line + b" missing\n" for line in command.stdin.splitlines())
            await on_output(Stream.STDOUT, answer)
        return Completed(exit_code=0, timed_out=False, cancelled=False, seconds=0.0, limit=None)

    def share_user(self) -> User:
        raise NotImplementedError

    async def read(self, path: str, *, limit: int) -> bytes:
        raise NotImplementedError

    async def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True


async def look(engine: Recorder, folder: Path) -> Findings:
    inspector = PackInspector(engine, folder, LIMITS)
    pack = inspector.spool()
    try:
        os.write(pack, PACK)
        return await inspector.look(pack, TIP)
    finally:
        os.close(pack)


async def test_it_gets_a_pack_and_reaches_nothing(tmp_path: Path) -> None:
    engine = Recorder()
    assert await look(engine, tmp_path) == Findings()
    assert engine.endpoint is not None
    assert (engine.endpoint.addresses, engine.endpoint.ca_pem, ports_of(engine.endpoint)) == ((), b"", ())
    assert engine.limits == LIMITS
    assert engine.files.pop("objects/pack/pack-push.pack") == PACK
    assert set(engine.files) == {"HEAD", "config"}
    for command in engine.commands:
        assert command.argv[0] == "git"
        assert set(command.env) == {"GIT_DIR", "GIT_CONFIG_NOSYSTEM", "GIT_NO_REPLACE_OBJECTS"}
    assert engine.closed
    assert list(tmp_path.iterdir()) == []


async def test_an_engine_that_fails_is_not_the_packs_fault(tmp_path: Path) -> None:
    engine = Recorder()
    engine.failure = SandboxError("every sandbox slot is in use")
    with pytest.raises(InspectionFailed, match="the worker could not inspect the push; try again"):
        await look(engine, tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_look_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    """Whenever it is: also while the folder is made, which is done in a thread."""
    inspector = PackInspector(Recorder(), tmp_path, LIMITS)
    pack = inspector.spool()
    for number in range(100):
        looking = asyncio.create_task(inspector.look(pack, TIP))
        await asyncio.sleep(number / 50_000)
        looking.cancel()
        await asyncio.wait([looking])
    os.close(pack)
    assert list(tmp_path.iterdir()) == []


async def test_what_a_killed_worker_left_is_wiped(tmp_path: Path) -> None:
    left = tmp_path / "push-left" / "work"
    left.mkdir(parents=True)
    (left / "file").write_text("x")
    left.chmod(0o500)
    await PackInspector(Recorder(), tmp_path, LIMITS).wipe()
    assert list(tmp_path.iterdir()) == []
