"""Documents change: what is told of one goes to who may read it as it is now."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for column in ("number", "wording"):
        op.add_column("documents", sa.Column(column, sa.Integer, nullable=False, server_default="1"))
