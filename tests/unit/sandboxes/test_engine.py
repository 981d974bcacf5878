"""The engine's answers to what is wrong around it, and the worker's side of launcher and supervisors."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gitward.grants import channel
from gitward.grants.cgroups import Controller
from gitward.sandboxes import Command, Limits, SandboxError, descriptor_waits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.launcher_handle import LauncherHandle
from gitward.sandboxes.probe import NoEndpoint
from gitward.sandboxes.remedies import explain
from gitward.sandboxes.sandbox import check
from gitward.sandboxes.standard_streams import StandardStreams
from gitward.sandboxes.supervisor_handle import SupervisorHandle
from gitward.sandboxes.supervisor_requests import Build, PrepareRequest

BUILD = Build(bwrap="/usr/bin/bwrap")


def test_the_launcher_loads_little() -> None:
    """Each command's supervisor, and what becomes its bubblewrap, copies the pages of what the launcher has loaded."""
    program = "import gitward.sandboxes.launcher, sys; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, check=True, timeout=60, text=True
    )
    loaded = set(ended.stdout.split())
    assert "gitward.sandboxes.supervisor" in loaded
    assert not loaded & {"asyncio", "ssl", "logging", "subprocess", "secrets", "hashlib"}


async def test_an_engine_that_is_not_started_opens_nothing(tmp_path: Path) -> None:
    engine = BubblewrapEngine(slots=1)
    with pytest.raises(SandboxError, match="not started"):
        await engine.open(name="x", workspace=tmp_path / "x", endpoint=NoEndpoint(), limits=Limits())
    await engine.stop()


async def test_a_missing_bubblewrap_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        await BubblewrapEngine(slots=1).start()


@pytest.mark.parametrize("path", [Path("relative"), Path("/no/such/folder")])
async def test_a_missing_tool_folder_is_named(path: Path) -> None:
    with pytest.raises(SandboxError, match=str(path)):
        await BubblewrapEngine(slots=1, tool_paths=[path]).start()


async def test_a_bubblewrap_that_fails_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As where user namespaces are closed: what bubblewrap said is told, with the remedy."""
    tmp_path.chmod(0o755)
    fake = Path("/tmp") / f"gitward-fake-{os.getpid()}"
    fake.mkdir(mode=0o755)
    try:
        (fake / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        (fake / "bwrap").chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
        engine = BubblewrapEngine(slots=1)
        with pytest.raises(SandboxError, match=r"No permissions to create new namespace.*user namespaces are allowed"):
            await engine.start()
        await engine.stop()
    finally:
        (fake / "bwrap").unlink()
        fake.rmdir()


async def test_cgroups_that_cannot_be_used_give_way_to_the_watchdog(tmp_path: Path) -> None:
    """A folder in which limits can be written, and that no process can enter."""
    names = {"limit_file": "../limit", "swap_file": "../swap", "events_file": "events"}
    controller = Controller(folder=tmp_path, version=2, **names)
    engine = BubblewrapEngine(slots=1, find_cgroups=lambda: controller)
    await engine.start()
    try:
        assert {guard.name: guard.holds for guard in await engine.probe()}["memory"] == "watchdog"
    finally:
        await engine.stop()


@pytest.mark.parametrize("stage", ["claim", "cgroup", "identity", "namespaces", "ports", "bubblewrap", "setup"])
def test_every_stage_has_a_remedy(stage: str) -> None:
    text = explain(stage, "what happened")
    assert "what happened" in text
    assert len(text) > len(explain("unknown", "what happened")) + 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"argv": ()},
        {"argv": ("",)},
        {"argv": ("a\0b",)},
        {"env": {"A": "\0"}},
        {"env": {"": "x"}},
        {"env": {"A=B": "x"}},
        {"cwd": "relative"},
        {"cwd": "/a\0"},
        {"timeout_seconds": 0},
        {"timeout_seconds": float("nan")},
    ],
)
def test_a_command_that_cannot_be_is_the_callers_mistake(wrong: dict[str, object]) -> None:
    command = Command(**{"argv": ("true",), "timeout_seconds": 1, **wrong})  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError):  # noqa: PT011  # every message is of the same function
        check(command)


async def test_a_launcher_that_died_is_replaced() -> None:
    launcher = LauncherHandle()
    await launcher.start()
    try:
        first = launcher.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await _ended(first)
        link = await _supervisor(launcher)
        assert launcher.pid != first
        alive = [link.is_alive]
        await link.end()
        alive.append(link.is_alive)
        link.close()
        assert alive == [True, False]
    finally:
        await launcher.stop()
    await launcher.stop()
    with pytest.raises(SandboxError, match="stopped"):
        await _supervisor(launcher)


async def test_many_may_ask_the_launcher_at_once() -> None:
    launcher = LauncherHandle()
    await launcher.start()
    try:
        links = await asyncio.gather(*(_supervisor(launcher) for _ in range(20)))
        for link in links:
            await link.end()
            link.close()
    finally:
        await launcher.stop()


async def test_a_ready_supervisor_ends_with_its_launcher() -> None:
    launcher = LauncherHandle()
    await launcher.start()
    link = await _supervisor(launcher)
    await launcher.stop()
    with pytest.raises(SandboxError, match="ended from outside"):
        await link.receive(5)
    await link.end()
    link.close()


async def test_what_a_killed_bubblewrap_had_just_started_ends_too(tmp_path: Path) -> None:
    """Its child follows no parent before the sandbox is built, and waited for ever. Here a stand-in has one."""
    child = tmp_path / "child"
    bubblewrap = tmp_path / "bwrap"
    bubblewrap.write_text(f'#!/bin/sh\nsleep 600 &\necho "$!" >{child}.new\nmv {child}.new {child}\nwait\n')
    bubblewrap.chmod(0o755)
    launcher = LauncherHandle()
    await launcher.start()
    link = await _supervisor(launcher, Build(bwrap=str(bubblewrap)))
    while not child.exists():
        await asyncio.sleep(0.01)
    left = int(child.read_text())
    await launcher.stop()
    await link.end()
    link.close()
    async with asyncio.timeout(30):
        await _ended(left)


async def test_a_bubblewrap_that_failed_before_it_may_go_on_says_why() -> None:
    streams = StandardStreams(None)
    errors = streams.given(())[2]
    os.write(errors, b"bwrap: No room for namespaces")
    streams.hand_over()
    ours, theirs = channel.pair()
    ours.setblocking(False)
    link = SupervisorHandle(ours, streams, follows=True)
    with theirs:
        channel.send(theirs, {"error": "bubblewrap ended with exit code 1", "stage": "setup", "exit_code": 1}, [])
    with pytest.raises(SandboxError, match="No room for namespaces"):
        await link.go()
    link.close()


async def test_a_number_that_another_process_has_by_now_is_left_alone() -> None:
    """The kernel gives the number of a group to nobody while somebody is in it."""
    process = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    handle = os.pidfd_open(process.pid)
    ours, theirs = channel.pair()
    with ours, theirs:
        link = SupervisorHandle(ours, StandardStreams(None), follows=True)
        link._handle = handle
        owned = []
        for group in (process.pid, os.getpid()):
            link._group = group
            owned.append(link._has_its_number())  # it lives: both numbers count as its own
        process.kill()
        await process.wait()
        for group in (process.pid, os.getpid()):
            link._group = group
            owned.append(link._has_its_number())
        link.close()
    assert owned == [True, True, True, False]


async def test_the_launcher_has_no_environment_and_no_descriptors_of_the_worker() -> None:
    launcher = LauncherHandle()
    secret = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(secret, True)
    await launcher.start()
    try:
        link = await _supervisor(launcher)  # by now it has read its environment and forked
        assert Path(f"/proc/{launcher.pid}/environ").read_bytes() == b""
        found = {os.readlink(f"/proc/{launcher.pid}/fd/{number}") for number in os.listdir(f"/proc/{launcher.pid}/fd")}
        assert len([name for name in found if name.startswith("socket:")]) == 1
        assert str(secret) not in os.listdir(f"/proc/{launcher.pid}/fd") or secret <= 2
        await link.end()
        link.close()
    finally:
        os.close(secret)
        await launcher.stop()


async def test_uninterrupted_work_is_finished_before_a_cancellation_goes_on() -> None:
    begun, release, finished = asyncio.Event(), asyncio.Event(), False

    async def work() -> None:
        nonlocal finished
        begun.set()
        await release.wait()
        finished = True

    task = asyncio.create_task(descriptor_waits.uninterrupted(work()))
    await begun.wait()
    for _ in range(2):
        task.cancel()
        done, _pending = await asyncio.wait({task}, timeout=0.01)
        assert not done
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished


async def test_uninterrupted_work_returns_or_raises_its_own() -> None:
    async def fail() -> None:
        raise KeyError("own")

    assert await descriptor_waits.uninterrupted(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(KeyError, match="own"):
        await descriptor_waits.uninterrupted(fail())


async def test_a_full_channel_is_waited_for() -> None:
    ours, theirs = channel.pair()
    ours.setblocking(False)
    theirs.setblocking(False)
    message = {"data": "x" * 100_000}

    async def read(count: int) -> int:
        return sum([len((await descriptor_waits.receive(theirs))[0]["data"]) for _ in range(count)])

    with ours, theirs:
        reading = asyncio.create_task(read(10))
        for _ in range(10):
            await descriptor_waits.send(ours, message)
        assert await reading == 1_000_000


async def _supervisor(launcher: LauncherHandle, build: Build = BUILD) -> SupervisorHandle:
    prepare = PrepareRequest(uid=None, cgroup=None, network=True, ports=(443,), build=build, follows=True)
    claim = os.memfd_create("claim", os.MFD_CLOEXEC)
    try:
        return await SupervisorHandle.prepare(launcher.send, prepare, claim=claim, options=())
    finally:
        os.close(claim)


async def _ended(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    await descriptor_waits.readable(handle)
    os.close(handle)


async def test_a_cgroup_that_cannot_be_entered_is_told(tmp_path: Path) -> None:
    launcher = LauncherHandle()
    await launcher.start()
    claim = os.memfd_create("claim", os.MFD_CLOEXEC)
    try:
        prepare = PrepareRequest(
            uid=None, cgroup=str(tmp_path / "missing/cgroup.procs"), network=True, ports=(), build=BUILD
        )
        with pytest.raises(SandboxError, match=r"\(cgroup\): .*No such file"):
            await SupervisorHandle.prepare(launcher.send, prepare, claim=claim, options=())
        prepare = PrepareRequest(uid=None, cgroup="/dev/full", network=True, ports=(), build=BUILD)
        link = await SupervisorHandle.prepare(launcher.send, prepare, claim=claim, options=())
        message, _ = await link.receive(5)
        assert "No space left on device" in message["error"]
        await link.end()
        link.close()
    finally:
        os.close(claim)
        await launcher.stop()
