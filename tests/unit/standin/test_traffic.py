"""The log of what arrived, planned faults, and gates."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from gitward_standin import Repository, StandIn
from gitward_standin.backend import parse_head

Api = Any  # the fixture's class lives in conftest.py
REPO = "/repos/octo-org/demo"
PULLS = f"{REPO}/pulls"


class TestLog:
    async def test_a_request_is_logged_as_it_was_sent(self, api: Api, standin: StandIn) -> None:
        await api("POST", f"{PULLS}?a=%20b&a=c", json={"x": 1}, headers={"X-Probe": "One"})
        (request,) = standin.requests
        assert (request.method, request.path) == ("POST", "/api/v3/repos/octo-org/demo/pulls")
        assert request.query == "a=%20b&a=c"
        assert request.host == standin.url.removeprefix("http://")
        assert request.headers["x-probe"] == "One"
        assert (b"X-Probe", b"One") in request.raw_headers
        assert (request.login, request.status, request.body) == ("octocat", 422, b'{"x": 1}')

    async def test_a_refused_token_leaves_no_login(self, api: Api, standin: StandIn) -> None:
        await api("GET", "/user", token="wrong")
        assert (standin.requests[0].login, standin.requests[0].status) == (None, 401)

    async def test_repeated_headers_are_joined_and_kept(self, standin: StandIn) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(standin.url.rsplit(":", 1)[1]))
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()
        await writer.wait_closed()
        (request,) = standin.requests
        assert request.headers["x-a"] == "1, 2"
        assert [value for name, value in request.raw_headers if name.lower() == b"x-a"] == [b"1", b"2"]

    async def test_one_can_wait_for_a_request(self, api: Api, standin: StandIn) -> None:
        async with asyncio.timeout(10):
            waiting = asyncio.create_task(standin.traffic.wait_for(lambda request: request.path.endswith("/zen")))
            await api("GET", "/user")
            assert not waiting.done()
            await api("GET", "/zen")
            assert (await waiting).status == 200
            assert (await standin.traffic.wait_for(lambda request: "user" in request.path)).status == 200


class TestFaults:
    async def test_the_next_requests_fail_as_planned(self, api: Api, standin: StandIn) -> None:
        standin.fault(method="GET", path="*/repos/octo-org/demo", status=502, times=2)
        assert [(await api("GET", REPO)).status for _ in range(3)] == [502, 502, 200]
        assert [request.status for request in standin.requests] == [502, 502, 200]

    async def test_method_and_path_must_match(self, api: Api, standin: StandIn) -> None:
        standin.fault(method="POST", path="*/pulls", status=500)
        assert (await api("GET", PULLS)).status == 200
        assert (await api("GET", "/user")).status == 200
        assert (await api("POST", PULLS)).status == 500

    async def test_body_and_headers_are_given(self, api: Api, standin: StandIn) -> None:
        standin.fault(
            path="*/user",
            status=403,
            body=b'{"message":"API rate limit exceeded"}',
            headers={"Retry-After": "7", "X-RateLimit-Remaining": "0"},
        )
        answer = await api("GET", "/user")
        assert (answer.status, answer.json["message"]) == (403, "API rate limit exceeded")
        assert (answer.headers["Retry-After"], answer.headers["X-RateLimit-Remaining"]) == ("7", "0")

    async def test_a_connection_can_be_cut(self, api: Api, standin: StandIn) -> None:
        standin.fault(path="*/user", status=0, times=2)  # aiohttp tries once more by itself
        with pytest.raises(aiohttp.ClientConnectionError):
            await api("GET", "/user")
        assert (await api("GET", "/user")).status == 200

    async def test_only_the_answer_can_be_lost(self, api: Api, standin: StandIn, repository: Repository) -> None:
        await repository.commit("topic", {"a": "a"}, start=await repository.head("main"))
        standin.fault(method="POST", path="*/pulls", status=504, applied=True)
        answer = await api("POST", PULLS, json={"title": "x", "head": "topic", "base": "main"})
        assert answer.status == 504
        assert len(repository.pulls) == 1


class TestGates:
    async def test_a_request_waits_until_the_gate_opens(self, api: Api, standin: StandIn) -> None:
        gate = standin.gate(path="*/user")
        async with asyncio.timeout(10):
            asking = asyncio.create_task(api("GET", "/user"))
            await gate.reached.wait()
            assert (await api("GET", "/zen")).status == 200
            assert not asking.done()
            gate.open()
            assert (await asking).status == 200


class TestLifeCycle:
    async def test_stop_opens_gates_and_may_be_called_again(self, api: Api, standin: StandIn) -> None:
        gate = standin.gate(path="*/user")
        asking = asyncio.create_task(api("GET", "/user"))
        async with asyncio.timeout(10):
            await gate.reached.wait()
            await standin.stop()
            await standin.stop()
            assert (await asking).status == 200

    async def test_a_call_of_the_api_outlives_its_client(
        self, api: Api, standin: StandIn, repository: Repository
    ) -> None:
        await repository.commit("topic", {"a": "a"}, start=await repository.head("main"))
        body = b'{"title":"x","head":"topic","base":"main"}'
        _reader, writer = await asyncio.open_connection("127.0.0.1", int(standin.url.rsplit(":", 1)[1]))
        writer.write(
            b"POST /api/v3/repos/octo-org/demo/pulls HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\n"
            b"Authorization: token ghp_octocat0000000000000000000000000000\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        await writer.drain()
        async with asyncio.timeout(10):
            while not standin.requests or not standin.requests[-1].body:
                await asyncio.sleep(0)  # until the request has been read
            writer.close()
            await writer.wait_closed()
            await standin.stop()
        assert len(repository.pulls) == 1


class TestHead:
    def test_status_and_headers_of_a_cgi_answer(self) -> None:
        head = b"Status: 403 Forbidden\r\nContent-Type: text/plain; charset=x\r\n\r\n"
        assert parse_head(head) == (403, {"Content-Type": "text/plain; charset=x"})
        assert parse_head(b"Expires: a:b\r\n\r\n") == (200, {"Expires": "a:b"})
