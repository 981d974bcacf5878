"""Sessions with a GitHub App: each run has a token for its own repository, and a new one before that ends."""

from __future__ import annotations

from rig import app_rig, output


async def test_a_session_becomes_a_pull_request_of_the_app_s_bot() -> None:
    async with app_rig(warm=True) as (service, installation), service.client() as client:
        apps = service.github.site.apps
        repository = await service.repository(permissions={})
        command = "echo hello >> README.md; gh auth status 2>&1; gh pr list 2>&1; git log -1 --format=%H"
        session, run, events = await client.run(repository, command)

        assert run["state"] == "succeeded", (run, output(events))
        assert await repository.head(session["branch"]) == run["head_sha"]
        [pull] = repository.pulls
        assert pull.author.login == "widget-bot[bot]"
        bot = service.github.site.accounts.get("widget-bot[bot]")
        patch = (await client.http.get(f"/sessions/{session['id']}/patch")).text
        assert f'From: "widget-bot[bot]" <{bot.id}+widget-bot[bot]@users.noreply.github.com>' in patch

        [token] = apps.minted
        assert token.repositories == (repository.full_name,)
        assert token.permissions == dict(installation.permissions)
        assert "workflows" not in token.permissions
        log = service.log.read_text()
        assert f"Made a GitHub App's installation token for {repository.full_name}" in log
        assert "ghs_" not in log
