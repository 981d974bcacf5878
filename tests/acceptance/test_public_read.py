"""`GITWARD_PUBLIC_READ`, as a command in a sandbox meets it."""

from __future__ import annotations

from rig import output, warm_rig

CLONE = "git clone -q https://github.com/octo/{0} ../{0}; echo {0} ended $?"


async def test_public_repositories_are_fetched_without_the_token() -> None:
    async with warm_rig(GITWARD_PUBLIC_READ="true") as service, service.client() as client:
        await service.github.add_repository("octo/public", private=False)
        await service.github.add_repository("octo/private", permissions={"octocat": "admin"})
        repository = await service.repository()
        service.github.requests.clear()
        command = f"{CLONE.format('public')}; {CLONE.format('private')}"
        _, run, events = await client.run(repository, command)
        assert run["state"] == "succeeded", run
        assert "public ended 0\n" in output(events)
        assert "private ended 128\n" in output(events)
        message = f"this session may only fetch from {repository.full_name} and public repositories; octo/private"
        assert f"remote: Gitward: {message} is not" in output(events)
        assert [event["data"]["rule"] for event in events if event["type"] == "policy.denied"] == ["git.fetch.public"]
        seen = [request for request in service.github.requests if request.path.startswith("/octo/")]
        assert {request.path.split("/")[2] for request in seen} == {"public.git", "private.git"}
        assert all("authorization" not in request.headers for request in seen)
