"""what makes a session's checkout ready before each of its runs"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("setup", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "setup")
