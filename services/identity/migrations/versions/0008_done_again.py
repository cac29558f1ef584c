"""By which request a session was opened and a refresh token used: done again, it is no stranger."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("opened_by", sa.String()))
    op.add_column("refresh_tokens", sa.Column("used_by", sa.String()))
