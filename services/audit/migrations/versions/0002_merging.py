"""Which records lead to which."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.Uuid(as_uuid=False)


def upgrade() -> None:
    op.create_table(
        "record_moves",
        sa.Column("record_id", ID, primary_key=True),
        sa.Column("leads_to", ID),
        sa.Column("merge_id", ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index(
        "ix_record_moves_leads_to", "record_moves", ["leads_to"], postgresql_where=sa.text("leads_to is not null")
    )
