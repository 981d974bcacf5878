"""The token's health on the operator's page: what GitHub told, and what is not known."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import make_api
from gitward.cli.health import ServiceHealth
from gitward.cli.pages import pages_of
from gitward.cli.site import Site
from gitward.github.client import GitHub
from gitward.identity.authorization import local_holder
from gitward.sandboxes import Guard
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader
from gitward.web.signing_in import SigningIn
from gitward.web.signing_in.hosts import Hosts
from tests_support import Backend

from .conftest import Visitor, site_of, visit

TOKEN = "github_pat_CANARY0123456789abcdefghij"


@pytest.fixture
async def github() -> AsyncIterator[GitHub]:
    made = GitHub(api_url="http://127.0.0.1:9/", server_url="http://127.0.0.1:9")
    yield made
    await made.stop()


@pytest.fixture
def site(backend: Backend, github: GitHub, tmp_path: Path) -> Site:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    made = make_api(backend)
    watch = ServiceHealth(
        metrics=backend.metrics, database=backend.database, limits=backend.places.limits, github=github
    )
    sign_in = SigningIn(backend.database, hosts=Hosts(), operators=(local_holder("olga"),))
    settings = Settings(**{"GITWARD_DATA_DIR": tmp_path})  # type: ignore[arg-type]  # by its alias
    tokens = TokenReader(file)
    return Site(
        made.app,
        pages_of(made.services, watch=watch, sign_in=sign_in, settings=settings, with_worker=True, tokens=tokens),
    )


async def card(visitor: Visitor) -> str:
    page = await visitor.get("/operator")
    assert TOKEN not in page
    return page[page.index("GitHub's token") : page.index('href="/setup/app"')]


async def test_before_github_is_asked_the_kind_is_known_and_the_rest_is_told_as_unknown(olgas: Visitor) -> None:
    shown = await card(olgas)
    assert "a fine-grained token, from GITHUB_TOKEN_FILE" in shown
    assert "end, scopes and rate limit are unknown" in shown


async def test_end_scopes_rate_limit_and_the_last_refusal(olgas: Visitor, github: GitHub) -> None:
    headers = {
        "github-authentication-token-expiration": "2031-01-02 03:04:05 UTC",
        "x-oauth-scopes": "repo, user:email",
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "4711",
        "x-ratelimit-reset": str(int(time.time()) + 1000),
    }
    words = "Resource not accessible <script>x</script>"
    github.limits.note("token 1", 403, headers, words)
    github.tokens.note("token 1", "a classic token", 403, headers, words, ends_at=None)
    shown = await card(olgas)
    for each in ("token 1", "2031-01-02 03:04 UTC", "repo, user:email", "4,711 of 5,000 left", "403"):
        assert each in shown, each
    assert "Resource not accessible &lt;script&gt;" in shown


async def test_what_github_does_not_name_is_told_so(olgas: Visitor, github: GitHub) -> None:
    github.tokens.note("token 1", "a fine-grained token", 200, {}, "", ends_at=None)
    shown = await card(olgas)
    assert "GitHub names no end" in shown
    assert "not told by GitHub" in shown
    assert "none seen" in shown


async def test_a_token_that_has_ended_stands_out(olgas: Visitor, github: GitHub) -> None:
    headers = {"github-authentication-token-expiration": "2020-01-01 00:00:00 UTC"}
    github.tokens.note("token 1", "a fine-grained token", 401, headers, "Bad credentials", ends_at=None)
    shown = await card(olgas)
    assert '<dd class="minus">ended 2020-01-01' in shown
    assert "Bad credentials" in shown


async def test_without_a_worker_the_page_says_who_has_the_token(backend: Backend, tmp_path: Path) -> None:
    async for visitor in visit(site_of(backend, tmp_path), backend, "olga"):
        assert "The workers have it" in await card(visitor)


async def test_a_sandboxs_limits_have_a_card_of_their_own_if_there_are_any(
    backend: Backend, tmp_path: Path, olgas: Visitor
) -> None:
    assert "Limits of a sandbox" not in await olgas.get("/operator")
    made = make_api(backend)
    guards = (Guard(name="file_size", holds="hard", how="RLIMIT_FSIZE", remedy=""),)
    watch = ServiceHealth(
        metrics=backend.metrics, database=backend.database, limits=backend.places.limits, guards=guards
    )
    sign_in = SigningIn(backend.database, hosts=Hosts(), operators=(local_holder("olga"),))
    settings = Settings(**{"GITWARD_DATA_DIR": tmp_path})  # type: ignore[arg-type]  # by its alias
    pages = pages_of(made.services, watch=watch, sign_in=sign_in, settings=settings, with_worker=False)
    async for visitor in visit(Site(made.app, pages), backend, "olga"):
        page = await visitor.get("/operator")
        assert "Limits of a sandbox" in page
        assert "<b>file size</b>" in page
