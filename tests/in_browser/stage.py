"""Every kind of session, for pictures and checks of all pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from gitward.sessions.cron import CronTimes
from gitward.sessions.model import EventType, Instruction, Owner, RunState, new_id, now
from gitward.sessions.new_session import NewSession
from gitward.sessions.schedules import ScheduleChange, ScheduleService
from gitward.store import schema
from gitward.store.database import Database
from page_stage import AGENT, CONVERSATION, DIFF, STEPS, USAGE, add_session, output

ALICE = Owner(issuer="gitward", subject="alice")
PULL = {"number": 412, "url": "https://github.com/acme/docs/pull/412", "state": "open", "draft": True}
REJECTED = "GitHub refused the push: GH013: config/prod.env:7 holds an AWS key. The work is kept."
COLOURS = "".join(f"\x1b[{code}mcolour {code}\x1b[0m " for code in (1, 2, 3, 4, 7, 31, 32, 33, 34, 35, 36, 41, 42))


TESTED = f"\x1b[1mtests/billing\x1b[0m \x1b[32m{'.' * 40}\x1b[0m [100%]\n\x1b[32m214 passed\x1b[0m in 38 s\n"
GH013 = (
    "remote: error: GH013: Repository rule violations found for refs/heads/gitward/k3x9w2aa.\n"
    "remote: - Push cannot contain secrets\nremote:   — Amazon AWS Access Key ID —  config/prod.env:7\n"
    " \x1b[31m!\x1b[0m [remote rejected] gitward/k3x9w2aa (push declined due to repository rule violations)\n"
)
DONE = (
    ("Pin base images", "acme/infra"), ("Add a licence header to every file", "acme/web"),
    ("Move from pip to uv", "acme/api"), ("Remove the flag new_checkout", "acme/shop"),
    ("Sort imports", "acme/ml"), ("Renew the lock file", "acme/docs"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Stage:
    failed: str
    failed_run: str
    running: str
    done: str


def fill(database: Database) -> Stage:
    failed, failed_run = add_session(
        database, ALICE, title="Move the billing jobs to Postgres 17", repo="acme/billing", state=RunState.FAILED,
        instruction={"command": "scripts/to-postgres 17 && make test"}, diff=DIFF,
        entries=[output(TESTED), output(GH013, "publish", "stderr"),
                            (EventType.NOTICE, {"message": "2 files that git cannot take are not part of the work."})],
        run={"reason": "push_rejected", "message": REJECTED, "changed": True, "head_sha": "8f55ddac" * 5},
    )  # fmt: skip
    add_session(
        database, ALICE, title="Retry flaky browser tests", repo="acme/web", state=RunState.FAILED, minutes=40,
        instruction=AGENT, run={"reason": "budget_exhausted", "usage": USAGE,
                                "message": "Budget spent: 200,000 of 200,000 tokens. Work and conversation are kept."},
    )  # fmt: skip
    done, _ = add_session(
        database, ALICE, title="Replace deprecated API in docs", repo="acme/docs", minutes=61, diff=DIFF,
        session={"pull_request": PULL, "schedule_id": "sch_1"}, entries=[output(COLOURS + "\ndone\n")],
        run={"message": "Pushed 8f55ddac to gitward/k3x9w2aa.", "changed": True, "pull_request": PULL},
    )  # fmt: skip
    running, _ = add_session(
        database, ALICE, title="Upgrade to Python 3.13", state=RunState.RUNNING, minutes=6, instruction=AGENT,
        running="execute", diff=DIFF, entries=CONVERSATION, run={"usage": USAGE},
    )  # fmt: skip
    add_session(database, ALICE, title="Run make chores", repo="acme/tools", state=RunState.RUNNING, minutes=0.4,
                steps=STEPS[:3], running="checkout")  # fmt: skip
    for number in range(2):
        add_session(database, ALICE, title=f"Format all notebooks {number}", repo="acme/ml", state=RunState.QUEUED,
                    minutes=2, steps=(), run={"attempt": 0})  # fmt: skip
    merged = {**PULL, "number": 96, "state": "merged", "draft": False}
    for number in range(60):
        title, repo = DONE[number % len(DONE)]
        add_session(
            database, ALICE, title=title if number < len(DONE) else f"{title} {number}", repo=repo,
            minutes=1500 + number,
            session={"pull_request": merged} if number % 3 == 0 else {"origin": "page"},
            run={"message": "Pushed 1b2c3d4e to gitward/p0q9r8s7." if number % 3 == 0 else
                 "The command changed nothing.", "changed": number % 3 == 0},
        )  # fmt: skip
    add_deliveries(database, failed)
    add_schedules(database)
    return Stage(failed=failed, failed_run=failed_run, running=running, done=done)


def add_deliveries(database: Database, session_id: str) -> None:
    """One of each state, to the session's callback and to one of the server's webhooks."""
    at = now() - timedelta(minutes=5)
    row: dict[str, object] = {
        "session_id": session_id,
        "run_id": None,
        "data": {},
        "at": at,
        "next_at": at,
        "ended_at": None,
    }
    rows = (
        {"target": "session", "type": "run.ended", "state": "delivered", "tries": 1, "status": 204, "problem": None},
        {"target": "session", "type": "session.needs_attention", "state": "pending", "tries": 2, "status": 503,
         "next_at": at + timedelta(days=9),
         "problem": "The target answered 503."},
        {"target": "server-4f2a90c1d7e3", "type": "run.ended", "state": "failed", "tries": 9, "status": None,
         "problem": "The target could not be reached (ConnectTimeout)."},
    )  # fmt: skip
    with database.transaction() as tx:
        url = "https://hooks.example.com/services/T00/secret-path"
        tx.execute(sa.insert(schema.callbacks).values(session_id=session_id, url=url, secret=None, format="slack"))
        for number, each in enumerate(rows):  # the newest comes first
            moment = {"at": at - timedelta(seconds=number)}
            tx.execute(sa.insert(schema.deliveries).values(id=new_id("msg"), **(row | moment | each)))


def add_schedules(database: Database) -> None:
    """One that has made a session, and one that is paused, with the reason."""
    for number, (title, cron, command) in enumerate(
        (("Renew dependencies", "0 6 * * MON", "make update"), ("Check links", "30 4 1 * *", "make links"))
    ):
        template = NewSession(repo="acme/docs", title=title, instruction=Instruction(command=command))
        times = CronTimes(schedule=cron, timezone="Europe/Berlin")
        with database.transaction() as tx:
            made = ScheduleService().create(tx, ALICE, times, template, {})
            if number:
                ScheduleService().change(tx, ALICE, made.id, ScheduleChange(paused=True))
        for minutes, state in ((500, RunState.SUCCEEDED), (10580, RunState.FAILED)) if not number else ():
            add_session(database, ALICE, title=title, repo="acme/docs", minutes=minutes, state=state,
                        session={"schedule_id": made.id, "archived": True})  # fmt: skip
