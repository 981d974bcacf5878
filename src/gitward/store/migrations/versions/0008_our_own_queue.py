"""our own queue: who has a place waits for a worker, checkpoints stand with their run, and DBOS's tables go"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_UNFINISHED = sa.text("ended_at IS NULL")
# Of DBOS 3.4 on SQLite, where they lie beside ours; on Postgres they have a schema of their own.
_DBOS = (
    "application_versions",
    "dbos_migrations",
    "event_dispatch_kv",
    "notifications",
    "operation_outputs",
    "queues",
    "streams",
    "workflow_input",
    "workflow_output",
    "workflow_events",
    "workflow_events_history",
    "workflow_schedules",
    "workflow_status",
)


def upgrade() -> None:
    op.add_column("runs", sa.Column("checkpoints", sa.JSON(), nullable=True))
    op.add_column("runs", sa.Column("checkpoints_version", sa.Integer(), nullable=True))
    op.create_index(
        "ix_runs_unfinished",
        "runs",
        ["session_id", "number"],
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )
    op.add_column("tickets", sa.Column("place", sa.BigInteger(), nullable=True))
    # They were admitted in the order of their tickets, and before whoever gets a place from now on.
    op.execute(sa.text("UPDATE tickets SET place = 0 WHERE has_place"))
    # Whoever is in the list has ended (workers.migrate looked); a program that would enter it as before cannot.
    op.execute(sa.text("DELETE FROM workers"))
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("workers", sa.Column("generation", sa.Integer(), nullable=False))
        op.execute(sa.text("DROP SCHEMA IF EXISTS dbos CASCADE"))
        return
    with op.batch_alter_table("workers") as workers:  # nothing points to it
        workers.add_column(sa.Column("generation", sa.Integer(), nullable=False))
    for name in _DBOS:
        op.execute(sa.text(f'DROP TABLE IF EXISTS "{name}"'))


def downgrade() -> None:
    op.drop_column("workers", "generation")
    op.drop_column("tickets", "place")
    op.drop_index("ix_runs_unfinished", "runs")
    op.drop_column("runs", "checkpoints_version")
    op.drop_column("runs", "checkpoints")
