"""A letter's code may be used to oppose the record instead of activating."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("activation_letters", sa.Column("opposed_at", sa.DateTime(timezone=True)))
