"""where a run began, and what it was about to push"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("start_sha", sa.String(length=64), nullable=True))
        runs.add_column(sa.Column("pushing_sha", sa.String(length=64), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("pushing_sha")
        runs.drop_column("start_sha")
