"""Whatever a sandbox sends, upstream receives only what is within the grant.

A longer run, of 50,000: `python -m pytest tests/integration/broker/test_fuzz.py --hypothesis-profile=long`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings

from gitward.grants.grant import Grant

from .conftest import TOKEN, new_grant
from .fuzzing import LISTED, Asked, Upstream, asked, beyond, upstream
from .wire import Wire, wired

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(7200)]


@dataclass(kw_only=True)
class Target:
    """A broker with its upstream, and how the requests ended."""

    wire: Wire
    upstream: Upstream
    forwarded: int = 0
    refused: int = 0

    async def beyond(self, request: Asked) -> list[str]:
        """What upstream received of it beyond the grant."""
        self.upstream.received.clear()
        answer = await self.wire.ask(request.line, *request.headers, host=request.host, body=request.body)
        received = self.upstream.received
        self.forwarded += bool(received) and answer.status == 200
        self.refused += 400 <= answer.status < 500
        assert answer.status != 500, request
        assert not any(secret in answer.body for secret in (TOKEN.encode(), b"s3cret"))
        return [why for one in received if (why := beyond(one)) is not None]


@contextlib.asynccontextmanager
async def target_with(grant: Grant) -> AsyncIterator[Target]:
    async with upstream() as server, wired(server.url, f"{server.url}/api/v3", grant, TOKEN) as wire:
        yield Target(wire=wire, upstream=server)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target() -> AsyncIterator[Target]:
    async with target_with(new_grant(readable=(LISTED,))) as target:
        yield target


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def leaky() -> AsyncIterator[Target]:
    """A broker that grants more than the oracle believes: another repository, and another branch."""
    wide = replace(new_grant(readable=(LISTED, "octo/other")), push_ref="refs/heads/main")
    async with target_with(wide) as target:
        yield target


@given(request=asked)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
async def test_upstream_receives_what_is_granted(target: Target, request: Asked) -> None:
    assert await target.beyond(request) == []


async def test_both_ends_were_reached(target: Target) -> None:
    """The requests were neither all refused nor all harmless."""
    total = target.forwarded + target.refused
    assert total > 100
    assert target.forwarded >= 0.2 * total
    assert target.refused >= 0.2 * total


FOUND: set[str] = set()


@given(request=asked)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_planted_hole_is_seen(leaky: Target, request: Asked) -> None:
    FOUND.update(await leaky.beyond(request))


async def test_the_planted_holes_were_seen() -> None:
    assert "git at /octo/other.git/git-upload-pack" in FOUND
    assert "a push to [b'refs/heads/main']" in FOUND
    assert "a pull request of main" in FOUND
