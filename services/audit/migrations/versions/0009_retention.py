"""What was destroyed, and how far the log was sent elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "deleted_records",
        sa.Column("record_id", ID, primary_key=True),
        sa.Column("deleted_at", MOMENT, nullable=False),
    )
    op.create_table(
        "destructions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("octet_length(digest) = 32", name="ck_destructions_digest"),
    )
    op.execute(
        "create trigger destructions_append_only before update or delete or truncate on destructions"
        " for each statement execute function refuse_change()"
    )
    op.create_table(
        "forwarded",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
