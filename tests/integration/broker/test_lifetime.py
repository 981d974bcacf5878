"""The process: what it gives up, how it is replaced, and that a closed grant is closed."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitward.broker import BrokerConfig, Brokers, OpenGrant
from gitward.broker.client import BrokerError
from gitward.broker.client.parent import PROGRAM
from gitward.broker.client.process import OnMessage, Process
from gitward.broker.server.hardening import UNPRIVILEGED_ID
from gitward.broker.wire.pktline import FLUSH, pkt
from gitward.grants import clock
from gitward.grants.cgroups import Group
from gitward.grants.grant import Grant
from gitward.secrets import Secret
from gitward_standin import StandIn, Token

from .conftest import BRANCH, TOKEN, Events
from .rig import Inside, commit, inside
from .wire import GIT_HOST, Wire, read_answer, wired

URL = "https://github.com/octo/demo"


@pytest.fixture
async def wire(github: StandIn, grant: Grant) -> AsyncIterator[Wire]:
    async with wired(github.url, github.api_url, grant, TOKEN, program=PROGRAM) as wire:
        yield wire


@pytest.fixture
async def broker(config: BrokerConfig) -> AsyncIterator[Brokers]:
    """With a parent that was started as the product starts it: that is what this file is about."""
    broker = Brokers(config)
    await broker.start()
    yield broker
    await broker.stop()


async def gone(handle: int) -> None:
    """Waits until the process of a pidfd has ended, and closes it."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)


async def crash(opened: OpenGrant) -> None:
    """Kills the broker; returns when another one has taken its place."""
    old = opened.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    async with asyncio.timeout(20):
        await opened.replaced(old)
    assert opened.pid != old


class TestProcess:
    async def test_it_may_nothing(self, broker: Brokers, opened: OpenGrant) -> None:
        """No root, no way to more rights, no core dump, no tracer."""
        process = Path(f"/proc/{opened.pid}")
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == 0
        assert (process / "mem").stat().st_uid == 0  # the kernel gives the files of what is not dumpable to root
        if os.getuid() == 0:
            assert status["Uid"].split() == [str(UNPRIVILEGED_ID)] * 4
            assert status["Groups"].strip() == ""
            assert " ".join((process / "limits").read_text().split()).find("Max core file size 0 0") > 0

    async def test_it_has_nothing(self, broker: Brokers, opened: OpenGrant) -> None:
        """No environment, no arguments but its module's name, no descriptor of the worker but standard error."""
        process = Path(f"/proc/{opened.pid}")
        assert (process / "cmdline").read_bytes().split(b"\0")[1:-1] == [b"-I", b"-m", b"gitward.broker.server.parent"]
        if os.getuid() != 0:
            with pytest.raises(PermissionError):
                (process / "environ").read_bytes()
            return
        assert (process / "environ").read_bytes() == b""
        links = {os.readlink(fd) for fd in (process / "fd").iterdir() if fd.name != "2"}
        assert all(link.startswith(("socket:", "anon_inode:", "/dev/null")) for link in links), links

    async def test_it_inherits_nothing_that_the_worker_has_open(self, config: BrokerConfig) -> None:
        """Not even what its own starter left open for it, by mistake, for every program that it starts."""
        left = os.pipe()
        for end in left:
            os.set_inheritable(end, True)
        brokers = Brokers(config)
        await brokers.start()
        try:
            link = os.readlink(f"/proc/self/fd/{left[0]}")
            if os.getuid() == 0:
                assert link not in {os.readlink(fd) for fd in Path(f"/proc/{brokers.parent.pid}/fd").iterdir()}
        finally:
            await brokers.stop()
            for end in left:
                os.close(end)

    async def test_it_is_small(self, opened: OpenGrant) -> None:
        status = Path(f"/proc/{opened.pid}/status").read_text()
        resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
        assert resident < 45 * 1024, f"{resident} kB"

    async def test_it_never_shows_the_token(
        self, config: BrokerConfig, grant: Grant, github: StandIn, events: Events, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Not even when what it logs would hold it: an unreachable upstream, a message that it cannot read."""
        broker = Brokers(dataclasses.replace(config, upstream_url="http://127.0.0.1:1"))
        await broker.start()
        opened = await broker.open(grant, Secret(TOKEN), events)
        with pytest.raises(BrokerError):
            await opened._deliver({"op": TOKEN})
        await broker.stop()
        shown = capfd.readouterr().err
        assert "failed" in shown
        assert TOKEN not in shown
        assert "***" in shown

    async def test_one_that_cannot_start_says_so(self, tmp_path: Path) -> None:
        config = BrokerConfig(
            server_url="https://github.com", api_url="https://api.github.com", ca_file=str(tmp_path / "missing")
        )
        with pytest.raises(BrokerError, match="did not start"):
            await Brokers(config).start()

    async def test_it_ends_with_its_channel(self, config: BrokerConfig, grant: Grant, events: Events) -> None:
        """`stop` waits, and leaves no process."""
        broker = Brokers(config)
        await broker.start()
        opened = await broker.open(grant, Secret(TOKEN), events)
        pids = broker.pids
        assert len(pids) == 2
        await broker.stop()
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        await opened.close()
        with pytest.raises(BrokerError, match="not running"):
            await broker.open(grant, Secret(TOKEN), events)

    async def test_it_ends_with_its_worker(self, tmp_path: Path) -> None:
        """Killed, a worker leaves no process that holds a token."""
        script = """
import asyncio, sys
from gitward.broker import BrokerConfig, Brokers
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.secrets import Secret
async def main():
    brokers = Brokers(BrokerConfig(server_url="https://github.com", api_url="https://api.github.com"))
    await brokers.start()
    grant = Grant(run_id="1", repository="a/b", push_ref="refs/heads/c", expires_at=clock.seconds() + 60)
    await brokers.open(grant, Secret("ghp_0123456789"), lambda event: None)
    print(*brokers.pids, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", script, stdout=asyncio.subprocess.PIPE
        )
        assert worker.stdout is not None
        async with asyncio.timeout(30):
            orphans = [int(pid) for pid in (await worker.stdout.readline()).split()]
            assert len(orphans) == 2
            handles = [os.pidfd_open(pid) for pid in orphans]
            worker.kill()
            await worker.wait()
            for handle in handles:
                await gone(handle)


class TestGrants:
    async def test_a_closed_grant_forwards_nothing(self, wire: Wire, github: StandIn) -> None:
        """Requests under way end, and new connections are not accepted."""
        gate = github.gate(path="*/user")
        asking = asyncio.create_task(wire.ask("GET /user"))
        async with asyncio.timeout(20):
            await gate.reached.wait()
            await wire.opened.close()
            gate.open()
            assert (await asking).status == 0
        seen = len(github.requests)
        with pytest.raises((OSError, TimeoutError)):
            async with asyncio.timeout(1):
                await wire.ask("GET /user")
        assert len(github.requests) == seen

    async def test_a_detached_listener_is_dead_and_the_grant_lives(
        self, github: StandIn, grant: Grant, opened: OpenGrant, tmp_path: Path
    ) -> None:
        for home in ("first", "second"):
            async with inside(tmp_path / home, "github.com", "api.github.com") as tools:
                tools.trust(opened)
                tools.present(opened.credential)
                name = await opened.attach([tools.listener])
                await tools.ok("git", "ls-remote", URL)
                await opened.detach(name)
                await opened.detach(name)
                await opened.detach("unknown")

    async def test_a_listener_on_another_port_is_refused(self, opened: OpenGrant) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ValueError, match="expected"):
            await opened.attach([listener])

    async def test_an_expired_grant_refuses_everything(self, github: StandIn, grant: Grant) -> None:
        past = dataclasses.replace(grant, expires_at=clock.seconds() - 1)
        async with wired(github.url, github.api_url, past, TOKEN) as wire:
            answer = await wire.ask("GET /user")
            assert (answer.status, b"access to GitHub has ended" in answer.body) == (403, True)
            assert wire.rules == ["expired"]
        assert github.requests == []

    async def test_a_request_that_outlives_its_grant_is_ended(self, github: StandIn, grant: Grant) -> None:
        gate = github.gate(path="*/user")
        async with wired(github.url, github.api_url, grant, TOKEN, seconds=3.0) as wire:
            async with asyncio.timeout(20):
                answer = await wire.ask("GET /user")
            assert answer.status == 403
        gate.open()

    async def test_another_runs_credential_is_refused(self, wire: Wire, github: StandIn, grant: Grant) -> None:
        """A credential is good on its own run's listeners only, also within one broker."""
        other = await wire.broker.open(dataclasses.replace(grant, run_id="run-2"), Secret(TOKEN), lambda _: None)
        answer = await wire.ask("GET /user", f"Authorization: token {other.credential}", auth=False)
        assert answer.status == 401
        assert wire.rules == ["credential"]
        assert github.requests == []

    async def test_a_first_broker_that_ends_before_it_knows_the_grant_is_made_anew(
        self, config: BrokerConfig, grant: Grant, events: Events, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broker = Brokers(config)
        await broker.start()
        made: list[int] = []
        fork = broker.parent.fork

        async def fork_and_kill(group: Group | None, on_message: OnMessage) -> Process:
            process = await fork(group, on_message)
            made.append(process.pid)
            if len(made) == 1:
                handle = os.pidfd_open(process.pid)
                process.kill()
                await gone(handle)
            return process

        monkeypatch.setattr(broker.parent, "fork", fork_and_kill)
        try:
            opened = await broker.open(grant, Secret(TOKEN), events)
            assert opened.pid == made[1]
        finally:
            await broker.stop()

    async def test_one_run_is_open_once(self, wire: Wire, grant: Grant) -> None:
        with pytest.raises(BrokerError, match="open already"):
            await wire.broker.open(grant, Secret(TOKEN), lambda _: None)

    async def test_the_credential_is_worthless_upstream(
        self, opened: OpenGrant, tools: Inside, github: StandIn
    ) -> None:
        """Sent straight to GitHub it is refused like any made-up token."""
        result = await tools_outside(
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-A",
            "test",
            "-H",
            f"Authorization: token {opened.credential}",
            f"{github.api_url}/user",
        )
        assert result == "401"

    async def test_a_fresh_token_is_used_at_once(self, wire: Wire, github: StandIn) -> None:
        fresh = TOKEN[:-1] + "2"
        github.revoke_token(TOKEN)
        assert (await wire.ask("GET /user")).status == 401
        assert [event.type for event in await wire.told(1)] == ["token.rejected"]
        github.add_token(fresh, Token(login="dev"))
        await wire.opened.refresh(Secret(fresh))
        assert (await wire.ask("GET /user")).status == 200

    async def test_the_operator_may_go_back_to_the_token_before(self, wire: Wire, github: StandIn) -> None:
        wrong = TOKEN[:-1] + "2"
        await wire.opened.refresh(Secret(wrong))
        assert (await wire.ask("GET /user")).status == 401
        await wire.opened.refresh(Secret(TOKEN))
        assert (await wire.ask("GET /user")).status == 200


async def tools_outside(*argv: str) -> str:
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    return out.decode()


class TestReplacement:
    async def test_a_crashed_process_is_replaced(self, wire: Wire, github: StandIn) -> None:
        """The same authority, credential and listener go on working, and the replacement has the newest token."""
        fresh = TOKEN[:-1] + "2"
        github.add_token(fresh, Token(login="dev"))
        await wire.opened.refresh(Secret(fresh))
        github.revoke_token(TOKEN)
        await crash(wire.opened)
        assert wire.opened.restarts == 1
        assert (await wire.ask("GET /user")).status == 200
        assert (await wire.ask("GET /nothing")).status == 403
        assert wire.rules == ["rest.unlisted"]

    async def test_in_login_mode_the_first_token_still_opens_the_door_and_the_newest_goes_upstream(
        self, github: StandIn, grant: Grant
    ) -> None:
        """What `gh auth login` stored inside is the run's first token, whatever took its place; also after a crash."""
        fresh = TOKEN[:-1] + "2"
        github.add_token(fresh, Token(login="dev"))
        async with wired(github.url, github.api_url, grant, TOKEN, login=True) as wire:
            await wire.opened.refresh(Secret(fresh))
            github.revoke_token(TOKEN)
            await crash(wire.opened)
            answer = await wire.ask("GET /user", f"Authorization: token {TOKEN}", auth=False)
            github.fault(path="*/user", status=200, body=f'{{"first": "{TOKEN}", "newest": "{fresh}"}}'.encode())
            echo = await wire.ask("GET /user", f"Authorization: token {TOKEN}", auth=False)
        assert answer.status == 200
        assert github.requests[0].headers["authorization"] == f"Bearer {fresh}"
        assert (TOKEN.encode() in echo.body, fresh.encode() in echo.body) == (True, False)

    async def test_a_push_under_way_breaks(self, wire: Wire, github: StandIn) -> None:
        """Its client sees a broken connection, nothing is told as pushed, and the next request works."""
        head = pkt(f"{'0' * 40} {'1' * 40} refs/heads/{BRANCH}\0report-status".encode()) + FLUSH + b"PACK"
        gate = github.gate(method="POST", path="*/git-receive-pack")
        reader, writer = await wire.connect()
        writer.write(wire.head("POST /octo/demo/git-receive-pack", "Transfer-Encoding: chunked", host=GIT_HOST))
        writer.write(b"%x\r\n%b\r\n" % (len(head), head))
        async with asyncio.timeout(20):
            await gate.reached.wait()
            await crash(wire.opened)
            assert (await read_answer(reader)).status == 0
        writer.transport.abort()
        gate.open()
        assert (await wire.ask("GET /octo/demo/info/refs?service=git-upload-pack", host=GIT_HOST)).status == 200
        assert wire.events == []

    async def test_git_goes_on_after_a_crash(
        self, tools: Inside, opened: OpenGrant, github: StandIn, events: Events
    ) -> None:
        """Between two commands of a checkout nobody notices."""
        await tools.ok("git", "clone", "-q", URL, "demo")
        checkout = tools.home / "demo"
        await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
        head = await commit(tools, checkout, "a.txt", b"a")
        await crash(opened)
        await tools.ok("git", "push", "-q", "origin", BRANCH, cwd=checkout)
        assert (await events.wait(1))[-1].data["new"] == head

    async def test_a_process_that_hangs_is_replaced(self, config: BrokerConfig, grant: Grant, events: Events) -> None:
        """SIGSTOP stands for any hang: the next call notices, and is answered by the replacement."""
        broker = Brokers(config, answer_seconds=3)
        await broker.start()
        opened = await broker.open(grant, Secret(TOKEN), events)
        hanging = opened.pid
        assert hanging is not None
        os.kill(hanging, signal.SIGSTOP)
        await opened.refresh(Secret(TOKEN))
        assert opened.restarts == 1
        assert not Path(f"/proc/{hanging}").exists()
        await broker.stop()

    async def test_a_grant_closed_while_there_is_no_process_stays_closed(self, wire: Wire, github: StandIn) -> None:
        old = wire.opened.pid
        assert old is not None
        os.kill(old, signal.SIGKILL)
        await wire.opened.close()
        assert wire.broker.pids == [wire.broker.parent.pid]
        with pytest.raises((OSError, TimeoutError)):
            async with asyncio.timeout(1):
                await wire.ask("GET /user")
        assert github.requests == []
