"""A try to put bytes may be given ahead of what will be said of them: to an account in one capacity, to no upload."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("account_id", sa.Uuid(as_uuid=False)))
    op.add_column("attempts", sa.Column("capacity", sa.Text))
    for column in ("upload_id", "key_record_id"):
        op.alter_column("attempts", column, nullable=True)
    op.create_check_constraint(op.f("ck_attempts_of"), "attempts", "num_nonnulls(upload_id, account_id) = 1")
    op.create_check_constraint(
        op.f("ck_attempts_ahead"), "attempts",
        "num_nonnulls(account_id, capacity) <> 1 and num_nonnulls(upload_id, key_record_id) <> 1",
    )  # fmt: skip
