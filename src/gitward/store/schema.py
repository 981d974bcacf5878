"""The tables. Migrations in `migrations/` create and change them; a test compares the two."""

from __future__ import annotations

import sqlalchemy as sa

from gitward.store.database import UtcDateTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_UNFINISHED = sa.text("ended_at IS NULL")

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("issuer", sa.String(512), nullable=False),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("repo", sa.String(200), nullable=False),
    sa.Column("repo_key", sa.String(200), nullable=False),  # lower case: GitHub compares names so
    sa.Column("target_branch", sa.String(255)),  # null: the repository's default, learned by preflight
    sa.Column("branch", sa.String(255), nullable=False),
    sa.Column("title", sa.String(256), nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("submodules", sa.JSON, nullable=False),
    sa.Column("allow_workflows", sa.Boolean, nullable=False),
    sa.Column("environment", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # the latest run's
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.Column("pull_request", sa.JSON),
    sa.Column("pushed_sha", sa.String(64)),  # head of the branch after our last push
    sa.Column("last_seq", sa.Integer, nullable=False),  # of the event log; its update is the row lock
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("schedule_id", sa.String(40)),  # what made it; the schedule may be gone
    sa.Column("scheduled_for", UtcDateTime),  # which of the schedule's times
    sa.Column("opened_issues", sa.JSON),  # numbers, as GitHub answered them to the session's commands; null: none
    sa.Column("setup", sa.JSON(none_as_null=True)),  # model.Setup, of runs that name none
    sa.Column("claims", sa.JSON),  # of the JWT of its last request, those that GITWARD_AUTHORIZE names
    sa.Column("additions", sa.Integer),  # lines that its branch has beyond the target; null: nothing was kept yet
    sa.Column("deletions", sa.Integer),
    sa.Column("origin", sa.String(16)),  # where it was asked for: "page"; null: by the API
    sa.UniqueConstraint("repo_key", "branch"),
    sa.Index(None, "schedule_id", "scheduled_for", unique=True),  # one session for each time
    sa.Index(None, "issuer", "subject", "created_at", "id"),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("session_id", sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # 1, 2, … within the session
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(32)),
    sa.Column("message", sa.Text),
    sa.Column("instruction", sa.JSON, nullable=False),
    sa.Column("retry_of", sa.String(40)),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("worker", sa.String(64)),  # executor id of the process that has the attempt
    sa.Column("losses", sa.Integer, nullable=False),  # how often a worker was lost in the middle of it
    sa.Column("checkpoints", sa.JSON),  # what the steps that are done returned, by their names
    sa.Column("checkpoints_version", sa.Integer),  # a worker that does not understand it leaves the run alone
    sa.Column("start_sha", sa.String(64)),  # of the session's branch, before the first attempt's command
    sa.Column("pushing_sha", sa.String(64)),  # the head that an attempt was about to push
    sa.Column("changed", sa.Boolean),
    sa.Column("head_sha", sa.String(64)),
    sa.Column("exit_code", sa.Integer),
    sa.Column("output_truncated", sa.Boolean, nullable=False),
    sa.Column("usage", sa.JSON),  # of models, as the meter counted it; null: none was asked
    sa.Column("pull_request", sa.JSON),
    sa.Column("cancel_requested_at", UtcDateTime),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.UniqueConstraint("session_id", "number"),
    sa.Index(None, "state"),
    sa.Index("ix_runs_unfinished", "session_id", "number", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),  # executor id: unique for each start
    sa.Column("machine", sa.String(200), nullable=False),  # where `processes` can be looked up
    sa.Column("processes", sa.JSON, nullable=False),  # of the worker, its launcher and its broker
    sa.Column("lease_seconds", sa.Float, nullable=False),  # how long it may be silent
    sa.Column("beats", sa.BigInteger, nullable=False),  # one more at each sign of life
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),  # by the database's clock; see `workers.membership`
    sa.Column(
        "generation", sa.Integer, nullable=False
    ),  # of the queue; an older program does not know it: it is kept out
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("seconds", sa.Float),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("session_id", sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("run_id", sa.String(40)),
    sa.Column("data", sa.JSON, nullable=False),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),  # whose work it is: a lost attempt's is not replaced
    sa.Column("kind", sa.String(16), primary_key=True),  # model.ArtifactKind
    sa.Column("piece", sa.Integer, primary_key=True),  # 0, 1, … in order
    sa.Column("content", sa.LargeBinary, nullable=False),
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("issuer", sa.String(512), nullable=False),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("schedule", sa.String(100), nullable=False),  # a cron expression
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("repo", sa.String(200), nullable=False),
    sa.Column("target_branch", sa.String(255)),
    sa.Column("title", sa.String(256)),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("submodules", sa.JSON, nullable=False),
    sa.Column("allow_workflows", sa.Boolean, nullable=False),
    sa.Column("environment", sa.String(32), nullable=False),
    sa.Column("instruction", sa.JSON, nullable=False),
    sa.Column("claims", sa.JSON, nullable=False),  # of the owner's JWT, those that GITWARD_AUTHORIZE names
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("next_at", UtcDateTime, index=True),  # null while it is paused
    sa.Column("last_at", UtcDateTime),
    sa.Column("last_session_id", sa.String(40)),
    sa.Column("skipped_because", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Index(None, "issuer", "subject", "created_at"),
)

tickets = sa.Table(
    "tickets",  # of runs that may begin as far as their session goes, until they have ended
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),  # in order of arrival
    sa.Column("run_id", sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, unique=True),
    sa.Column("owner", sa.String(32), nullable=False),  # a digest of issuer and subject
    sa.Column("has_place", sa.Boolean, nullable=False),  # false: waits for one of the places
    sa.Column("place", sa.BigInteger),  # in the order in which places were given; null: it has none
    sa.Column("waiting_since", UtcDateTime, nullable=False),
    sa.Index(None, "has_place", "owner", "number"),
)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("owner", sa.String(32), primary_key=True),
    sa.Column("turn", sa.BigInteger, nullable=False, index=True),  # the higher, the later the owner was served
)

usage_days = sa.Table(  # what a user's runs used of models on one day (UTC)
    "usage_days",
    metadata,
    sa.Column("issuer", sa.String(512), primary_key=True),
    sa.Column("subject", sa.String(512), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),  # "2026-11-29"
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("issuer", sa.String(512), primary_key=True),
    sa.Column("subject", sa.String(512), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),  # SHA-256 of method, path and body
    sa.Column("answer", sa.JSON, nullable=False),  # the body of the first answer
    sa.Column("created_at", UtcDateTime, nullable=False),
)

callbacks = sa.Table(  # where a session's owner wants to be told
    "callbacks",
    metadata,
    sa.Column("session_id", sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.Text),  # that signs; no route returns it
    sa.Column("format", sa.String(16), nullable=False),
)

deliveries = sa.Table(  # the outbox: one message to one target
    "deliveries",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("session_id", sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("run_id", sa.String(40)),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),  # of the event
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("target", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("status", sa.Integer),  # of the last answer
    sa.Column("problem", sa.Text),
    sa.Index(None, "state", "next_at"),
)

sign_ins = sa.Table(  # of browsers
    "sign_ins",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),  # SHA-256 of the cookie's secret, which is stored nowhere
    sa.Column("issuer", sa.String(512), nullable=False),
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("claims", sa.JSON, nullable=False),
    sa.Column("sealed", sa.LargeBinary),  # the issuer's tokens; only the cookie's secret opens it
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),  # until then the claims count; then they are renewed
    sa.Column("ends_at", UtcDateTime, nullable=False, index=True),  # whatever the issuer says
    sa.Column("renewing_until", UtcDateTime),  # a process asks the issuer; others leave it alone
    sa.Index(None, "issuer", "subject", "created_at"),
)

sign_in_links = sa.Table(
    "sign_in_links",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),  # SHA-256 of the link's secret
    sa.Column("subject", sa.String(512), nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)

audit_log = sa.Table(  # of who did what; a trigger refuses changes of its rows
    "audit_log",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("act", sa.String(40), nullable=False),  # audit_log.Act
    sa.Column("issuer", sa.String(512)),  # null: nobody knows who it was
    sa.Column("subject", sa.String(512)),
    sa.Column("session_id", sa.String(40)),  # it may be gone
    sa.Column("run_id", sa.String(40)),
    sa.Column("detail", sa.JSON, nullable=False),  # names and reasons, never texts of people or secrets
)
