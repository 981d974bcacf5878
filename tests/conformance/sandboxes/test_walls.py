"""Attacks from inside: every one fails, and succeeds when its wall is taken away."""

from __future__ import annotations

import asyncio
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

from .attacks import ATTACKS, CALLS, HOPELESS, PRELUDE, Attack
from .rig import SMALL, Inside, Rig, close_all, processes_with

pytestmark = pytest.mark.asyncio(loop_scope="session")

IS_ROOT = os.geteuid() == 0
ATTACKS_HERE = [attack for attack in ATTACKS if IS_ROOT or not attack.as_root_only]
SECRET = f"canary-{os.urandom(8).hex()}"
KEYCTL = {"x86_64": 250, "aarch64": 219}[os.uname().machine]  # add_key is two below on both
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


def session_key() -> str:
    """A key in this thread's session keyring, whose processes' children inherit it. Its name."""
    name = f"gitward-{os.urandom(6).hex()}"
    libc = ctypes.CDLL(None, use_errno=True)
    key = libc.syscall(KEYCTL - 2, b"user", name.encode(), b"secret", 6, -3)
    assert key > 0, os.strerror(ctypes.get_errno())
    return name


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
            "keyctl": KEYCTL,
            "key": session_key(),
            "uts": os.stat("/proc/self/ns/uts").st_ino,
            "cgroup": os.stat("/proc/self/ns/cgroup").st_ino,
            "secret": str(secret),
            "tools": str(tools),
            "in_environment": SECRET,
            "workspace": str(rig.folder / "run"),
            "processes": SMALL.processes,
            "file_bytes": SMALL.file_bytes,
        }


async def test_every_attack_fails(rig: Rig, host: dict[str, Any]) -> None:
    """Each for its own reason: its text is in the message when one does not."""
    async with rig.sandbox(tool_paths=[rig.folder / "tools"]) as inside:
        outcomes = {attack.name: await inside.python(attack.program, stdin=_knowing(host)) for attack in ATTACKS_HERE}
        outcomes |= {name: await inside.python(PRELUDE + program, stdin=b"{}") for name, program in HOPELESS}
    assert {name: outcome for name, outcome in outcomes.items() if not outcome.said.startswith("HELD")} == {}


@pytest.mark.parametrize("attack", ATTACKS_HERE, ids=lambda attack: attack.name)
async def test_the_attack_succeeds_without_its_wall(rig: Rig, attack: Attack, host: dict[str, Any]) -> None:
    async with rig.sandbox(*attack.walls, tool_paths=[rig.folder / "tools"]) as inside:
        outcome = await inside.python(attack.program, stdin=_knowing(host))
        assert outcome.said.startswith("BREACHED"), outcome


def _knowing(host: dict[str, Any]) -> bytes:
    return json.dumps(host).encode()


@pytest.mark.parametrize("without", [(), (Wall.OPTIONS_HIDDEN,)], ids=["hidden", "taken away"])
async def test_variables_and_options_are_in_no_process_list(rig: Rig, without: tuple[Wall, ...]) -> None:
    """Seen from the host: only the command itself has its variables, and its user's eyes are needed for them."""
    secret = f"canary-{os.urandom(8).hex()}"
    async with rig.sandbox(*without) as inside:
        task = asyncio.create_task(inside.bash("echo; read < <(sleep 600)", env={"KEPT": secret}))
        await inside.heard.wait()
        assert not processes_with(secret), "a variable in the arguments of a process"
        shown = processes_with(str(inside.workspace))
        knowing = processes_with(secret, "environ")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    close_all(shown)
    close_all(knowing)
    assert bool(shown) is (Wall.OPTIONS_HIDDEN in without)
    assert not set(knowing) & set(shown)


DEBUGGED = """
child = os.fork()
if child == 0:
    import signal; signal.pause()
attached = call((101, 117), 16, child, 0, 0), os.waitpid(child, 0)[1] >> 8
word = ctypes.c_ulong(7)
there = (ctypes.c_ulong * 2)(ctypes.addressof(word), 8)
read = call((310, 270), child, ctypes.addressof(there), 1, ctypes.addressof(there), 1, 0)
opened = open(f'/proc/{child}/mem', 'rb', buffering=0).seek(ctypes.addressof(word))
print(attached, read, call((101, 117), 17, child, 0, 0))
os.kill(child, 9)
"""


async def test_a_debugger_has_the_commands_own_processes(inside: Inside) -> None:
    outcome = await inside.python(PRELUDE + CALLS + DEBUGGED, stdin=b"{}")
    assert outcome.said == "(0, 19) 8 0", outcome


async def test_every_wall_is_taken_away_somewhere() -> None:
    """By an attack here, or by a test of lifetimes or limits that has to look from outside."""
    elsewhere = {
        *(Wall.OWN_SESSION, Wall.FOLLOWS_PARENT, Wall.ENDS_ALL, Wall.TIME),
        *(Wall.MEMORY_LIMIT, Wall.DISK_LIMIT),
    }
    assert {wall for attack in ATTACKS for wall in attack.walls} | elsewhere == set(Wall)
