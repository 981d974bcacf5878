"""Each run has a broker of its own: no other run can hold it, starve it, end it, or read what it knows."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from gitward.audit.processes import is_broker, memory, of_service
from gitward.broker import BrokerConfig, Brokers, InjectConfig, OpenGrant, ProxyConfig
from gitward.broker.client.memory_limits import LIMIT_BYTES
from gitward.broker.client.parent import PROGRAM
from gitward.broker.wire.names import BROKER_NAME, PARENT_NAME
from gitward.grants import cgroups
from gitward.grants.grant import Grant
from gitward.sandboxes import Command, Limits, Stream
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret
from gitward_standin import StandIn, Token
from machine import slowness

from .conftest import REPOSITORY, TOKEN, Events
from .holes import Hole
from .test_lifetime import gone
from .wire import Answer, read_answer

OTHER = TOKEN[:-1] + "2"
KEYS = ("sk-FIRST0123456789", "sk-SECOND0123456789")
LOGIN = "office:pr0xyL0gin0123456789"
SMALL_SECONDS = 1.0  # for a small call of one run, whatever another does
PATIENCE_SECONDS = 3.0  # after them whoever does not answer hangs: more than a healthy one ever needs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Door:
    """One run's side of its broker, at a port of this machine's loopback."""

    port: int
    opened: OpenGrant

    @property
    def pid(self) -> int:
        assert self.opened.pid is not None
        return self.opened.pid

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = ssl.create_default_context(cadata=self.opened.ca_pem.decode())
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname="localhost")

    def head(self, line: str, *headers: str) -> bytes:
        lines = [f"{line} HTTP/1.1", f"Host: localhost:{self.port}", "User-Agent: test"]
        lines += [f"Authorization: token {self.opened.credential}", *headers]
        return "\r\n".join([*lines, "", ""]).encode()

    async def ask(self, data: bytes | None = None) -> Answer:
        reader, writer = await self.connect()
        try:
            writer.write(data or self.head("GET /api/v3/user"))
            return await read_answer(reader)
        finally:
            writer.transport.abort()

    async def seconds(self) -> float:
        """Of a small call; the best of a few: another process of this machine may have been in the way of one."""
        taken = []
        for _ in range(5):
            began = time.monotonic()
            async with asyncio.timeout(20):
                assert (await self.ask()).status == 200
            taken.append(time.monotonic() - began)
        return min(taken)


@dataclasses.dataclass(frozen=True, kw_only=True)
class House:
    """Two runs of one worker, with a token each."""

    brokers: Brokers
    first: Door
    second: Door

    @property
    def parent(self) -> int:
        assert self.brokers.parent.pid is not None
        return self.brokers.parent.pid


@contextlib.asynccontextmanager
async def housed(
    github: StandIn, grant: Grant, *, answer_seconds: float = 10.0, program: Sequence[str] = PROGRAM
) -> AsyncIterator[House]:
    github.add_token(OTHER, Token(login="dev"))
    with contextlib.ExitStack() as sockets:
        listeners = [sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256)) for _ in range(2)]
        ports = [int(listener.getsockname()[1]) for listener in listeners]
        config = BrokerConfig(
            server_url=f"https://localhost:{ports[0]}",
            api_url=f"https://localhost:{ports[1]}/api/v3",
            upstream_url=github.url,
            upstream_api_url=github.api_url,
            inject=(InjectConfig(host="model.test", port=443, header="x-api-key"),),
            proxy=ProxyConfig(host="127.0.0.1", port=9, exceptions="127.0.0.1"),
        )
        brokers = Brokers(config, answer_seconds=answer_seconds, program=program, proxy_login=Secret(LOGIN))
        await brokers.start()
        try:
            doors = []
            for number, (port, listener) in enumerate(zip(ports, listeners, strict=True)):
                run = dataclasses.replace(grant, run_id=f"run-{number}")
                token, key = Secret((TOKEN, OTHER)[number]), Secret(KEYS[number])
                opened = await brokers.open(run, token, Events(), injected=[key])
                await opened.attach([listener])
                doors.append(Door(port=port, opened=opened))
            yield House(brokers=brokers, first=doors[0], second=doors[1])
        finally:
            await brokers.stop()


@pytest.fixture
async def house(github: StandIn, grant: Grant) -> AsyncIterator[House]:
    async with housed(github, grant) as house:
        yield house


def knows(pid: int, *texts: str) -> set[str]:
    """Those of the texts that stand somewhere in the memory of a process."""
    return {text for text in texts for _, piece in memory(pid) if text.encode() in piece}


async def test_no_address_space_has_the_secrets_of_two_runs(house: House) -> None:
    """Nor has the parent any, not even of the proxy; each broker has its own run's."""
    for door in (house.first, house.second):
        assert (await door.ask()).status == 200
    secrets = (TOKEN, OTHER, *KEYS, LOGIN)
    credentials = tuple(door.opened.credential for door in (house.first, house.second))
    if os.getuid() != 0:
        with pytest.raises(PermissionError):
            Path(f"/proc/{house.first.pid}/mem").open("rb").close()
        return
    assert await asyncio.to_thread(knows, house.parent, *secrets, *credentials, "gitward.broker.server") == {
        "gitward.broker.server"
    }
    assert await asyncio.to_thread(knows, house.first.pid, *secrets, *credentials) == {
        TOKEN,
        KEYS[0],
        LOGIN,
        credentials[0],
    }
    assert await asyncio.to_thread(knows, house.second.pid, *secrets, *credentials) == {
        OTHER,
        KEYS[1],
        LOGIN,
        credentials[1],
    }


async def test_the_processes_are_told_apart_by_their_names(house: House) -> None:
    names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in house.brokers.pids]
    assert names == [PARENT_NAME, BROKER_NAME, BROKER_NAME]


async def test_a_broker_that_is_stopped_delays_nobody_else(github: StandIn, grant: Grant) -> None:
    """It is the worst that a run could make of its broker. It is replaced, and serves its run again."""
    async with housed(github, grant, answer_seconds=PATIENCE_SECONDS) as house:
        stopped, pid = house.first.pid, house.second.pid
        os.kill(stopped, signal.SIGSTOP)
        assert await house.second.seconds() < SMALL_SECONDS * slowness()
        await house.first.opened.refresh(Secret(TOKEN))
        assert house.first.pid != stopped
        assert (await house.first.ask()).status == 200
        assert (house.second.pid, house.brokers.restarts) == (pid, 1)


async def test_a_broker_that_is_killed_costs_nobody_else_a_request(house: House, github: StandIn) -> None:
    gate = github.gate(path="*/user")
    asking = asyncio.create_task(house.second.ask())
    async with asyncio.timeout(20):
        await gate.reached.wait()
        killed = house.first.pid
        os.kill(killed, signal.SIGKILL)
        await house.first.opened.replaced(killed)
        gate.open()
        assert (await asking).status == 200
    assert (await house.first.ask()).status == 200


async def test_a_broker_that_ends_over_and_over_costs_a_few_forks(house: House) -> None:
    """Whatever way a run finds to end its broker, it gets the next one later each time, and no core for itself."""
    ended, until = 0, time.monotonic() + 4
    while time.monotonic() < until:
        killed = house.first.pid
        os.kill(killed, signal.SIGKILL)
        ended += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(until - time.monotonic()):
                await house.first.opened.replaced(killed)
    assert 3 < ended < 9  # without a pause there are some 70
    assert await house.second.seconds() < SMALL_SECONDS * slowness()


async def test_a_broker_that_starves_delays_nobody_else(github: StandIn, grant: Grant, tmp_path: Path) -> None:
    """With less memory than its run's requests want: whatever becomes of them, the run next door is served."""
    small = Hole(
        name="little memory",
        kind="rest",
        file="server/hardening.py",
        right="_MAX_DATA = 512 * 1024 * 1024",
        wrong="_MAX_DATA = 80 * 1024 * 1024",
    )
    async with housed(github, grant, program=small.program(tmp_path)) as house:
        github.fault(path="*/git/blobs/*", status=200, times=20, body=b'{"content":"' + b"a" * 8_000_000 + b'"}')
        request = house.first.head(f"GET /api/v3/repos/{REPOSITORY}/git/blobs/{'a' * 40}")
        asking = [asyncio.create_task(house.first.ask(request)) for _ in range(20)]
        assert await house.second.seconds() < SMALL_SECONDS * slowness()
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*asking)
        assert {answer.status for answer in answers} & {0, 500, 502}, "it had enough"
        assert (await house.second.ask()).status == 200


async def test_the_end_of_the_parent_ends_no_broker(house: House, grant: Grant) -> None:
    """It is replaced; a broker that has to be replaced afterwards is forked from the new one, and so is the next."""
    pids, parent = (house.first.pid, house.second.pid), house.parent
    os.kill(parent, signal.SIGKILL)
    assert (await house.first.ask()).status == 200
    async with asyncio.timeout(30):
        await house.brokers.parent.replaced(parent)
        third = await house.brokers.open(dataclasses.replace(grant, run_id="run-3"), Secret(TOKEN), Events())
        os.kill(pids[0], signal.SIGKILL)
        await house.first.opened.replaced(pids[0])
    assert (await house.first.ask()).status == 200
    assert (await house.second.ask()).status == 200
    assert house.second.pid == pids[1]
    assert (house.brokers.parent.restarts, house.brokers.restarts) == (1, 1)
    await third.close()


async def test_a_parent_that_hangs_is_replaced_by_whoever_needs_a_broker(github: StandIn, grant: Grant) -> None:
    async with housed(github, grant, answer_seconds=PATIENCE_SECONDS) as house:
        hanging = house.parent
        os.kill(hanging, signal.SIGSTOP)
        async with asyncio.timeout(60):
            third = await house.brokers.open(dataclasses.replace(grant, run_id="run-3"), Secret(TOKEN), Events())
        assert house.parent != hanging
        assert not Path(f"/proc/{hanging}").exists()
        assert await house.second.seconds() < SMALL_SECONDS * slowness()
        await third.close()


async def test_what_hangs_is_noticed_although_nobody_needs_it(config: BrokerConfig, grant: Grant) -> None:
    """The parent, and a broker whose sandbox asks for nothing."""
    brokers = Brokers(config, answer_seconds=PATIENCE_SECONDS, ping_seconds=0.2)
    await brokers.start()
    try:
        opened = await brokers.open(grant, Secret(TOKEN), Events())
        broker, parent = opened.pid, brokers.parent.pid
        assert broker is not None
        assert parent is not None
        async with asyncio.timeout(60):
            os.kill(parent, signal.SIGSTOP)
            await brokers.parent.replaced(parent)
            os.kill(broker, signal.SIGSTOP)
            await opened.replaced(broker)
        assert (brokers.restarts, brokers.parent.restarts) == (1, 1)
    finally:
        await brokers.stop()


ALONE = """
import asyncio, sys
from gitward.broker import BrokerConfig, Brokers
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.secrets import Secret
async def main():
    brokers = Brokers(BrokerConfig(server_url="https://github.com", api_url="https://api.github.com"))
    await brokers.start()
    brokers.act_until(clock.seconds() + 3)
    grant = Grant(run_id="1", repository="a/b", push_ref="refs/heads/c", expires_at=clock.seconds() + 600)
    await brokers.open(grant, Secret("ghp_0123456789"), lambda event: None)
    print(*brokers.pids, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_it_ends_with_the_lease_when_worker_and_parent_are_stopped() -> None:
    """By its own clock: nobody is there to tell it."""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", ALONE, stdout=asyncio.subprocess.PIPE)
    assert worker.stdout is not None
    async with asyncio.timeout(60):
        parent, broker = (int(pid) for pid in (await worker.stdout.readline()).split())
        handle = os.pidfd_open(broker)
        worker.send_signal(signal.SIGSTOP)
        os.kill(parent, signal.SIGSTOP)
        try:
            await gone(handle)
        finally:
            os.kill(parent, signal.SIGKILL)
            worker.kill()
        await worker.wait()


def _nothing(_door: Door) -> bytes:
    return b""


def _slow(door: Door) -> bytes:
    """A head that does not end."""
    return door.head("GET /api/v3/user")[:-2]


def _busy(door: Door) -> bytes:
    """Requests without end on one connection, each as large as the policy reads."""
    body = json.dumps({"query": "{" + " ".join(f"a{number}:viewer{{login}}" for number in range(400)) + "}"}).encode()
    head = door.head("POST /api/v3/graphql", "Content-Type: application/json", f"Content-Length: {len(body)}")
    return (head + body) * 20


@pytest.mark.parametrize("hold", [_nothing, _slow, _busy], ids=["open", "slow", "busy"])
async def test_90_connections_of_one_run_leave_another_in_peace(house: House, hold: Callable[[Door], bytes]) -> None:
    opened = await asyncio.gather(*(house.first.connect() for _ in range(90)))
    for _, writer in opened:
        writer.write(hold(house.first))
    try:
        assert await house.second.seconds() < SMALL_SECONDS * slowness()
    finally:
        for _, writer in opened:
            writer.transport.abort()


def _group(pid: int) -> str:
    """The memory cgroup of a process, as far as its path tells."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(",") or number == "0":
            return path
    return ""


async def test_its_memory_is_limited_in_a_group_of_its_own(house: House) -> None:
    """Beside the sandbox's group, which a full tmpfs empties by force; and gone when the run is over."""
    controller = cgroups.find()
    limits = [Path(f"/proc/{pid}/limits").read_text() for pid in (house.first.pid, house.second.pid)]
    for text in limits:
        found = re.search(r"^Max data size\s+(\d+)", text, re.MULTILINE)
        assert found is not None
        assert int(found[1]) <= 512 * 1024 * 1024
    if controller is None:
        return  # RLIMIT_DATA holds alone
    names = [Path(_group(door.pid)).name for door in (house.first, house.second)]
    assert len({*names, Path(_group(house.parent)).name}) == 3
    for name in names:
        assert int((controller.folder / name / controller.limit_file).read_text()) == LIMIT_BYTES
    await house.brokers.stop()
    assert not [name for name in names if (controller.folder / name).exists()]


async def test_a_sandbox_that_passes_its_limit_takes_no_broker_with_it(house: House) -> None:
    folder = Path(tempfile.mkdtemp(prefix="gitward-test-"))
    folder.chmod(0o711)
    engine = BubblewrapEngine(slots=1)
    await engine.start()
    pid = house.first.pid
    try:
        limits = Limits(memory_bytes=64 * 1024 * 1024)
        sandbox = await engine.open(
            name="run-0", workspace=folder / "run-0", endpoint=house.first.opened, limits=limits
        )

        async def drop(_stream: Stream, _piece: bytes) -> None:
            """What it says does not matter."""

        fill = "head -c 200M /dev/zero > /tmp/full; cat /tmp/full"
        await sandbox.run(Command(argv=("/bin/bash", "-c", fill), env={}, timeout_seconds=60), drop)
        await sandbox.close()
    finally:
        await engine.stop()
        shutil.rmtree(folder)
    assert (house.first.pid, house.brokers.restarts) == (pid, 0)
    assert (await house.first.ask()).status == 200


async def test_brokers_give_way_to_the_service(house: House) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert {os.getpriority(os.PRIO_PROCESS, pid or 0) for pid in house.brokers.pids} == {own + 5}


async def test_the_audit_looks_into_the_parent_and_knows_a_broker(house: House) -> None:
    """Whose memory has a token as it must; arguments, variables and open files of both are looked at."""
    looked_at = set(of_service(os.getpid()))
    assert looked_at >= {house.parent, house.first.pid, house.second.pid}
    assert {pid for pid in looked_at if is_broker(pid)} == {house.first.pid, house.second.pid}
