"""Sessions of every kind in a database, for pages: what no worker of a test would bring about at will."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from gitward.sessions.artifacts import Origin, store
from gitward.sessions.changed_lines import changed_lines
from gitward.sessions.journal import Journal
from gitward.sessions.model import ArtifactKind, EventType, Owner, RunState, StepName, new_id, now
from gitward.store import schema
from gitward.store.database import Database, Transaction
from gitward.store.notify import Notifier

Json = dict[str, Any]
Entry = tuple[EventType, Json]
STEPS = (("preflight", 0.7), ("authenticate", 0.4), ("checkout", 21.0), ("execute", 302.0), ("publish", 1.9))


def add_session(
    database: Database,
    owner: Owner,
    *,
    title: str,
    state: RunState = RunState.SUCCEEDED,
    repo: str = "acme/api",
    branch: str | None = None,
    minutes: float = 12,
    instruction: Json | None = None,
    steps: Iterable[tuple[str, float]] = STEPS,
    running: str | None = None,
    entries: Iterable[Entry] = (),
    diff: bytes | None = None,
    session: Json | None = None,
    run: Json | None = None,
) -> tuple[str, str]:
    """The ids of session and run."""
    session_id, run_id = new_id("ses"), new_id("run")
    at = now() - timedelta(minutes=minutes)
    with database.transaction() as tx:
        _insert(tx, owner, session_id, run_id, at, title, state, repo, branch, instruction, session, run)
        _insert_steps(tx, run_id, at, steps, running)
        if diff is not None:
            _store(tx, session_id, run_id, diff)
    tell(database, session_id, run_id, entries)
    with database.transaction() as tx:  # telling is a sign of life; the session is as old as it was said
        tx.execute(sa.update(schema.sessions).where(schema.sessions.c.id == session_id).values(updated_at=at))
    return session_id, run_id


def tell(database: Database, session_id: str, run_id: str, entries: Iterable[Entry]) -> None:
    """Adds events of the run."""
    told = [(kind, run_id, data) for kind, data in entries]
    with database.transaction() as tx:
        Journal(Notifier()).append(tx, session_id, now(), *told)


def end(database: Database, session_id: str, run_id: str, state: RunState, **values: Any) -> None:
    """The run is over."""
    final = {"reason": None, "message": None, "changed": None, "head_sha": None, "exit_code": None, **values}
    with database.transaction() as tx:
        tx.execute(
            sa.update(schema.runs).where(schema.runs.c.id == run_id).values(state=state, ended_at=now(), **final)
        )
        tx.execute(sa.update(schema.sessions).where(schema.sessions.c.id == session_id).values(state=state))
        Journal(Notifier()).append(tx, session_id, now(), (EventType.RUN_ENDED, run_id, {"state": state, **final}))


def _insert(  # noqa: PLR0917 -- the stage's own
    tx: Transaction,
    owner: Owner,
    session_id: str,
    run_id: str,
    at: datetime,
    title: str,
    state: RunState,
    repo: str,
    branch: str | None,
    instruction: Json | None,
    session: Json | None,
    run: Json | None,
) -> None:
    row: Json = {"id": session_id, "issuer": owner.issuer, "subject": owner.subject, "repo": repo}
    row |= {"repo_key": repo.lower(), "target_branch": "main", "branch": branch or f"gitward/{session_id[4:12]}"}
    row |= {"title": title, "labels": [], "submodules": [], "allow_workflows": False, "environment": "host"}
    row |= {"state": state, "archived": False, "last_seq": 0, "created_at": at, "updated_at": at, **(session or {})}
    made: Json = {"id": run_id, "session_id": session_id, "number": 1, "state": state, "attempt": 1, "losses": 0}
    made |= {"instruction": instruction or {"command": "make test"}, "output_truncated": False, "created_at": at}
    made |= {"started_at": None if state is RunState.QUEUED else at + timedelta(seconds=3)}
    made |= {"ended_at": at + timedelta(seconds=330) if state.is_final else None, **(run or {})}
    tx.execute(sa.insert(schema.sessions).values(**row))
    tx.execute(sa.insert(schema.runs).values(**made))


def _insert_steps(
    tx: Transaction, run_id: str, at: datetime, steps: Iterable[tuple[str, float]], running: str | None
) -> None:
    names = [each.value for each in StepName]
    began = at + timedelta(seconds=3)
    for name, seconds in steps:
        state = "running" if name == running else "succeeded"
        row: Json = {"run_id": run_id, "name": name, "position": names.index(name), "state": state, "started_at": began}
        tx.execute(sa.insert(schema.steps).values(**row, seconds=None if name == running else seconds))
        began += timedelta(seconds=seconds)
        if name == running:
            return


def _store(tx: Transaction, session_id: str, run_id: str, diff: bytes) -> None:
    origin = Origin(run_id=run_id, attempt=1)
    store(tx, origin, ArtifactKind.DIFF, diff)
    store(tx, origin, ArtifactKind.PATCH, b"From 0000\n\n" + diff)
    store(tx, origin, ArtifactKind.BUNDLE, b"# v2 git bundle\n")
    lines = changed_lines(diff)
    values = {"additions": lines.additions, "deletions": lines.deletions}
    tx.execute(sa.update(schema.sessions).where(schema.sessions.c.id == session_id).values(**values))


def output(text: str, step: str = "execute", stream: str = "stdout") -> Entry:
    return EventType.OUTPUT, {"step": step, "stream": stream, "text": text}


def tool(id_: str, title: str, *, kind: str = "execute", status: str = "completed", **more: Any) -> Entry:
    plain: Json = {"id": id_, "title": title, "kind": kind, "status": status, "paths": [], "input": None}
    return EventType.AGENT_TOOL, {**plain, "output": None, "diff": [], **more}


def said(message: str, text: str, *, thought: bool = False) -> Entry:
    return EventType.AGENT_THOUGHT if thought else EventType.AGENT_MESSAGE, {"message": message, "text": text}


DIFF = b"""\
diff --git a/src/app/clock.py b/src/app/clock.py
index 1111111..2222222 100644
--- a/src/app/clock.py
+++ b/src/app/clock.py
@@ -1,6 +1,7 @@
 import datetime
{blank}
-def now():
-    return datetime.datetime.utcnow().isoformat()
+def now() -> str:
+    # One zone for all: what is stored is UTC.
+    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
{blank}
 VERSION = 3
diff --git a/docs/new name.md b/docs/new name.md
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ b/docs/new name.md
@@ -0,0 +1,2 @@
+# Notes
+See `clock.now`.
diff --git a/logo.png b/logo.png
new file mode 100644
index 0000000..4444444
Binary files /dev/null and b/logo.png differ
""".replace(b"{blank}", b" ")

AGENT = {"prompt": "Upgrade the service to Python 3.13. Keep the public API, and make the tests pass.",
    "agent": "codex",
         "model": "gpt-5", "budget": {"requests": None, "tokens": 200_000, "usd": 2.0, "seconds": None}}  # fmt: skip
TOKENS = {"input": 84_120, "cached": 20_000, "cache_written": 0, "output": 9_310, "reasoning": 0}
USAGE = {"by_model": [{"model": "gpt-5", "requests": 23, "unknown_requests": 0, "tokens": TOKENS, "usd": 0.41}],
         "open": 0, "seconds": 250.0}  # fmt: skip
CONVERSATION: tuple[Entry, ...] = (
    (EventType.AGENT_STARTED, {"agent": "codex", "version": "1.0", "model": "gpt-5", "mode": None,
                               "conversation": "c1", "resumed": False}),
    said("m1", "I’ll look at the *pinned versions* and the CI matrix first, then change one layer at a time:\n\n"
               "1. `pyproject.toml`\n2. the workflows\n\n```python\nprint('hello')\n```\n"),
    said("t1", "The CI matrix names 3.11 and 3.12. I should keep both.", thought=True),
    tool("c1", "pyproject.toml, .github/workflows/ci.yml", kind="read"),
    tool("c2", "src/app/clock.py", kind="edit", paths=["src/app/clock.py"],
         diff=[{"path": "src/app/clock.py", "old": "now = datetime.utcnow()", "new": "now = datetime.now(UTC)"}]),
    tool("c3", "pytest tests/unit -q", status="in_progress", output="........ [ 61%]\nFAILED test_clock.py::test_iso"),
    (EventType.AGENT_PLAN, {"entries": [
        {"content": "Read versions and CI", "status": "completed", "priority": "high"},
        {"content": "Replace utcnow", "status": "in_progress", "priority": "high"},
        {"content": "Run the integration tests", "status": "pending", "priority": "low"}]}),
    (EventType.POLICY_DENIED, {"rule": "push_ref", "message": "push to refs/heads/main is refused: this session may "
                               "only push to gitward/k3x9w2aa."}),
    said("m2", "One test expects a trailing `Z`. The public format must not change."),
)  # fmt: skip
