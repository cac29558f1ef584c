"""Messages have states, and wait until they are sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("channel", "state"):
        op.execute(f"alter table messages drop constraint if exists ck_messages_{name}")
        op.execute(f"alter table messages drop constraint if exists ck_messages_ck_messages_{name}")
    for column in (
        sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("role", sa.Text),
        sa.Column("record_id", ID),
        sa.Column("object_type", sa.Text),
        sa.Column("object_id", ID),
        sa.Column("document_id", ID),
        sa.Column("count", sa.Integer, nullable=False, server_default="1"),
        sa.Column("happened_at", MOMENT),
        sa.Column("due_at", MOMENT),
        sa.Column("urgent", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("digest", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("expires_at", MOMENT),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cause", sa.Text),
        sa.Column("read_at", MOMENT),
        sa.Column("history", JSONB, nullable=False, server_default="[]"),
    ):
        op.add_column("messages", column)
    # What was settled before is told in today's words: it failed, and why.
    op.execute(
        "update messages set happened_at = settled_at, cause = case when state = 'sent' then null else state end,"
        " history = jsonb_build_array(jsonb_build_object('state', case when state = 'sent' then 'sent' else 'failed'"
        " end, 'at', settled_at, 'cause', case when state = 'sent' then null else state end)),"
        " state = case when state = 'sent' then 'sent' else 'failed' end"
    )
    op.alter_column("messages", "happened_at", nullable=False)
    op.alter_column("messages", "settled_at", nullable=True)
    op.create_unique_constraint("uq_messages_seq", "messages", ["seq"])
    op.create_check_constraint(op.f("ck_messages_channel"), "messages", "channel in ('email', 'sms', 'inbox', 'push')")
    op.create_check_constraint(
        op.f("ck_messages_state"), "messages", "state in ('queued', 'sent', 'delivered', 'bounced', 'failed')"
    )
    op.create_check_constraint(op.f("ck_messages_due_at"), "messages", "(state = 'queued') = (due_at is not null)")
    op.create_check_constraint(op.f("ck_messages_read_at"), "messages", "read_at is null or channel = 'inbox'")
    op.create_index(
        "ix_messages_due", "messages", ["channel", sa.text("urgent desc"), "due_at", "seq"],
        postgresql_where=sa.text("state = 'queued' and not digest"),
    )  # fmt: skip
    op.create_index(
        "ix_messages_inbox", "messages", ["recipient_kind", "recipient_id", "seq"],
        postgresql_where=sa.text("channel = 'inbox'"),
    )  # fmt: skip
    op.create_index(
        "ix_messages_unread", "messages", ["recipient_kind", "recipient_id"],
        postgresql_where=sa.text("channel = 'inbox' and read_at is null"),
    )  # fmt: skip
