"""what a list shows of a session: how many lines it changed, and where it was asked for"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("additions", sa.Integer(), nullable=True))
    op.add_column("sessions", sa.Column("deletions", sa.Integer(), nullable=True))
    op.add_column("sessions", sa.Column("origin", sa.String(16), nullable=True))


def downgrade() -> None:
    for name in ("origin", "deletions", "additions"):
        op.drop_column("sessions", name)
