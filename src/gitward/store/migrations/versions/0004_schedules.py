"""schedules, and which of them made a session"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=512), nullable=False),
        sa.Column("subject", sa.String(length=512), nullable=False),
        sa.Column("schedule", sa.String(length=100), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("repo", sa.String(length=200), nullable=False),
        sa.Column("target_branch", sa.String(length=255), nullable=True),
        sa.Column("title", sa.String(length=256), nullable=True),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("submodules", sa.JSON(), nullable=False),
        sa.Column("allow_workflows", sa.Boolean(), nullable=False),
        sa.Column("environment", sa.String(length=32), nullable=False),
        sa.Column("instruction", sa.JSON(), nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_session_id", sa.String(length=40), nullable=True),
        sa.Column("skipped_because", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(op.f("ix_schedules_next_at"), "schedules", ["next_at"])
    columns = ["issuer", "subject", "created_at"]
    op.create_index(op.f("ix_schedules_issuer_subject_created_at"), "schedules", columns)
    # In place: a batch that makes the table anew drops the old one, and with it, by cascade, every run.
    op.add_column("sessions", sa.Column("schedule_id", sa.String(length=40), nullable=True))
    op.add_column("sessions", sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=True))
    columns = ["schedule_id", "scheduled_for"]
    op.create_index(op.f("ix_sessions_schedule_id_scheduled_for"), "sessions", columns, unique=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_sessions_schedule_id_scheduled_for"), "sessions")
    op.drop_column("sessions", "scheduled_for")
    op.drop_column("sessions", "schedule_id")
    op.drop_table("schedules")
