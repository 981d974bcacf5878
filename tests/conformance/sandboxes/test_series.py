"""Commands that run no foreign code follow one another in one sandbox; none has anything of the one before it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gitward.sandboxes import Command, SandboxError, Stream
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.processes_inside import children

from .rig import Inside, Outcome, Rig, are_gone, close_all, parent_of, processes_with, python_inside

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLACE = "readlink /proc/self/ns/pid /proc/self/ns/mnt /proc/self/ns/net"


async def ours(inside: Inside, *argv: str, seconds: float = 20, **more: Any) -> Outcome:
    """Runs a command in series."""
    output: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

    async def keep(stream: Stream, piece: bytes) -> None:
        output[stream] += piece
        inside.heard.set()

    command = Command(argv=argv, timeout_seconds=seconds, in_series=True, **more)
    completed = await inside.sandbox.run(command, keep)
    return Outcome(completed, *(bytes(text).decode("utf-8", "replace") for text in output.values()))


async def script(inside: Inside, text: str, **more: Any) -> Outcome:
    return await ours(inside, "/bin/bash", "-c", text, **more)


async def python(inside: Inside, source: str, *arguments: str, **more: Any) -> Outcome:
    return await ours(inside, python_inside(), "-c", source, *arguments, **more)


async def place_of(inside: Inside) -> str:
    return (await script(inside, PLACE)).said


def shells(inside: Inside) -> dict[int, int]:
    """The shells that wait for a command of this sandbox, each with a pidfd; end with `close_all`."""
    found: dict[int, int] = {}
    for line in (inside.workspace / "claim").read_text().splitlines():
        with contextlib.suppress(OSError):
            for pid in children(int(line.split()[0])):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/bin/sh\0-c\0read"):
                    found[pid] = os.pidfd_open(pid)
    return found


async def test_one_follows_the_other_in_the_same_sandbox(inside: Inside) -> None:
    places = {await place_of(inside) for _ in range(5)}
    assert len(places) == 1


async def test_each_has_its_own_exit_code_and_outputs(inside: Inside) -> None:
    for code in (0, 1, 7, 127, 255):
        outcome = await script(inside, f"echo out {code}; echo err {code} >&2; exit {code}")
        assert (outcome.completed.exit_code, outcome.stdout, outcome.stderr) == (
            code,
            f"out {code}\n",
            f"err {code}\n",
        )
    assert (await script(inside, "kill -SEGV $$")).completed.exit_code == 128 + 11
    assert (await ours(inside, "no-such-program")).completed.exit_code == 127
    assert (await ours(inside, "true")).completed.exit_code == 0


async def test_arguments_variables_folder_and_input_arrive_as_they_are(inside: Inside) -> None:
    every = bytes(range(1, 256))
    text = os.fsdecode(every)
    look = "import os, sys; print([os.fsencode(sys.argv[1]), os.environb[b'X'], os.getcwd(), sys.stdin.buffer.read()])"
    for data in (b"", b"\0" + every, b"line\n" * 100_000, b"short"):
        outcome = await python(inside, look, text, env={"X": text}, cwd="/home/gitward", stdin=data)
        assert outcome.said == repr([every, every, "/home/gitward", data])


async def test_nothing_of_a_command_is_left_for_the_next(inside: Inside) -> None:
    """Neither its variables, folder, mask, limits and input, nor what told it to the shell."""
    look = "env | sort; pwd; umask; ulimit -n; cat; ls /proc/self/fd"
    fresh = await script(inside, look)
    await script(inside, "cd /; umask 0; ulimit -n 10; exec 7>/tmp/x; export LEFT=1; cat >/dev/null", stdin=b"secret")
    again = await script(inside, look)
    assert (again.stdout, again.stderr) == (fresh.stdout, fresh.stderr)
    assert fresh.stdout.split()[-4:] == ["0", "1", "2", "3"], "the last is the listing's own"


async def test_what_was_given_to_a_command_is_nowhere_when_it_has_ended(inside: Inside) -> None:
    """Its input may be a credential, and its variables too."""
    await ours(inside, "cat", stdin=b"secret", env={"SECRET": "secret"})
    async with asyncio.timeout(30):
        while len(handles := shells(inside)) < 2:  # the one that is ready beforehand may still be on its way
            close_all(handles)
            await asyncio.sleep(0.01)
    close_all(handles)
    for pid in handles:
        contents = [Path(f"/proc/{pid}/fd/{number}").read_bytes() for number in (3, 6)]
        assert contents == [b"", b""]


async def test_what_a_command_left_running_ends_with_it(inside: Inside) -> None:
    """Also what holds its output, has a session of its own, or ignores every signal that can be ignored."""
    token = f"left-{os.urandom(8).hex()}"
    left = f"bash -c \"trap '' TERM HUP INT; exec -a {token} sleep 1000\" &"
    outcome = await script(inside, f"{left} setsid {left} until [ $(pgrep -cf '^{token}') = 2 ]; do :; done; echo done")
    handles = processes_with(token)
    try:
        assert outcome.said == "done"
        assert await asyncio.to_thread(are_gone, handles)
    finally:
        close_all(handles)
    assert (await script(inside, "pgrep -c sleep")).said == "0"


async def test_no_command_can_tell_the_exit_code_of_another(inside: Inside) -> None:
    """Where the shell tells it, no command has; a later output does not count as an earlier command's."""
    for descriptor in range(3, 10):
        outcome = await script(inside, f"echo 0 >&{descriptor}; exit 3")
        assert (outcome.completed.exit_code, "Bad file descriptor" in outcome.stderr) == (3, True)
    assert (await ours(inside, "echo", "0")).stdout == "0\n"


async def test_much_output_arrives_whole_before_the_end_is_told(inside: Inside) -> None:
    for size in (0, 1, 65_536, 3_000_000):
        outcome = await ours(inside, "head", "-c", str(size), "/dev/zero")
        assert (len(outcome.stdout), outcome.completed.exit_code) == (size, 0)


async def test_two_at_the_same_time_have_a_sandbox_each(inside: Inside) -> None:
    first, second = await asyncio.gather(script(inside, f"{PLACE}; sleep 0.1"), script(inside, f"{PLACE}; sleep 0.1"))
    assert first.said != second.said
    assert {await place_of(inside) for _ in range(3)} <= {first.said, second.said}


async def test_a_command_alone_has_another_sandbox_and_sees_nothing_of_the_series(inside: Inside) -> None:
    """No idle program of ours is alive beside what may be foreign."""
    place = await place_of(inside)
    handles = shells(inside)
    idle = next(pid for pid in handles if os.readlink(f"/proc/{pid}/ns/pid") in place)
    inside.heard.clear()
    alone = asyncio.create_task(inside.bash(f"{PLACE}; read -r", source=_nothing(until := asyncio.Event())))
    try:
        async with asyncio.timeout(20):
            await inside.heard.wait()
        assert are_gone({idle: handles[idle]}, seconds=0.1), "it is gone before the command begins"
        until.set()
        outcome = await alone
        assert set(outcome.stdout.splitlines()[:3]).isdisjoint(place.splitlines())
    finally:
        alone.cancel()
        close_all(handles)


async def _nothing(until: asyncio.Event) -> AsyncIterator[bytes]:
    await until.wait()
    yield b"\n"


async def test_a_time_limit_ends_one_command_and_another_follows(inside: Inside) -> None:
    await ours(inside, "true")
    outcome = await script(inside, "trap '' TERM; sleep 1000 & wait; sleep 1000", seconds=0.2)
    assert outcome.completed.timed_out
    assert (await ours(inside, "echo", "there")).said == "there"


async def test_a_consumer_that_fails_ends_the_command_and_what_it_wrote(inside: Inside) -> None:
    async def refuse(_stream: Stream, _piece: bytes) -> None:
        raise OSError("enough")

    command = Command(argv=("yes",), timeout_seconds=20, in_series=True)
    with pytest.raises(OSError, match="enough"):
        await inside.sandbox.run(command, refuse)
    late = Command(argv=("echo", "a"), timeout_seconds=20, in_series=True)
    with pytest.raises(OSError, match="enough"):
        await inside.sandbox.run(late, refuse)
    assert (await ours(inside, "echo", "there")).stdout == "there\n"


async def test_a_cancelled_command_ends_with_its_sandbox(inside: Inside) -> None:
    token = f"series-{os.urandom(8).hex()}"
    running = asyncio.create_task(script(inside, f"echo begun; exec -a {token} sleep 1000"))
    async with asyncio.timeout(20):
        await inside.heard.wait()
    handles = processes_with(token)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    try:
        assert are_gone(handles, seconds=0.1), "it is gone before the cancellation goes on"
    finally:
        close_all(handles)
    assert (await ours(inside, "echo", "there")).said == "there"


@pytest.mark.parametrize("generations", [0, 1, 3], ids=["shell", "process 1", "supervisor"])
async def test_those_that_were_killed_while_idle_are_replaced(inside: Inside, generations: int) -> None:
    """The spare one too: the kernel kills every process of a cgroup that has no memory left."""
    await asyncio.gather(ours(inside, "sleep", "0.1"), ours(inside, "sleep", "0.1"))
    for shell in (handles := shells(inside)):
        killed = shell
        for _ in range(generations):
            killed = parent_of(killed)
        os.kill(killed, signal.SIGKILL)
    try:
        assert len(handles) >= 2
        assert await asyncio.to_thread(are_gone, handles)
    finally:
        close_all(handles)
    assert (await ours(inside, "echo", "there")).said == "there"
    assert (await inside.run("echo", "there")).said == "there"


async def test_a_series_ends_with_its_sandbox(rig: Rig, engine: BubblewrapEngine) -> None:
    async with rig.opened(engine) as inside:
        await asyncio.gather(ours(inside, "sleep", "0.1"), ours(inside, "sleep", "0.1"))
        handles = shells(inside)
        attached = set(inside.endpoint.attached)
    try:
        assert len(handles) >= 2
        assert are_gone(handles, seconds=0.1), "they are gone when `close` returns"
        assert attached
        assert not inside.endpoint.attached
    finally:
        close_all(handles)


async def test_a_series_starts_nothing_when_its_workspace_was_taken_over(rig: Rig) -> None:
    async with rig.engine() as first, rig.engine() as second, rig.opened(first) as inside:
        await ours(inside, "true")
        async with rig.opened(second) as other:
            with pytest.raises(SandboxError):
                await ours(inside, "touch", "/workspace/late")
            assert (await ours(other, "ls", "/workspace")).stdout == ""


async def test_what_is_not_the_host_s_or_is_spoken_to_is_in_no_series(inside: Inside) -> None:
    async def source() -> Any:
        yield b""

    for more in ({"in_image": True}, {"source": source()}):
        with pytest.raises(ValueError, match="in series"):
            await inside.sandbox.run(Command(argv=("true",), timeout_seconds=1, in_series=True, **more))


async def test_memory_limit_of_one_is_told_and_another_follows(inside: Inside) -> None:
    await ours(inside, "true")
    outcome = await python(inside, "b = bytearray(1 << 30)")
    assert outcome.completed.limit == "memory"
    assert (await ours(inside, "echo", "there")).said == "there"


async def test_a_file_is_written_where_a_command_has_just_ended(inside: Inside) -> None:
    """It waits for the place, and needs no sandbox of its own."""
    running = asyncio.create_task(script(inside, f"echo begun; {PLACE}; sleep 0.2"))
    async with asyncio.timeout(20):
        await inside.heard.wait()
    await inside.sandbox.write("/home/gitward/file", b"content")
    assert running.done()
    assert (await running).said.splitlines()[1:] == (await place_of(inside)).splitlines()
    assert await inside.sandbox.read("/home/gitward/file", limit=10) == b"content"
