"""GITWARD_AUTHORIZE=collaborator, from the POST to the job: write permission by GitHub's own answer."""

from __future__ import annotations

from gitward_standin import Role
from rig import warm_rig

COMMAND = {"command": "echo hi > hi.txt"}


async def test_who_may_write_on_github_may_use_the_repository_here() -> None:
    async with warm_rig(GITWARD_AUTHORIZE="collaborator", GITWARD_LOGIN_CLAIM="sub") as service:
        repository = await service.repository()
        repo = repository.full_name
        for login, role in (("alice", Role.PUSH), ("bob", Role.PULL)):
            service.github.add_user(login)
            repository.permissions[login] = role
        async with service.client("bob") as bob, service.client("alice") as alice:
            refused = await bob.post("/sessions", {"repo": repo, **COMMAND}, status=422)
            assert refused["errors"] == [
                {"field": "repo", "message": "must be a repository that bob may write to on GitHub"}
            ]
            await bob.post("/schedules", {"repo": repo, **COMMAND, "schedule": "0 3 * * *"}, status=422)
            session = await alice.post("/sessions", {"repo": repo, **COMMAND})
            run, _ = await alice.finished(session)
            assert run["state"] == "succeeded", run

            repository.permissions["alice"] = Role.PULL
            second = await alice.post("/sessions", {"repo": repo, **COMMAND})  # GitHub's answer is a moment old
            run, _ = await alice.finished(second)
            assert (run["state"], run["reason"]) == ("failed", "token_lacks_permission")
            assert "does not let alice write to" in run["message"]
            path = f"/sessions/{session['id']}"
            first = session["runs"][0]["id"]
            await alice.post(f"{path}/runs", COMMAND, status=422)
            await alice.post(f"{path}/runs/{first}/retry", status=422)
            await alice.post(f"{path}/runs/{first}/publish", status=422)

            repository.permissions["alice"] = Role.PUSH
            again = await alice.post(f"{path}/runs", COMMAND)
            await alice.finished(session, again["id"])
            await service.github.stop()
            answer = await alice.http.post(f"{path}/runs", json=COMMAND)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 1
