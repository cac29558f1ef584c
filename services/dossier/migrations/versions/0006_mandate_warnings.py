"""Of which end of a mandate was told before it came."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("mandates", sa.Column("warned_of", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_mandates_deposit_until", "mandates", ["deposit_until"], postgresql_where=sa.text("ended_at is null")
    )
