"""A grant that is narrowed to one push: real git and git-lfs, as the job runs them, and everything else."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import json
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gitward.broker import BrokerConfig, Brokers, OpenGrant
from gitward.broker.client import BrokerError
from gitward.broker.client.memory_limits import BrokerMemory
from gitward.broker.client.open_grant import SharedParts
from gitward.broker.client.parent import Parent
from gitward.broker.server.grant_service import GrantService
from gitward.broker.wire import narrowing
from gitward.broker.wire.pktline import FLUSH, pkt
from gitward.grants.channel import Message
from gitward.grants.grant import ExactPush, Grant
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import BRANCH, REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, commit
from .scripted import Scripted
from .wire import GIT_HOST, Told, Wire, read_answer, wired

URL = "https://github.com/octo/demo"
REF = f"refs/heads/{BRANCH}"
ZERO = "0" * 40
ONLY = f"the work of this run is being published; only its own push to {BRANCH} is allowed now"
OID = hashlib.sha256(b"large").hexdigest()
OTHER_OID = hashlib.sha256(b"other").hexdigest()


@pytest.fixture
def grant() -> Grant:
    """Its pushes are looked at until it is narrowed."""
    return new_grant(allow_workflows=False)


@pytest.fixture
def scripted(folder: Path) -> Scripted:
    return Scripted(folder)


@pytest.fixture
async def opened(broker: Brokers, grant: Grant, events: Events, scripted: Scripted) -> OpenGrant:
    return await broker.open(grant, Secret(TOKEN), events, scripted)


def ours(tools: Inside, credential: str) -> None:
    """git sends the credential at once, as the job's own git does; there is no helper to ask."""
    (tools.home / ".git-credentials").unlink(missing_ok=True)
    basic = base64.b64encode(f"x-access-token:{credential}".encode()).decode()
    (tools.home / ".gitconfig").write_text(
        "[user]\n\tname = Dev\n\temail = dev@example.org\n[init]\n\tdefaultBranch = main\n"
        f'[http "https://github.com/"]\n\textraHeader = Authorization: Basic {basic}\n'
    )


@pytest.fixture
async def checkout(tools: Inside, opened: OpenGrant) -> Path:
    """A clone on the session's branch, with one commit to publish; *.bin is LFS's."""
    ours(tools, opened.credential)
    await tools.ok("git", "lfs", "install", "--skip-repo")
    await tools.ok("git", "clone", "-q", URL, "demo")
    checkout = tools.home / "demo"
    await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
    await tools.ok("git", "lfs", "track", "*.bin", cwd=checkout)
    await tools.ok("git", "add", ".gitattributes", cwd=checkout)
    await commit(tools, checkout, "a.bin", b"large")
    return checkout


async def head_of(tools: Inside, checkout: Path) -> str:
    return (await tools.ok("git", "rev-parse", "HEAD", cwd=checkout)).strip()


async def test_our_own_push_with_its_lfs_objects(  # noqa: PLR0917 - fixtures
    tools: Inside, checkout: Path, opened: OpenGrant, github: StandIn, events: Events, scripted: Scripted
) -> None:
    """The credential comes without a question before it, and nobody looks at the pack."""
    head = await head_of(tools, checkout)
    await opened.narrow(ExactPush(old=ZERO, new=head, ref=REF, lfs_oids=(OID,)))
    seen = len(github.requests)
    await tools.ok("git", "lfs", "push", "origin", BRANCH, cwd=checkout)
    await tools.ok("git", "-c", "core.hooksPath=/dev/null", "push", "-q", "origin", f"{head}:{REF}", cwd=checkout)
    assert await github.repository(REPOSITORY).head(BRANCH) == head
    assert (github.repository(REPOSITORY).path / "lfs/objects" / OID[:2] / OID[2:4] / OID).read_bytes() == b"large"
    assert not scripted.looking.is_set()
    told = await events.wait(1)
    assert [(event.type, event.data) for event in told] == [("branch.pushed", {"ref": REF, "old": ZERO, "new": head})]
    assert not any(request.status == 401 for request in github.requests[seen:])


async def test_without_narrowing_the_same_push_is_looked_at(tools: Inside, checkout: Path, scripted: Scripted) -> None:
    """So the test above sees what it says."""
    await tools.git("-c", "core.hooksPath=/dev/null", "push", "origin", BRANCH, cwd=checkout)
    assert scripted.looking.is_set()


async def test_refs_are_listed_and_nothing_is_fetched(
    tools: Inside, checkout: Path, opened: OpenGrant, events: Events
) -> None:
    head = await head_of(tools, checkout)
    await opened.narrow(ExactPush(old=ZERO, new=head, ref=REF))
    many = [f"refs/heads/{'x' * 50}-{number}" for number in range(100)]  # so many that git compresses the question
    for version in "012":
        listed = await tools.ok("git", "-c", f"protocol.version={version}", "ls-remote", URL, "refs/heads/main", *many)
        assert listed.endswith("\trefs/heads/main\n")
        fetched = await tools.git("-c", f"protocol.version={version}", "clone", URL, f"again{version}")
        assert (fetched.status, "HTTP 403" in fetched.err) == (128, True)  # git shows no body of a POST
    assert {event.data["rule"] for event in await events.wait(3)} == {"publish.only"}


async def test_only_the_exact_update_is_taken(
    tools: Inside, checkout: Path, opened: OpenGrant, github: StandIn, events: Events
) -> None:
    await tools.ok("git", "lfs", "push", "origin", BRANCH, cwd=checkout)  # GitHub refuses pointers alone
    head = await head_of(tools, checkout)
    tree = (await tools.ok("git", "rev-parse", "HEAD^{tree}", cwd=checkout)).strip()
    other = (await tools.ok("git", "commit-tree", "-m", "x", "-p", "HEAD", tree, cwd=checkout)).strip()
    await opened.narrow(ExactPush(old=ZERO, new=head, ref=REF))
    for refspecs in (f"{other}:{REF}", f"{head}:refs/heads/main", f"{head}:{REF} {head}:refs/tags/v", ":main"):
        result = await tools.git(
            *("-c", "core.hooksPath=/dev/null", "push", "--force", "origin", *refspecs.split()), cwd=checkout
        )
        assert result.status == 1
        assert f"({ONLY})" in result.err
    assert await github.repository(REPOSITORY).head(BRANCH) is None
    await opened.narrow(ExactPush(old=ZERO, new=other, ref=REF))  # the commit was rewritten
    push = ("-c", "core.hooksPath=/dev/null", "-c", "http.postBuffer=100", "push", "origin")
    assert (await tools.git(*push, f"{head}:{REF}", cwd=checkout)).status == 1
    assert (await tools.git(*push, f"{other}:{REF}", cwd=checkout)).status == 0
    assert {event.data.get("rule") for event in events.all if event.type == "policy.denied"} == {"publish.only"}


async def test_objects_that_the_push_does_not_name_are_not_uploaded(
    tools: Inside, checkout: Path, opened: OpenGrant, github: StandIn
) -> None:
    head = await head_of(tools, checkout)
    await opened.narrow(ExactPush(old=ZERO, new=head, ref=REF, lfs_oids=(OTHER_OID,)))
    result = await tools.git("lfs", "push", "origin", BRANCH, cwd=checkout)
    assert result.status != 0
    assert f"Gitward: {ONLY}" in result.err
    assert not list(github.repository(REPOSITORY).path.glob("lfs/objects/??/??/*"))


@pytest.fixture
async def wire(github: StandIn, grant: Grant) -> AsyncIterator[Wire]:
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        yield wire


PUSH = ExactPush(old=ZERO, new="1" * 40, ref=REF, lfs_oids=(OID,))


def batch(operation: str, *oids: str) -> bytes:
    return json.dumps({"operation": operation, "objects": [{"oid": oid, "size": 5} for oid in oids]}).encode()


def command(update: str) -> bytes:
    return pkt(f"{update}\0report-status".encode()) + FLUSH + b"PACK"


V2 = "Git-Protocol: version=2"
LS_REFS = pkt(b"command=ls-refs\n") + pkt(b"object-format=sha1") + b"0001" + pkt(b"peel\n") + FLUSH
FETCH = pkt(b"command=fetch") + b"0001" + pkt(b"done\n") + FLUSH
LFS = "/octo/demo.git/info/lfs"
BATCH = f"{LFS}/objects/batch"

REFUSED: list[tuple[str, str, tuple[str, ...], bytes]] = [
    ("api.github.test", "GET /user", (), b""),
    ("api.github.test", "GET /repos/octo/demo", (), b""),
    ("api.github.test", "POST /repos/octo/demo/issues", (), b'{"title": "x"}'),
    ("api.github.test", "POST /graphql", (), b'{"query": "{ viewer { login } }"}'),
    (GIT_HOST, "GET /octo/other/info/refs?service=git-upload-pack", (), b""),
    (GIT_HOST, "GET /octo/demo/info/refs?service=other", (), b""),
    (GIT_HOST, "GET /octo/demo/HEAD", (), b""),
    (GIT_HOST, "POST /octo/demo/git-upload-pack", (V2,), FETCH),
    (GIT_HOST, "POST /octo/demo/git-upload-pack", (V2,), LS_REFS + FETCH),
    (GIT_HOST, "POST /octo/demo/git-upload-pack", (), LS_REFS),
    (GIT_HOST, "POST /octo/demo/git-upload-pack", (V2, "git-protocol: version=1"), LS_REFS),
    (GIT_HOST, "POST /octo/demo/git-upload-pack", (), pkt(b"want " + b"1" * 40) + FLUSH + pkt(b"done")),
    (GIT_HOST, "POST /octo/demo/git-upload-pack", (V2,), b""),
    (GIT_HOST, "POST /octo/demo/git-receive-pack", (), command(f"{ZERO} {'2' * 40} {REF}")),
    (GIT_HOST, "POST /octo/demo/git-receive-pack", (), command(f"{'2' * 40} {'1' * 40} {REF}")),
    (GIT_HOST, "POST /octo/demo/git-receive-pack", (), command(f"{ZERO} {'1' * 40} refs/heads/main")),
    (GIT_HOST, "POST /octo/demo/git-receive-pack", (), command(f"{'1' * 40} {ZERO} {REF}")),
    (GIT_HOST, "POST /octo/other/git-receive-pack", (), command(f"{ZERO} {'1' * 40} {REF}")),
    (GIT_HOST, f"POST {LFS}/objects/batch", (), batch("download", OID)),
    (GIT_HOST, f"POST {LFS}/objects/batch", (), batch("upload", OID, OTHER_OID)),
    (GIT_HOST, "POST /octo/other.git/info/lfs/objects/batch", (), batch("upload", OID)),
    (GIT_HOST, f"GET {LFS}/locks", (), b""),
    (GIT_HOST, f"POST {LFS}/locks", (), b"{}"),
]


@pytest.mark.parametrize(("host", "line", "headers", "body"), REFUSED)
async def test_everything_else_is_refused(  # noqa: PLR0917 - fixtures and parameters
    wire: Wire, github: StandIn, host: str, line: str, headers: tuple[str, ...], body: bytes
) -> None:
    await wire.opened.narrow(PUSH)
    answer = await wire.ask(line, *headers, host=host, body=body)
    assert ONLY.encode() in answer.body
    assert await wire.denied(1) == ["publish.only"]
    assert github.requests == []


async def test_what_a_connection_began_before_has_ended(wire: Wire, github: StandIn) -> None:
    """An idle connection, a request under way, a push that waits for its pack, and an address of an LFS object."""
    idle_reader, idle = await wire.connect()
    idle.write(wire.head("GET /user"))
    assert (await read_answer(idle_reader)).status == 200
    uploading = json.loads((await wire.ask(f"POST {LFS}/objects/batch", host=GIT_HOST, body=batch("upload", OID))).body)
    address = uploading["objects"][0]["actions"]["upload"]["href"]
    gate = github.gate(path="*/user")
    asking = asyncio.create_task(wire.ask("GET /user"))
    push_reader, push = await wire.connect()
    push.write(wire.head("POST /octo/demo/git-receive-pack", "Transfer-Encoding: chunked", host=GIT_HOST))
    push.write(b"%x\r\n%b\r\n" % (len(FLUSH), FLUSH))
    async with asyncio.timeout(20):
        await gate.reached.wait()
        await wire.opened.narrow(PUSH)
        assert (await asking).status == 0
        assert (await read_answer(push_reader)).status == 0
        assert await idle_reader.read() == b""
    gate.open()
    seen = len(github.requests)
    put = await wire.ask(f"PUT {address[address.index('/octo/') :]}", host=GIT_HOST, body=b"large")
    assert put.status == 403
    assert (await wire.ask("GET /user")).status == 403
    assert len(github.requests) == seen
    for writer in (idle, push):
        writer.transport.abort()


async def test_it_stays_narrow_when_the_process_is_replaced(wire: Wire, github: StandIn) -> None:
    await wire.opened.narrow(PUSH)
    old = wire.opened.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    async with asyncio.timeout(20):
        await wire.opened.replaced(old)
    answer = await wire.ask("GET /user")
    assert (answer.status, ONLY.encode() in answer.body) == (403, True)
    listing = await wire.ask("GET /octo/demo/info/refs?service=git-receive-pack", host=GIT_HOST)
    assert listing.status == 200
    assert not any(request.path.endswith("/user") for request in github.requests)


async def test_a_process_that_dies_during_the_call(config: BrokerConfig, grant: Grant, events: Events) -> None:
    """SIGSTOP stands for it: the call notices, and returns when the replacement knows."""
    broker = Brokers(config, answer_seconds=3)
    await broker.start()
    opened = await broker.open(grant, Secret(TOKEN), events)
    assert opened.pid is not None
    os.kill(opened.pid, signal.SIGSTOP)
    await opened.narrow(PUSH)
    assert opened.restarts == 1
    with pytest.raises(ValueError, match="cannot be narrowed"):
        await opened.narrow(dataclasses.replace(PUSH, ref="refs/heads/main"))
    await opened.close()
    with pytest.raises(BrokerError, match="closed"):
        await opened.narrow(PUSH)
    await broker.stop()


async def test_many_objects_can_be_named(wire: Wire) -> None:
    """More than one message of the channel could hold."""
    oids = tuple(hashlib.sha256(b"%d" % number).hexdigest() for number in range(20_000))
    await wire.opened.narrow(dataclasses.replace(PUSH, lfs_oids=oids))
    for oid, status in ((oids[-1], 200), (OID, 403)):
        answer = await wire.ask(f"POST {LFS}/objects/batch", host=GIT_HOST, body=batch("upload", oid))
        assert answer.status == status


async def test_in_login_mode_the_token_opens_nothing_any_more(github: StandIn, grant: Grant) -> None:
    """What the command could have kept is no use; the worker's own git has the credential."""
    line = "GET /octo/demo/info/refs?service=git-receive-pack"
    async with wired(github.url, github.api_url, grant, TOKEN, login=True) as wire:
        token = f"Authorization: token {TOKEN}"
        assert (await wire.ask(line, token, host=GIT_HOST, auth=False)).status == 200
        assert (await wire.ask(line, host=GIT_HOST)).status == 401
        await wire.opened.narrow(PUSH)
        assert (await wire.ask(line, token, host=GIT_HOST, auth=False)).status == 401
        assert (await wire.ask(line, host=GIT_HOST)).status == 200


async def test_a_push_that_github_refuses_is_told(
    tools: Inside, checkout: Path, opened: OpenGrant, github: StandIn, events: Events
) -> None:
    """By GitHub's own words, without a secret in them."""
    await tools.ok("git", "lfs", "push", "origin", BRANCH, cwd=checkout)
    (checkout / ".github/workflows").mkdir(parents=True)
    head = await commit(tools, checkout, ".github/workflows/a.yml", b"on: push\n")
    await opened.narrow(ExactPush(old=ZERO, new=head, ref=REF))
    push = ("-c", "core.hooksPath=/dev/null", "push", "origin", f"{head}:{REF}")
    assert (await tools.git(*push, cwd=checkout)).status == 1
    (told,) = await events.wait(1)
    assert (told.type, told.data["ref"], told.data["new"]) == ("push.refused", REF, head)
    assert told.data["reason"].startswith("refusing to allow a Personal Access Token")


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(b"", id="cut off"),
        pytest.param(pkt(b"unpack ok\n") + f"0030ok {REF}"[:12].encode(), id="half a report"),
        pytest.param(pkt(b"unpack index-pack failed\n") + pkt(f"ok {REF}\n".encode()) + FLUSH, id="not unpacked"),
        pytest.param(pkt(b"unpack ok\n") + pkt(b"ok refs/heads/main\n") + FLUSH, id="another ref"),
    ],
)
async def test_what_github_did_not_say_is_not_told(wire: Wire, github: StandIn, report: bytes) -> None:
    headers = {"Content-Type": "application/x-git-receive-pack-result"}
    github.fault(path="*/git-receive-pack", status=200 if report else 0, body=report, headers=headers)
    await wire.opened.narrow(PUSH)
    body = command(f"{ZERO} {'1' * 40} {REF}")
    await wire.ask("POST /octo/demo/git-receive-pack", host=GIT_HOST, body=body)
    assert (await wire.ask("GET /user")).status == 403  # what came before has been told
    assert await wire.denied(1) == ["publish.only"]
    assert [event.type for event in wire.events] == ["policy.denied"]


REPORT = pkt(b"unpack ok\n") + pkt(f"ok {REF}\n".encode()) + FLUSH


async def test_the_worker_is_told_before_git_is(github: StandIn, grant: Grant) -> None:
    """While the worker does not take the event, git does not hear of its success. It is told once."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    told: list[Message] = []

    async def send(message: Message, fds: Sequence[int] = ()) -> None:
        del fds
        begun.set()
        await go_on.wait()
        told.append(message)

    headers = {"Content-Type": "application/x-git-receive-pack-result"}
    github.fault(path="*/git-receive-pack", status=200, body=REPORT, headers=headers)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = BrokerConfig(
            server_url=f"https://{GIT_HOST}:{port}",
            api_url=f"https://api.github.test:{port}",
            upstream_url=github.url,
            upstream_api_url=github.api_url,
        )
        house = SharedParts(
            config=config,
            parent=Parent(config, answer_seconds=1.0),  # it is not started: a broker's half is in this process
            memory=BrokerMemory(None),
            answer_seconds=1.0,
            until=lambda: math.inf,
            proxy_login=None,
            extra_roots=b"",
        )
        opened = OpenGrant(
            house, grant, Secret(TOKEN), lambda _: None, inspector=None, injected=(), on_close=lambda _: None
        )
        service = GrantService(config, None, send)
        await service.take(opened._open_message(), [])
        with narrowing.narrowing_messages(PUSH) as (message, fds):
            await service.take(message, [os.dup(fd) for fd in fds])
        await service.take({"op": "attach", "name": "1"}, [os.dup(listener.fileno())])
        wire = Wire(Brokers(config), opened, port, Told())
        pushing = asyncio.create_task(
            wire.ask("POST /octo/demo/git-receive-pack", host=GIT_HOST, body=command(f"{ZERO} {'1' * 40} {REF}"))
        )
        async with asyncio.timeout(20):
            await begun.wait()
            done, _ = await asyncio.wait([pushing], timeout=0.2)
            assert not done
            go_on.set()
            assert (await pushing).body == REPORT
        await service.stop()
    assert [message["event"]["data"] for message in told] == [{"ref": REF, "old": ZERO, "new": "1" * 40}]
