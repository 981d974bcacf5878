"""Every kind of session, for pictures and checks of all pages."""

from __future__ import annotations

from dataclasses import dataclass

from gitward.sessions.model import EventType, Owner, RunState
from gitward.store.database import Database
from page_stage import AGENT, CONVERSATION, DIFF, STEPS, USAGE, add_session, output

ALICE = Owner(issuer="gitward", subject="alice")
PULL = {"number": 412, "url": "https://github.com/acme/docs/pull/412", "state": "open", "draft": True}
REJECTED = "GitHub refused the push: GH013: config/prod.env:7 holds an AWS key. The work is kept."
COLOURS = "".join(f"\x1b[{code}mcolour {code}\x1b[0m " for code in (1, 2, 3, 4, 7, 31, 32, 33, 34, 35, 36, 41, 42))


@dataclass(frozen=True, kw_only=True)
class Stage:
    failed: str
    running: str
    running_run: str
    done: str


def fill(database: Database) -> Stage:
    failed, _ = add_session(
        database, ALICE, title="Move the billing jobs to Postgres 17", repo="acme/billing", state=RunState.FAILED,
        diff=DIFF, entries=[output(COLOURS + "\nremote: error: GH013\n", "publish", "stderr"),
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
        session={"pull_request": PULL, "schedule_id": "sch_1"}, entries=[output("done\n")],
        run={"message": "Pushed 8f55ddac to gitward/k3x9w2aa.", "changed": True, "pull_request": PULL},
    )  # fmt: skip
    running, running_run = add_session(
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
        add_session(
            database, ALICE, title=f"Pin base images {number}", repo="acme/infra", minutes=1500 + number,
            session={"pull_request": merged} if number % 3 == 0 else {"origin": "page"},
            run={"message": "Pushed 1b2c3d4e to gitward/p0q9r8s7." if number % 3 == 0 else
                 "The command changed nothing.", "changed": number % 3 == 0},
        )  # fmt: skip
    return Stage(failed=failed, running=running, running_run=running_run, done=done)
