"""The watch over a launcher: what it does when a new one cannot be started, or when somebody else replaced it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gitward.grants import clock
from gitward.sandboxes import SandboxError
from gitward.sandboxes.launcher_handle import LauncherHandle
from gitward.sandboxes.supervisor_requests import Build, PrepareRequest

ASK_SECONDS = 0.02


def request(ports: int = 1) -> PrepareRequest:
    """Without descriptors the launcher makes no supervisor of it."""
    build = Build(bwrap="/usr/bin/bwrap")
    return PrepareRequest(uid=None, cgroup=None, network=True, ports=(443,) * ports, build=build)


@asynccontextmanager
async def started(launcher: LauncherHandle) -> AsyncIterator[int]:
    await launcher.start()
    try:
        assert launcher.pid is not None
        yield launcher.pid
    finally:
        await launcher.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


def kill(pid: int) -> None:
    """Returns when its descriptors are closed. The event loop has no turn before, and has seen nothing."""
    handle = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([handle], [], [], 30)[0]
    os.close(handle)


async def test_the_watch_tries_until_a_launcher_can_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    launcher = LauncherHandle(ask_seconds=ASK_SECONDS)
    async with started(launcher) as first:
        with monkeypatch.context() as no_room:
            no_room.setattr(sys, "executable", "/no/such/python")
            kill(first)
            await until(lambda: caplog.text.count("cannot be replaced yet") >= 3)
            assert (launcher.answers, launcher.pid) == (False, None)
            with pytest.raises(SandboxError, match=r"cannot be replaced yet \(.*\); retry the run"):
                await launcher.send(request(), ())
        await until(lambda: launcher.answers)
        assert launcher.pid not in {None, first}
        await launcher.send(request(), ())
    assert launcher.answers  # a stopped one is not missing
    with pytest.raises(SandboxError, match="the sandbox engine is stopped"):
        await launcher.send(request(), ())


async def test_the_watch_goes_on_when_there_is_no_room_for_a_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of asyncio's, which waits for the end of the process; then what is raised is no OSError."""

    async def refuses(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    launcher = LauncherHandle(ask_seconds=ASK_SECONDS)
    async with started(launcher) as first:
        with monkeypatch.context() as no_room:
            no_room.setattr(asyncio, "create_subprocess_exec", refuses)
            kill(first)
            await until(lambda: caplog.text.count("cannot be replaced yet") >= 2)
            with pytest.raises(SandboxError, match=r"cannot be replaced yet \(.*new thread\); retry the run"):
                await launcher.send(request(), ())
        await until(lambda: launcher.answers)


async def test_commands_that_come_while_the_launcher_is_replaced_have_the_next_one() -> None:
    launcher = LauncherHandle(ask_seconds=60)
    async with started(launcher) as first:
        kill(first)
        sending = [asyncio.create_task(launcher.send(request(), ()))]
        await asyncio.sleep(0)  # the first waits for its end
        assert not launcher.answers
        sending += [asyncio.create_task(launcher.send(request(), ())) for _ in range(3)]
        await asyncio.gather(*sending)
        assert launcher.pid not in {None, first}


async def test_a_run_is_told_why_its_launcher_cannot_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = LauncherHandle(ask_seconds=60)
    async with started(launcher) as first:
        monkeypatch.setattr(sys, "executable", "/no/such/python")
        kill(first)
        with pytest.raises(SandboxError, match=r"cannot be replaced yet \(.*No such file.*\); retry the run"):
            await launcher.send(request(), ())
        assert not launcher.answers


async def test_a_command_that_is_cancelled_while_it_replaces_the_launcher_leaves_that_to_the_watch() -> None:
    launcher = LauncherHandle(ask_seconds=ASK_SECONDS)
    async with started(launcher) as first:
        kill(first)
        sending = asyncio.create_task(launcher.send(request(), ()))
        await asyncio.sleep(0)  # it waits for the end of the first
        assert not launcher.answers
        sending.cancel()
        await asyncio.wait({sending})
        assert sending.cancelled()
        await until(lambda: launcher.answers and launcher.pid not in {None, first})
        await launcher.send(request(), ())


async def test_a_launcher_that_is_missing_is_not_started_while_the_lease_is_not_held(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    launcher = LauncherHandle(ask_seconds=ASK_SECONDS)
    async with started(launcher) as first:
        with monkeypatch.context() as no_room:
            no_room.setattr(sys, "executable", "/no/such/python")
            kill(first)
            await until(lambda: "cannot be replaced yet" in caplog.text)
            launcher.act_until(clock.seconds() - 1)
        assert launcher.answers  # as long as there should be none
        with pytest.raises(SandboxError, match="silent for too long"):
            await launcher.send(request(), ())
        await asyncio.sleep(10 * ASK_SECONDS)
        assert launcher.pid is None
        launcher.act_until(clock.seconds() + 600)
        await until(lambda: launcher.pid is not None and launcher.answers)


async def test_the_watch_goes_on_after_a_command_replaced_the_launcher(caplog: pytest.LogCaptureFixture) -> None:
    launcher = LauncherHandle(ask_seconds=ASK_SECONDS, slow_seconds=0.1, hangs_seconds=5)
    async with started(launcher) as first:
        os.kill(first, signal.SIGSTOP)
        await until(lambda: not launcher.answers)  # so the watch waits for it
        kill(first)
        await launcher.send(request(), ())
        second = launcher.pid
        assert launcher.answers
        assert second not in {None, first}
        assert second is not None
        kill(second)
        await until(lambda: launcher.pid not in {None, second})
    assert caplog.text.count("ended, and is replaced") == 1  # the second one


async def test_commands_that_wait_for_a_launcher_that_dies_have_the_next_one() -> None:
    launcher = LauncherHandle(ask_seconds=60)
    async with started(launcher) as first:
        os.kill(first, signal.SIGSTOP)
        assert launcher._channel is not None
        launcher._channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)  # whatever this machine gives
        sending = [asyncio.create_task(launcher.send(request(ports=25_000), ())) for _ in range(8)]
        done, waiting = await asyncio.wait(sending, timeout=0.1)
        assert done
        assert len(waiting) > 2  # one for the channel, the others for that one
        kill(first)
        await asyncio.gather(*sending)
        assert launcher.pid not in {None, first}


async def test_a_launcher_that_hangs_does_not_answer_until_it_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    launcher = LauncherHandle(ask_seconds=ASK_SECONDS, slow_seconds=0.5, hangs_seconds=1)
    async with started(launcher) as first:
        os.kill(first, signal.SIGSTOP)
        await until(lambda: not launcher.answers)
        await until(lambda: launcher.answers)
        assert launcher.pid not in {None, first}
    assert "The launcher of sandboxes hung" in caplog.text
