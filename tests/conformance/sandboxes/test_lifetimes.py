"""Nothing outlives its command, its launcher, or its worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gitward.grants import clock
from gitward.sandboxes import Completed, SandboxError, workspace_lock
from gitward.sandboxes.processes_inside import children
from gitward.sandboxes.walls import Wall
from machine import slowness

from .rig import Inside, Rig, are_gone, close_all, parent_of, processes_with

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Leaves a process behind that has left the session and the parent, and holds no descriptor of the command.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open('/dev/null', os.O_RDWR)
        for number in range(3): os.dup2(null, number)
        open('/workspace/daemon', 'w').close()
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists('/workspace/daemon'): time.sleep(0.001)
print(sys.argv[1])
"""

WORKER = """
import asyncio, sys
from pathlib import Path
from gitward.sandboxes import Command, Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.fake import FakeEndpoint
from gitward.sandboxes.walls import ALL_WALLS, Wall

async def tell(stream, piece):
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()

async def main(workspace, token, seconds, uid, *without):
    # A user id that no other sandbox takes: whoever took it would end what this worker leaves behind.
    engine = BubblewrapEngine(slots=1, uid_base=int(uid), walls=ALL_WALLS - {Wall(name) for name in without})
    await engine.start()
    sandbox = await engine.open(name="run", workspace=Path(workspace), endpoint=FakeEndpoint(), limits=Limits())
    argv = ("/bin/bash", "-c", f"echo begun; sleep 600; : {token}")
    await sandbox.run(Command(argv=argv, timeout_seconds=float(seconds)), tell)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def token() -> str:
    """A word by which a process of the sandbox is found from outside."""
    return f"token-{os.urandom(8).hex()}"


@asynccontextmanager
async def running(inside: Inside, token: str) -> AsyncIterator[asyncio.Task[object]]:
    """A command that goes on until something ends it."""
    task: asyncio.Task[object] = asyncio.create_task(inside.bash(f"echo; sleep 600; : {token}"))
    await inside.heard.wait()
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, SandboxError):
            await task


def uid_of_my_own() -> str:
    """One for each process of a parallel test run."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return str(61170 + int(number) % 13)


@asynccontextmanager
async def worker(
    rig: Rig, token: str, *without: Wall, seconds: float = 600
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another worker, with a command that goes on; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, str(rig.folder / "run"), token, str(seconds), uid_of_my_own(), *without),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"begun\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def ends(handles: dict[int, int], seconds: float = 5.0) -> bool:
    """Whether all of these processes, found by a token, end in time. Ends those that do not."""
    assert handles
    try:
        return await asyncio.to_thread(are_gone, handles, seconds)
    finally:
        for handle in handles.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        close_all(handles)


def supervisor_of(handles: dict[int, int]) -> int:
    """The nearest ancestor of a command that is a fork of the launcher."""
    pid = min(handles)
    while b"gitward.sandboxes.launcher" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = parent_of(pid)
    return pid


async def test_a_daemon_ends_with_its_command(inside: Inside, token: str) -> None:
    assert (await inside.python(DAEMON, token)).said == token
    assert not processes_with(token)


async def test_a_daemon_stays_when_nobody_ends_it(rig: Rig, token: str) -> None:
    without = (Wall.ENDS_ALL, Wall.PROCESSES_HIDDEN)
    async with rig.sandbox(*without) as inside:
        await inside.python(DAEMON, token)
        assert not await ends(processes_with(token), seconds=0.3)


async def test_either_of_the_two_walls_ends_a_daemon(rig: Rig, token: str) -> None:
    for wall in (Wall.ENDS_ALL, Wall.PROCESSES_HIDDEN):
        async with rig.sandbox(wall) as inside:
            await inside.python(DAEMON, token)
            left = processes_with(token)
            assert not left or await ends(left)


async def test_killing_the_process_group_kills_nobody_outside(inside: Inside) -> None:
    outcome = await inside.bash("kill -KILL 0")
    assert outcome.completed.exit_code == 137


async def test_killing_the_process_group_kills_the_supervisor_without_an_own_session(rig: Rig) -> None:
    async with rig.sandbox(Wall.OWN_SESSION) as inside:
        with pytest.raises(SandboxError, match="ended from outside"):
            await inside.bash("kill -KILL 0")


async def test_everything_ends_with_the_supervisor(inside: Inside, token: str) -> None:
    async with running(inside, token) as task:
        handles = processes_with(token)
        os.kill(supervisor_of(handles), signal.SIGKILL)
        assert await ends(handles)
        with pytest.raises(SandboxError, match="ended from outside"):
            await task


async def test_everything_ends_with_the_launcher_and_a_new_one_comes(rig: Rig, token: str) -> None:
    async with rig.sandbox() as inside, running(inside, token) as task:
        handles = processes_with(token)
        os.kill(parent_of(supervisor_of(handles)), signal.SIGKILL)
        assert await ends(handles)
        with contextlib.suppress(SandboxError):
            await task
        for _ in range(2):
            assert (await inside.run("true")).completed.exit_code == 0


async def test_a_supervisor_that_is_stopped_ends_with_its_launcher_at_once(rig: Rig, token: str) -> None:
    async with rig.sandbox() as inside, running(inside, token) as task:
        handles = processes_with(token)
        supervisor = supervisor_of(handles)
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(parent_of(supervisor), signal.SIGKILL)
        assert await ends(handles)
        with contextlib.suppress(SandboxError):
            await task


async def test_what_does_not_follow_outlives_its_supervisor(rig: Rig, token: str) -> None:
    async with rig.sandbox(Wall.FOLLOWS_PARENT) as inside, running(inside, token):
        handles = processes_with(token)
        os.kill(supervisor_of(handles), signal.SIGKILL)
        assert not await ends(handles, seconds=0.3)


async def test_a_supervisor_that_hangs_ends_with_its_command(inside: Inside, token: str) -> None:
    """Nobody waits for the command's own time, and its watchdogs cannot look any more."""
    async with running(inside, token) as task:
        handles = processes_with(token)
        os.kill(supervisor_of(handles), signal.SIGSTOP)
        assert await ends(handles, seconds=30)
        with pytest.raises(SandboxError, match="hung"):
            await task
    assert (await inside.run("true")).completed.exit_code == 0


async def test_a_supervisor_that_hangs_before_its_command_is_replaced(rig: Rig) -> None:
    async with rig.engine() as engine, rig.opened(engine) as inside:
        assert (await inside.run("true")).completed.exit_code == 0
        assert engine.pid is not None
        for pid in await _supervisors_of(engine.pid):  # one is ready for the next command
            os.kill(pid, signal.SIGSTOP)
        assert (await inside.run("echo", "there")).said == "there"


async def _supervisors_of(launcher: int) -> list[int]:
    """Those of a launcher, as soon as there is one that waits."""
    async with asyncio.timeout(10):
        while not (found := children(launcher)):
            await asyncio.sleep(0.01)
    return found


async def test_a_launcher_that_hangs_is_told_and_replaced(rig: Rig, token: str) -> None:
    """What ran under it ends with a reason, and a supervisor of it that hangs as well does so too."""
    async with rig.engine() as engine, rig.opened(engine, name="hung") as inside, running(inside, token) as task:
        first, handles = engine.pid, processes_with(token)
        assert first is not None
        os.kill(supervisor_of(handles), signal.SIGSTOP)
        os.kill(first, signal.SIGSTOP)
        waiting = asyncio.create_task(inside.run("echo", "there"))  # asked for while nobody forks

        def answers() -> bool:
            return engine.answers

        assert answers()
        async with asyncio.timeout(40):
            while answers():
                await asyncio.sleep(0.05)
            while engine.pid == first or not answers():
                await asyncio.sleep(0.05)
        assert await ends(handles, seconds=30)
        with pytest.raises(SandboxError):
            await task
        assert (await waiting).said == "there"
        assert (await inside.run("echo", "again")).said == "again"


HOLD_PROCESS_1 = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    told = libc.ptrace(0x4206, 1, 0, 0), libc.ptrace(0x4207, 1, 0, 0)
    if told == (0, 0):
        os.waitpid(1, 0x40000000)  # it stops when it runs next: not after it has reaped this command
    print(*told, flush=True)
    os.write(tell, b'x')
    time.sleep(600)
os.read(ready, 1)
os._exit(7)
"""


async def test_process_1_cannot_be_held(inside: Inside) -> None:
    outcome = await inside.python(HOLD_PROCESS_1)
    assert (outcome.completed.exit_code, outcome.said) == (7, "-1 -1")


async def test_a_process_1_that_is_held_does_not_hold_a_finished_run(rig: Rig) -> None:
    """Without the wall a command can trace and stop it; the run ends all the same, with the command's own code."""
    async with rig.sandbox(Wall.SYSTEM_CALLS) as inside:
        outcome = await inside.python(HOLD_PROCESS_1, seconds=600)
        assert (outcome.completed.exit_code, outcome.completed.timed_out, outcome.said) == (7, False, "0 0")


# The same, in the return of the system call by which process 1 has reaped the command.
HOLD_PROCESS_1_LATE = HOLD_PROCESS_1.replace(
    "    print(*told",
    "    for last in (False, True):\n"
    "        assert libc.ptrace(24, 1, 0, 0) == 0\n"
    "        last or os.waitpid(1, 0x40000000)\n"
    "    print(*told",
)


async def test_a_process_1_that_is_held_before_it_tells_the_end_does_not_hold_a_run_either(rig: Rig) -> None:
    """Nobody else knows the command's code by then: the run ends with what happened."""
    async with rig.sandbox(Wall.SYSTEM_CALLS) as inside:
        with pytest.raises(SandboxError, match="stopped the sandbox's process 1"):
            await inside.python(HOLD_PROCESS_1_LATE, seconds=600)


# Has process 1 call prctl(PR_SET_PDEATHSIG, 0): then it does not end with bubblewrap and the supervisor.
FORGET_PARENT = """
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
ATTACH, GET, SET, STEP = 16, 12, 13, 9
RAX, RSI, RDI, ORIG_RAX, RIP = 10, 13, 14, 15, 16  # in struct user_regs_struct
assert libc.ptrace(ATTACH, 1, None, None) == 0
os.waitpid(1, 0)
registers = (ctypes.c_ulonglong * 27)()
assert libc.ptrace(GET, 1, None, registers) == 0
registers[RIP] -= 2  # the system call that it waits in
registers[RAX], registers[RDI], registers[RSI], registers[ORIG_RAX] = 157, 1, 0, 2**64 - 1
assert libc.ptrace(SET, 1, None, registers) == 0
assert libc.ptrace(STEP, 1, None, None) == 0
os.waitpid(1, 0)
assert libc.ptrace(GET, 1, None, registers) == 0
print(registers[RAX], flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the attack names registers of x86_64")
async def test_everything_ends_with_a_supervisor_though_process_1_was_made_to_ignore_it(rig: Rig, token: str) -> None:
    """The worker kills process 1 itself. With the wall it cannot be made to."""
    async with rig.sandbox(Wall.SYSTEM_CALLS) as inside:
        task = asyncio.create_task(inside.python(FORGET_PARENT, token))
        await asyncio.wait({task, heard := asyncio.create_task(inside.heard.wait())}, return_when="FIRST_COMPLETED")
        assert heard.done(), task.result()
        handles = processes_with(token)
        os.kill(supervisor_of(handles), signal.SIGKILL)
        assert await ends(handles)
        with pytest.raises(SandboxError, match="ended from outside"):
            await task


async def test_whoever_is_recorded_and_lives_ends_when_the_sandbox_closes(rig: Rig) -> None:
    """Whatever became of its supervisor."""
    process = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        async with rig.sandbox() as inside:
            with (inside.workspace / workspace_lock.CLAIM).open("ab") as claim:
                workspace_lock.record(claim.fileno(), process.pid)
        async with asyncio.timeout(5):
            assert await process.wait() == -signal.SIGKILL
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def test_everything_ends_with_the_worker(rig: Rig, token: str) -> None:
    async with worker(rig, token) as process:
        handles = processes_with(token)
        process.kill()
        assert await ends(handles)


async def test_what_does_not_follow_outlives_its_worker(rig: Rig, token: str) -> None:
    async with worker(rig, token, Wall.FOLLOWS_PARENT) as process:
        handles = {pid: handle for pid, handle in processes_with(token).items() if pid != process.pid}
        process.kill()
        await process.wait()
        assert not await ends(handles, seconds=0.3)


async def test_a_stopped_workers_command_ends_before_the_workspace_is_used_again(rig: Rig, token: str) -> None:
    async with worker(rig, token) as process:
        handles = {pid: handle for pid, handle in processes_with(token).items() if pid != process.pid}
        process.send_signal(signal.SIGSTOP)
        async with rig.sandbox() as inside:
            assert await ends(handles, seconds=0)
            assert (await inside.run("true")).completed.exit_code == 0
        process.send_signal(signal.SIGCONT)


async def test_a_stopped_workers_command_still_has_its_time_limit(rig: Rig, token: str) -> None:
    limit = 2 * slowness()
    async with worker(rig, token, seconds=limit) as process:
        handles = {pid: handle for pid, handle in processes_with(token).items() if pid != process.pid}
        process.send_signal(signal.SIGSTOP)
        assert await ends(handles, seconds=limit + 5 * slowness())


async def test_a_sandbox_whose_workspace_was_taken_over_runs_nothing(rig: Rig) -> None:
    async with rig.engine() as old_engine, rig.engine() as new_engine, rig.opened(old_engine) as old:
        await old.run("true")
        async with rig.opened(new_engine) as new:
            for _ in range(2):  # the supervisor that was ready, and a new one
                with pytest.raises(SandboxError, match="taken over"):
                    await old.run("touch", "/workspace/late")
            assert (await new.run("ls")).said == ""
        with pytest.raises(SandboxError, match="taken over"):
            await old.run("touch", "/workspace/late")


async def test_a_workspace_can_be_opened_twice_and_the_second_has_it(rig: Rig, token: str) -> None:
    async with rig.engine() as engine, rig.opened(engine) as first, running(first, token) as task:
        handles = processes_with(token)
        async with rig.opened(engine):
            assert await ends(handles, seconds=0)
            with pytest.raises(SandboxError):
                await task


async def test_time_ends_a_command(rig: Rig) -> None:
    assert (await _sleeper(rig)).timed_out


async def test_time_does_not_end_a_command_without_its_wall(rig: Rig) -> None:
    assert not (await _sleeper(rig, Wall.TIME)).timed_out


async def _sleeper(rig: Rig, *without: Wall) -> Completed:
    async with rig.sandbox(*without) as inside:
        return (await inside.run("sleep", "1", seconds=0.2)).completed


LEASED = """
import asyncio, sys
from pathlib import Path
from gitward.grants import clock
from gitward.sandboxes import Command, Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.fake import FakeEndpoint

LEASE_SECONDS = 2.0

async def renew(engine):
    first = clock.seconds() + LEASE_SECONDS
    told = False
    while True:
        engine.act_until(clock.seconds() + LEASE_SECONDS)
        if not told and clock.seconds() > first + 0.2:  # longer than the launcher would take to notice its end
            told = True
            print("renewed in time", flush=True)
        await asyncio.sleep(0.1)

async def tell(stream, piece):
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()

async def main(workspace, token, uid, leased):
    engine = BubblewrapEngine(slots=1, uid_base=int(uid))
    await engine.start()
    renewing = asyncio.create_task(renew(engine)) if leased == "leased" else None
    sandbox = await engine.open(name="run", workspace=Path(workspace), endpoint=FakeEndpoint(), limits=Limits())
    argv = ("/bin/bash", "-c", f"echo begun; sleep 600; : {token}")
    await sandbox.run(Command(argv=argv, timeout_seconds=600.0), tell)

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def leased_worker(rig: Rig, token: str, kind: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LEASED, str(rig.folder / "leased"), token, uid_of_my_own(), kind),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(120):
            assert await process.stdout.readline() == b"begun\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_the_sandboxes_of_a_stopped_worker_end_with_its_lease(rig: Rig, token: str) -> None:
    """The worker can do nothing: the launcher looks at the clock itself."""
    async with leased_worker(rig, token, "leased") as worker:
        handles = {pid: handle for pid, handle in processes_with(token).items() if pid != worker.pid}
        assert worker.stdout is not None
        async with asyncio.timeout(120):
            assert await worker.stdout.readline() == b"renewed in time\n"
        assert not await asyncio.to_thread(are_gone, handles, 0.0)
        worker.send_signal(signal.SIGSTOP)
        assert await ends(handles)


async def test_without_a_lease_they_go_on(rig: Rig, token: str) -> None:
    async with leased_worker(rig, token, "for ever") as worker:
        worker.send_signal(signal.SIGSTOP)
        handles = {pid: handle for pid, handle in processes_with(token).items() if pid != worker.pid}
        assert not await ends(handles, seconds=2.0)


async def test_a_new_lease_lets_the_engine_work_again(rig: Rig) -> None:
    async with rig.engine() as engine, rig.opened(engine) as inside:
        assert (await inside.run("true")).completed.exit_code == 0
        engine.act_until(0.0)
        with contextlib.suppress(SandboxError):  # one may be ready already
            await inside.run("true")
        with pytest.raises(SandboxError, match="silent for too long"):
            await inside.run("true")
        engine.act_until(clock.seconds() + 600)
        assert (await inside.run("true")).completed.exit_code == 0


async def test_a_worker_with_thousands_of_descriptors_goes_on(inside: Inside) -> None:
    """Each watcher of a run costs one; select, for one, knows none from 1,024 on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = [os.dup(2) for _ in range(1500)]
    try:
        for _ in range(3):  # the second is begun by a supervisor that was made before it was wanted
            assert (await inside.bash("echo fine")).stdout == "fine\n"
    finally:
        close_all(dict(enumerate(held)))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
