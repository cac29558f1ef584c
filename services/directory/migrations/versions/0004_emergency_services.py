"""Who is attached to the emergency service of a place where they work; of nobody is that known yet."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("workplaces", sa.Column("emergency", sa.Boolean, nullable=False, server_default=sa.false()))
