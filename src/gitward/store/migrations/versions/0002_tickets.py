"""tickets: runs wait for a place under our own lock"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    tickets = op.create_table(
        "tickets",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("has_place", sa.Boolean(), nullable=False),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_tickets_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tickets")),
        sa.UniqueConstraint("run_id", name=op.f("uq_tickets_run_id")),
    )
    op.create_index(op.f("ix_tickets_has_place_owner_number"), "tickets", ["has_place", "owner", "number"])
    op.create_table(
        "turns",
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_turns")),
    )
    op.create_index(op.f("ix_turns_turn"), "turns", ["turn"])
    _give_places(tickets)


def _give_places(tickets: sa.Table) -> None:
    """What is on the engine's queue already keeps its place there."""
    connection = op.get_bind()
    heads = connection.execute(
        sa.text(
            "SELECT runs.id, runs.created_at, issuer, subject FROM runs JOIN sessions ON sessions.id = session_id "
            "WHERE runs.state IN ('queued', 'running', 'cancelling') AND NOT EXISTS (SELECT 1 FROM runs AS earlier "
            "WHERE earlier.session_id = runs.session_id AND earlier.number < runs.number "
            "AND earlier.state IN ('queued', 'running', 'cancelling')) ORDER BY runs.created_at"
        ).columns(created_at=sa.DateTime(timezone=True))
    )
    rows = [
        {
            "run_id": head.id,
            "owner": hashlib.sha256(f"{head.issuer}\n{head.subject}".encode()).hexdigest()[:32],
            "has_place": True,
            "waiting_since": head.created_at,
        }
        for head in heads
    ]
    if rows:
        connection.execute(sa.insert(tickets), rows)


def downgrade() -> None:
    op.drop_table("turns")
    op.drop_table("tickets")
