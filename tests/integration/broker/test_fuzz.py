"""Whatever a sandbox sends, upstream receives only what is within the grant.

A longer run, of 50,000: `python -m pytest tests/integration/broker/test_fuzz.py --hypothesis-profile=long`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings

from .conftest import BRANCH, TOKEN, new_grant
from .fuzzing import LISTED, Asked, Upstream, asked, beyond, upstream
from .wire import Wire, wired

pytestmark = pytest.mark.timeout(7200)  # of the long run
EXAMPLES = max(400, settings().max_examples)


@dataclass(kw_only=True)
class Target:
    """A broker with its upstream, and how the requests ended."""

    wire: Wire
    upstream: Upstream
    forwarded: int = 0
    refused: int = 0

    async def beyond(self, request: Asked, granted: str) -> list[str]:
        """What upstream received of it beyond the grant of a branch."""
        self.upstream.received.clear()
        self.wire.events.clear()
        answer = await self.wire.ask(request.line, *request.headers, host=request.host, body=request.body)
        received = self.upstream.received
        self.forwarded += bool(received) and answer.status == 200
        self.refused += 400 <= answer.status < 500
        assert answer.status != 500, request
        assert not any(secret in answer.body for secret in (TOKEN.encode(), b"s3cret"))
        return [why for one in received if (why := beyond(one, granted)) is not None]


Try = Callable[[Asked, str], list[str]]


@contextlib.contextmanager
def fuzzed() -> Iterator[tuple[Target, Try]]:
    """A target on a loop of its own: hypothesis calls plain functions."""

    async def enter() -> Target:
        server = await stack.enter_async_context(upstream())
        grant = new_grant(readable=(LISTED,))
        wire = await stack.enter_async_context(wired(server.url, f"{server.url}/api/v3", grant, TOKEN))
        return Target(wire=wire, upstream=server)

    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        try:
            target = runner.run(enter())
            yield target, lambda request, granted: runner.run(target.beyond(request, granted))
        finally:
            runner.run(stack.aclose())


def test_upstream_receives_what_is_granted() -> None:
    """And the requests are neither all refused nor all harmless."""
    with fuzzed() as (target, attempt):

        @given(request=asked)
        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        def check(request: Asked) -> None:
            assert attempt(request, BRANCH) == []

        check()
        total = target.forwarded + target.refused
        assert total > 100
        assert target.forwarded >= 0.2 * total
        assert target.refused >= 0.2 * total
        print(f"{total} requests: {target.forwarded} forwarded, {target.refused} refused")


def test_a_hole_would_be_seen() -> None:
    """The broker lets a branch through that the grant, as the oracle is told here, does not have."""
    found: set[str] = set()
    with fuzzed() as (_, attempt):

        @given(request=asked)
        @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
        def check(request: Asked) -> None:
            found.update(attempt(request, "gitward/other"))

        check()
    assert {f"a push to [b'refs/heads/{BRANCH}']", f"a pull request of {BRANCH}"} <= found
