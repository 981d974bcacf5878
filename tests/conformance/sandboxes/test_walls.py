"""Attacks from inside: every one fails, and succeeds when its wall is taken away."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from gitward.sandboxes.walls import Wall

from .attacks import ATTACKS, HOPELESS, PRELUDE, Attack
from .rig import SMALL, Rig

IS_ROOT = os.geteuid() == 0
ATTACKS_HERE = [attack for attack in ATTACKS if IS_ROOT or not attack.as_root_only]
SECRET = f"canary-{os.urandom(8).hex()}"
SHM_KEY = 0x67740000 + os.getpid() % 0xFFFF


@contextlib.contextmanager
def shared_memory() -> Iterator[None]:
    """A System V segment of the host."""
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(SHM_KEY, 4096, 0o1666)
    assert segment >= 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert libc.shmctl(segment, 0, None) == 0


@pytest.fixture
def host(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Things of the host that an attacker wants, and what he knows about them."""
    monkeypatch.setenv("GITWARD_CONFORMANCE_CANARY", SECRET)
    secret, tools = rig.folder / "secret", rig.folder / "tools"
    secret.write_text("host")
    (tools / "bin").mkdir(parents=True)
    for place in (secret, tools / "bin"):
        place.chmod(0o777)  # so that nothing but the sandbox is in the way
    marker, abstract = f"marker-{os.urandom(6).hex()}", f"gitward-{os.urandom(6).hex()}"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 9000 or hard == resource.RLIM_INFINITY, "the suite needs a hard limit of 9000 open files"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        named = stack.enter_context(socket.socket(socket.AF_UNIX))
        named.bind("\0" + abstract)
        named.listen()
        stack.enter_context(shared_memory())
        process = subprocess.Popen(["/bin/sh", "-c", "read line", marker], stdin=subprocess.PIPE)
        stack.enter_context(process)
        stack.callback(process.kill)
        yield {
            "port": listener.getsockname()[1],
            "abstract": abstract,
            "pid": process.pid,
            "marker": marker,
            "shm_key": SHM_KEY,
            "uts": os.stat("/proc/self/ns/uts").st_ino,
            "cgroup": os.stat("/proc/self/ns/cgroup").st_ino,
            "secret": str(secret),
            "tools": str(tools),
            "in_environment": SECRET,
            "workspace": str(rig.folder / "run"),
            "processes": SMALL.processes,
            "file_bytes": SMALL.file_bytes,
        }


async def _try(rig: Rig, attack: Attack, host: dict[str, Any], *without: Wall) -> str:
    async with rig.sandbox(*without, tool_paths=[rig.folder / "tools"]) as inside:
        outcome = await inside.python(attack.program, stdin=json.dumps(host).encode())
        assert outcome.said, outcome.stderr
        return outcome.said


@pytest.mark.parametrize("attack", ATTACKS_HERE, ids=lambda attack: attack.name)
async def test_the_attack_fails(rig: Rig, attack: Attack, host: dict[str, Any]) -> None:
    assert (await _try(rig, attack, host)).startswith("HELD")


@pytest.mark.parametrize("attack", ATTACKS_HERE, ids=lambda attack: attack.name)
async def test_the_attack_succeeds_without_its_wall(rig: Rig, attack: Attack, host: dict[str, Any]) -> None:
    assert (await _try(rig, attack, host, *attack.walls)).startswith("BREACHED")


async def test_hopeless_attacks_fail(rig: Rig) -> None:
    async with rig.sandbox() as inside:
        for name, program in HOPELESS:
            outcome = await inside.python(PRELUDE + program, stdin=b"{}")
            assert outcome.said.startswith("HELD"), (name, outcome)
