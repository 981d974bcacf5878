"""`allow_workflows`, as a caller sees it."""

from __future__ import annotations

from rig import Client, Rig

CI = ".github/workflows/ci.yml"
CHANGE = f"echo 'on: issues' > {CI}"


async def test_workflows_are_changed_only_when_the_session_may(service: Rig, alice_client: Client) -> None:
    repository = await service.repository(files={CI: "on: push\n"})
    session, run, events = await alice_client.run(repository, CHANGE)
    assert (run["state"], run["reason"], run["changed"]) == ("failed", "push_rejected", True), run
    reason = "this session may not change .github/workflows/ (ci.yml); a session with allow_workflows=true may"
    assert f"({reason})" in run["message"]
    [denied] = [event["data"] for event in events if event["type"] == "policy.denied"]
    assert denied == {"rule": "git.push.workflows", "message": f"push refs/heads/{session['branch']}: {reason}"}
    assert set(await repository.branches()) == {"main"}
    patch = await alice_client.http.get(f"/sessions/{session['id']}/patch")
    assert "+on: issues" in patch.text
    _, run, _ = await alice_client.run(repository, CHANGE, allow_workflows=True)
    assert (run["state"], run["changed"]) == ("succeeded", True), run
    assert list((service.data / "pushes").iterdir()) == []
