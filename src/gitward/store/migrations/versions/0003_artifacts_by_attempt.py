"""artifacts by attempt: what a lost attempt had done is kept beside what the next one does"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("artifacts") as batch_op:
        batch_op.add_column(sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"))
        batch_op.drop_constraint(op.f("pk_artifacts"), type_="primary")
        batch_op.create_primary_key(op.f("pk_artifacts"), ["run_id", "attempt", "kind", "piece"])
    op.execute("UPDATE artifacts SET attempt = (SELECT attempt FROM runs WHERE runs.id = artifacts.run_id)")
    with op.batch_alter_table("artifacts") as batch_op:
        batch_op.alter_column("attempt", existing_type=sa.Integer(), existing_nullable=False, server_default=None)


def downgrade() -> None:
    op.execute(
        "DELETE FROM artifacts WHERE attempt <> (SELECT max(a.attempt) FROM artifacts AS a "
        "WHERE a.run_id = artifacts.run_id AND a.kind = artifacts.kind)"
    )
    with op.batch_alter_table("artifacts") as batch_op:
        batch_op.drop_constraint(op.f("pk_artifacts"), type_="primary")
        batch_op.create_primary_key(op.f("pk_artifacts"), ["run_id", "kind", "piece"])
        batch_op.drop_column("attempt")
