"""Tokens that end, are replaced or revoked while a run goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gitward_standin import Repository, Token
from rig import LOGIN, RUN_SECONDS, Client, Json, Rig, app_rig, output, warm_rig

# The first call waits at a gate until the test opens it; the push is the command's own, as an agent would make it.
COMMAND = (
    "echo change >> README.md && git commit -qam change && gh api repos/{name}/issues >/dev/null 2>&1;"
    " sleep 0; for n in 1 2 3 4 5 6 7 8 9 10; do git push 2>&1 && break; sleep 1; done"
)


@asynccontextmanager
async def in_the_middle(service: Rig, client: Client, repository: Repository, command: str) -> AsyncIterator[Json]:
    """A session whose command waits, inside this block, for an answer of GitHub's."""
    gate = service.github.gate(method="GET", path=f"*/{repository.name}/issues")
    session = await client.session(repository, command=command.format(name=repository.full_name))
    async with asyncio.timeout(RUN_SECONDS):
        await gate.reached.wait()
        yield session
    gate.open()


def sent_tokens(service: Rig) -> set[str]:
    """Every token that GitHub was sent as a Bearer, but for an App's proofs."""
    sent = (request.headers.get("authorization", "") for request in service.github.requests)
    return {value.removeprefix("Bearer ") for value in sent if value.startswith("Bearer gh")}


@pytest.mark.parametrize("credentials", ["broker", "login"])
async def test_a_push_after_the_end_of_an_app_s_token_works(credentials: str) -> None:
    """Its successor is there before it ends. In `login` mode gh goes on presenting the first one."""
    async with app_rig(GITWARD_CREDENTIALS=credentials) as (service, _), service.client() as client:
        service.github.site.apps.token_seconds = 8.0
        repository = await service.repository(permissions={})
        async with in_the_middle(service, client, repository, COMMAND) as session:
            used, minted = sent_tokens(service), service.github.site.apps.minted
            count = len(minted)
            await service.github.traffic.wait_for(
                lambda request: request.path.endswith("/access_tokens") and len(minted) > count
            )
            for token in used:
                service.github.revoke_token(token)
        run, events = await client.finished(session)
        assert run["state"] == "succeeded", (run, output(events))
        assert await repository.head(session["branch"]) == run["head_sha"]
        assert "403" not in output(events)
        assert len(repository.pulls) == 1
        assert not any(token in output(events) or token in service.log.read_text() for token in sent_tokens(service))


async def test_a_token_that_the_operator_replaces_is_taken_up_by_a_run_that_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("ghp_" + "1" * 36)
    async with warm_rig(GITHUB_TOKEN="", GITHUB_TOKEN_FILE=str(file)) as service, service.client() as client:
        service.github.add_token("ghp_" + "1" * 36, Token(login=LOGIN))
        repository = await service.repository()
        async with in_the_middle(service, client, repository, COMMAND) as session:
            service.github.add_token("ghp_" + "2" * 36, Token(login=LOGIN))
            service.github.revoke_token("ghp_" + "1" * 36)
            file.write_text("ghp_" + "2" * 36)
        run, events = await client.finished(session)
        assert run["state"] == "succeeded", (run, output(events))
        assert await repository.head(session["branch"]) == run["head_sha"]


async def test_a_token_that_is_revoked_while_a_run_goes_on_is_told_as_that() -> None:
    """Not as a push that failed for reasons that only git knows; and the work is kept."""
    async with warm_rig() as service, service.client() as client:
        repository = await service.repository()
        command = "echo precious >> README.md; gh api repos/{name}/issues >/dev/null 2>&1 || true"
        async with in_the_middle(service, client, repository, command) as session:
            service.github.revoke_token(service.token)
        run, events = await client.finished(session)
        assert (run["state"], run["reason"]) == ("failed", "token_rejected")
        notices = [event["data"]["message"] for event in events if event["type"] == "notice"]
        told = "GitHub answered 401 to a classic token: make a new token and set GITHUB_TOKEN to it."
        assert notices.count(told) == 1
        assert run["message"].startswith("GitHub rejected the token (401 Bad credentials): make a new token")
        assert "+precious" in (await client.http.get(f"/sessions/{session['id']}/patch")).text
