"""With which kinds of devices an account was opened, so that its owner is told of a new one."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "known_devices",
        sa.Column("account_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.account_id"], name="fk_known_devices_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "device", name="pk_known_devices"),
    )
    op.create_index("ix_known_devices_last_at", "known_devices", ["last_at"])
