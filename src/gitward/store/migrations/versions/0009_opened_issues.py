"""the issues that a session's commands opened: it may go on writing them"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("opened_issues", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "opened_issues")
