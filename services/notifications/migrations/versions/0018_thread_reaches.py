"""Whom professionals reached with secure messages lately: there is a limit to it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0018"
down_revision = "0017"

ID = sa.Uuid(as_uuid=False)


def upgrade() -> None:
    op.create_table(
        "thread_reaches",
        sa.Column("reach_id", ID, primary_key=True),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("colleague_ids", ARRAY(ID), nullable=False),
    )
    op.create_index("ix_thread_reaches_professional_id", "thread_reaches", ["professional_id", "at"])
    op.create_index("ix_thread_reaches_at", "thread_reaches", ["at"])
