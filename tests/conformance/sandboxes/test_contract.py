"""What every sandbox promises to those who use it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from gitward.sandboxes import Command, SandboxError, Stream
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.protocol import MIB
from machine import slowness

from .rig import Inside, Rig, processes_with

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_runs_a_program_and_tells_its_exit_code(inside: Inside) -> None:
    outcome = await inside.run("/bin/sh", "-c", "echo out; echo err >&2; exit 7")
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
    completed = outcome.completed
    assert (completed.exit_code, completed.timed_out, completed.cancelled, completed.limit) == (7, False, False, None)
    assert 0 < completed.seconds < 10


async def test_arguments_arrive_as_they_are(inside: Inside) -> None:
    arguments = ["a b", "$(id)", "`id`", "; id", "*", "", "ünïcode", "-rf", "--", "a\nb", "'\"", "\udcff"]
    outcome = await inside.python("import os, sys; print(os.fsencode(chr(0).join(sys.argv[1:])))", *arguments)
    assert outcome.said == repr(os.fsencode("\0".join(arguments)))


async def test_every_byte_arrives_in_arguments_variables_and_the_folder_s_name(inside: Inside) -> None:
    """What a shell reads on the way changes nothing."""
    every = bytes(range(1, 256)) + b"\\\n\\x'\\'\"$(id)`id`\\"
    folder = os.fsdecode(b"/workspace/" + every.replace(b"/", b"")[:200])
    await inside.run("mkdir", folder)
    program = (
        "import os, sys; print([os.fsencode(sys.argv[1]), os.environb[b'EVERY'], os.environb[b'IFS'], os.getcwdb()])"
    )
    text = os.fsdecode(every)
    outcome = await inside.python(program, text, env={"IFS": text, "EVERY": text}, cwd=folder)
    assert outcome.said == repr([every, every, every, os.fsencode(folder)])


async def test_what_told_the_command_is_not_left_open(inside: Inside) -> None:
    outcome = await inside.python("import os; print(sorted(os.listdir('/proc/self/fd')))", stdin=b"x")
    assert outcome.said == "['0', '1', '2', '3']", "the last is the listing's own"


async def test_a_signal_is_told_as_a_shell_tells_it(inside: Inside) -> None:
    assert (await inside.bash("kill -SEGV $$")).completed.exit_code == 128 + 11


@pytest.mark.parametrize(
    ("program", "code"), [("/no/such/program", 127), ("no-such-program", 127), ("A=b", 127), ("/etc/passwd", 126)]
)
async def test_a_program_that_cannot_be_started_is_told_as_a_shell_tells_it(
    inside: Inside, program: str, code: int
) -> None:
    outcome = await inside.run(program)
    assert outcome.completed.exit_code == code
    assert program in outcome.stderr


async def test_standard_input_arrives_whole_and_ends(inside: Inside) -> None:
    data = os.urandom(3 * MIB)
    outcome = await inside.run("sha256sum", stdin=data)
    assert outcome.stdout.split()[0] == hashlib.sha256(data).hexdigest()


async def test_a_command_that_does_not_read_its_input_ends_all_the_same(inside: Inside) -> None:
    assert (await inside.run("true", stdin=bytes(MIB))).completed.exit_code == 0


async def test_without_input_the_command_reads_an_end(inside: Inside) -> None:
    assert (await inside.run("cat")).stdout == ""


async def test_standard_streams_can_be_opened_by_name(inside: Inside) -> None:
    """Shell scripts write to /dev/stderr, which is an open of the pipe by another user than the worker."""
    outcome = await inside.bash("cat /dev/stdin > /dev/stdout; echo err > /dev/stderr", stdin=b"in")
    assert (outcome.stdout, outcome.stderr) == ("in", "err\n")


async def test_the_environment_is_small_and_what_was_added(inside: Inside) -> None:
    outcome = await inside.run("env", "-0", env={"ADDED": "a\nb=c", "TERM": "vt100"})
    variables = dict(item.split("=", 1) for item in outcome.stdout.split("\0") if item)
    assert variables.pop("ADDED") == "a\nb=c"
    assert variables.pop("TERM") == "vt100"
    assert (variables["HOME"], variables["USER"]) == ("/home/gitward", "gitward")
    assert set(variables) == {
        *("HOME", "PATH", "LANG", "USER", "LOGNAME", "SHELL", "PWD"),
        *("SSL_CERT_FILE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"),
        *("REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE"),
    }


async def test_commands_begin_in_the_workspace_or_where_they_are_told(inside: Inside) -> None:
    assert (await inside.run("pwd")).said == "/workspace"
    assert (await inside.run("pwd", cwd="/home/gitward")).said == "/home/gitward"
    assert (await inside.run("pwd", cwd="/no/such/folder")).completed.exit_code == 127


async def test_the_user_is_known_and_is_not_root(inside: Inside) -> None:
    assert (await inside.bash("id -un; id -u; id -G")).stdout.split() == ["gitward", "1000", "1000"]


async def test_the_workspace_is_kept_and_the_home_is_not(rig: Rig, engine: BubblewrapEngine) -> None:
    for expected in ("", "kept"):
        async with rig.opened(engine) as inside:
            outcome = await inside.bash("cat kept; cat ~/gone; echo kept > kept; echo gone > ~/gone")
            assert outcome.said == expected
    assert (rig.folder / "run/work/kept").read_text() == "kept\n"


async def test_a_home_that_was_made_hard_to_remove_is_emptied(rig: Rig, engine: BubblewrapEngine) -> None:
    """Go's module cache is read-only, and a hostile home is deeper than a path may be long."""
    async with rig.opened(engine) as inside:
        script = "import os\nos.chdir('/home/gitward')\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"
        assert (await inside.python(script)).completed.exit_code == 0
        outcome = await inside.bash(
            "mkdir -p ~/go/pkg && echo x > ~/go/pkg/x && chmod 555 ~/go/pkg && mkdir ~/shut && chmod 0 ~/shut ~"
        )
        assert outcome.completed.exit_code == 0
    async with rig.opened(engine) as inside:
        assert (await inside.bash("ls -A ~")).stdout == ""


async def test_files_are_written_and_read(inside: Inside) -> None:
    data = os.urandom(200_000)
    await inside.sandbox.write("/home/gitward/deep/er/file", data, mode=0o640)
    assert await inside.sandbox.read("/home/gitward/deep/er/file", limit=len(data)) == data
    assert (await inside.run("stat", "-c", "%a", "/home/gitward/deep/er/file")).said == "640"
    await inside.sandbox.write("/home/gitward/deep/er/file", b"")
    assert await inside.sandbox.read("/home/gitward/deep/er/file", limit=0) == b""


@pytest.mark.parametrize("path", ["/no/such/file", "/workspace", "/proc/1/mem"])
async def test_what_cannot_be_read_is_an_error(inside: Inside, path: str) -> None:
    with pytest.raises(SandboxError, match="could not be read"):
        await inside.sandbox.read(path, limit=100)


async def test_what_cannot_be_written_is_an_error(inside: Inside) -> None:
    with pytest.raises(SandboxError, match="could not be written"):
        await inside.sandbox.write("/usr/bin/git", b"")


async def test_a_longer_file_than_allowed_is_an_error(inside: Inside) -> None:
    await inside.sandbox.write("/workspace/long", bytes(11))
    with pytest.raises(SandboxError, match="longer than 10"):
        await inside.sandbox.read("/workspace/long", limit=10)
    with pytest.raises(SandboxError, match="longer than 10"):
        await inside.sandbox.read("/dev/zero", limit=10)


async def test_reading_does_not_leave_the_sandbox_by_a_link(inside: Inside, rig: Rig) -> None:
    secret = rig.folder / "secret"
    secret.write_text("host")
    secret.chmod(0o644)
    await inside.run("ln", "-s", str(secret), "/workspace/link")
    await inside.run("ln", "-s", "/etc/hostname", "/workspace/hostname")
    with pytest.raises(SandboxError, match="could not be read"):
        await inside.sandbox.read("/workspace/link", limit=100)
    assert await inside.sandbox.read("/workspace/hostname", limit=100) == b"sandbox\n"


async def test_time_over_asks_first(inside: Inside) -> None:
    limit = 0.5 * slowness()
    outcome = await inside.bash("trap 'echo ended; exit 3' TERM; echo begun; sleep 60 & wait", seconds=limit)
    assert outcome.stdout == "begun\nended\n"
    assert (outcome.completed.exit_code, outcome.completed.timed_out) == (3, True)
    assert outcome.completed.seconds < limit + 1.5 * slowness()


async def test_who_ignores_the_question_is_killed(inside: Inside) -> None:
    limit = 0.5 * slowness()
    outcome = await inside.bash("trap '' TERM; while :; do sleep 60; done", seconds=limit)
    assert (outcome.completed.exit_code, outcome.completed.timed_out) == (137, True)
    assert limit + 1.9 < outcome.completed.seconds < limit + 2 + 1.5 * slowness()


async def test_cancelling_ends_every_process_first(inside: Inside) -> None:
    token = f"token-{os.urandom(6).hex()}"
    script = f"for i in 1 2 3; do setsid bash -c 'sleep 600; : {token}' & done; trap '' TERM; echo; wait"
    task = asyncio.create_task(inside.bash(script))
    await inside.heard.wait()
    begun = asyncio.get_running_loop().time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.get_running_loop().time() - begun < slowness()
    assert not processes_with(token)
    assert not inside.endpoint.attached


async def test_a_consumer_that_fails_ends_the_command(inside: Inside) -> None:
    class OwnError(Exception):
        pass

    async def fail(_stream: Stream, _piece: bytes) -> None:
        raise OwnError

    with pytest.raises(OwnError):
        await inside.sandbox.run(Command(argv=("yes",), timeout_seconds=30), fail)
    assert (await inside.run("true")).completed.exit_code == 0


async def test_closing_ends_what_runs(inside: Inside) -> None:
    task = asyncio.create_task(inside.bash("echo; exec sleep 600"))
    await inside.heard.wait()
    await inside.sandbox.close()
    outcome = await task
    assert (outcome.completed.cancelled, outcome.completed.exit_code) == (True, 137)
    await inside.sandbox.close()
    with pytest.raises(SandboxError, match="closed"):
        await inside.run("true")


async def test_stopping_the_engine_closes_its_sandboxes(rig: Rig) -> None:
    async with rig.engine() as engine, rig.opened(engine) as inside:
        task = asyncio.create_task(inside.bash("echo; exec sleep 600"))
        await inside.heard.wait()
        await engine.stop()
        assert (await task).completed.cancelled


async def test_commands_may_run_side_by_side(inside: Inside) -> None:
    outcomes = await asyncio.gather(*(inside.bash(f"echo {number}") for number in range(8)))
    assert [outcome.said for outcome in outcomes] == [str(number) for number in range(8)]


async def test_much_output_streams_through_a_small_worker(inside: Inside) -> None:
    size, seen = 100 * MIB, 0
    before = most = _memory()

    async def count(_stream: Stream, piece: bytes) -> None:
        nonlocal seen, most
        assert len(piece) <= 64 * 1024
        seen += len(piece)
        most = max(most, _memory())

    command = Command(argv=("head", "-c", str(size), "/dev/zero"), timeout_seconds=60)
    assert (await inside.sandbox.run(command, count)).exit_code == 0
    assert seen == size
    assert most - before < 8 * MIB


async def test_back_pressure_reaches_the_command(inside: Inside) -> None:
    """While a consumer is busy the command waits: its pipe is full."""
    first, release = asyncio.Event(), asyncio.Event()

    async def consume(_stream: Stream, _piece: bytes) -> None:
        first.set()
        await release.wait()

    script = "head -c 1000000 /dev/zero; touch /workspace/written"
    command = Command(argv=("/bin/bash", "-c", script), timeout_seconds=30)
    task = asyncio.create_task(inside.sandbox.run(command, consume))
    await first.wait()
    await inside.run("true")  # time enough for a command that does not wait
    assert not (inside.workspace / "work/written").exists()
    release.set()
    assert (await task).exit_code == 0
    assert (inside.workspace / "work/written").exists()


async def test_slots_bound_what_is_open(rig: Rig) -> None:
    async with rig.engine(slots=1) as engine:
        async with rig.opened(engine, name="first"):
            waiting = asyncio.create_task(rig.opened(engine, name="second").__aenter__())
            done, _ = await asyncio.wait({waiting}, timeout=0.2)
            assert not done
        second = await waiting
        await second.sandbox.close()


async def test_another_user_id_gets_the_workspace(rig: Rig) -> None:
    """What one slot wrote, links and all, belongs to the next slot, and nothing outside changes hands."""
    outside = rig.folder / "outside"
    outside.write_text("")
    owner = outside.stat().st_uid
    async with rig.sandbox(uid_base=61100) as inside:
        await inside.bash(f"mkdir -p a/b; echo > a/b/c; ln -s {outside} a/link; ln -s /etc a/etc; ln a/b/c a/hard")
    async with rig.sandbox(uid_base=61101) as inside:
        assert (await inside.bash("echo more >> a/b/c && rm a/hard && rmdir a/b || rm -r a")).completed.exit_code == 0
    assert outside.stat().st_uid == owner
    if os.geteuid() == 0:
        assert (rig.folder / "run/work").stat().st_uid == 61101


async def test_a_workspace_that_the_user_cannot_reach_is_named(rig: Rig) -> None:
    shut = rig.folder / "shut"
    shut.mkdir()
    shut.chmod(0o700 if os.geteuid() == 0 else 0o000)
    async with rig.engine(slots=1) as engine:
        with pytest.raises(SandboxError, match=str(shut)):
            await rig.opened(engine, name="shut/workspace").__aenter__()
        shut.chmod(0o755)
        async with rig.opened(engine) as inside:  # the failure kept no slot
            assert (await inside.run("true")).completed.exit_code == 0


def _memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
