"""What tells a patient that a document is new to them: that it was released."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("documents", sa.Column("released_at", sa.DateTime(timezone=True)))
