"""SMS beside mail."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # The first migration's names went through the naming convention once more than meant.
    op.drop_constraint(op.f("ck_messages_ck_messages_channel"), "messages")
    op.create_check_constraint(op.f("ck_messages_channel"), "messages", "channel in ('email', 'sms')")
