"""GITWARD_AUTHORIZE=collaborator holds for the pages too: GitHub decides, and is asked again for further runs."""

from __future__ import annotations

from pathlib import Path

from gitward.github.collaborators import Permission
from gitward.identity.collaborators import Collaborators
from gitward.sessions.model import Owner, RunState
from page_stage import DIFF, add_session
from tests_support import Backend

from .conftest import site_of, visit

ALICE = Owner(issuer="gitward", subject="alice")
REFUSED = "must be a repository that alice may write to on GitHub"


async def test_a_page_starts_nothing_that_github_does_not_allow(backend: Backend, tmp_path: Path) -> None:
    asked: list[str] = []

    async def ask(repository: str, _: str) -> Permission:
        asked.append(repository)
        return Permission.NONE

    site = site_of(backend, tmp_path, Collaborators(ask, login_claim="sub"))
    run = {"reason": "task_failed", "changed": True}
    session_id, run_id = add_session(
        backend.database, ALICE, title="t", repo="acme/mine", diff=DIFF, state=RunState.FAILED, run=run
    )
    async for alices in visit(site, backend, "alice"):
        for path, fields in (
            ("/new", {"repo": "acme/mine", "text": "true", "kind": "command"}),
            (f"/s/{session_id}/follow-up", {"text": "true", "kind": "command"}),
            (f"/s/{session_id}/runs/{run_id}/retry", {}),
            (f"/s/{session_id}/runs/{run_id}/publish", {}),
        ):
            before = len(asked)
            answer = await alices.post(path, status=422, **fields)
            assert REFUSED in answer.text, path
            assert len(asked) == before + 1, path
        assert "run 1 of 1" in await alices.get(f"/s/{session_id}")
