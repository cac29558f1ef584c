"""Letters, messages, subscriptions and deliveries, beside the plumbing tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.plumbing import plumbing_tables_v1

revision = "0001"
down_revision = None

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    plumbing_tables_v1(op)
    op.create_table(
        "letters",
        sa.Column("letter_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("recipient_kind", sa.Text, nullable=False),
        sa.Column("recipient_id", sa.Text, nullable=False),
        sa.Column("record_id", ID),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("printed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("letter_id", name="pk_letters"),
        sa.UniqueConstraint("event_id", "recipient_id", name="uq_letters_event_id_recipient_id"),
    )
    op.create_table(
        "messages",
        sa.Column("message_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("recipient_kind", sa.Text, nullable=False),
        sa.Column("recipient_id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("language", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("settled_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_messages"),
        sa.UniqueConstraint("event_id", "recipient_id", "channel", name="uq_messages_event_id_recipient_id_channel"),
        sa.CheckConstraint("channel in ('email')", name="ck_messages_channel"),
        sa.CheckConstraint("state in ('sent', 'no_channel', 'spent', 'refused')", name="ck_messages_state"),
    )
    op.create_table(
        "subscriptions",
        sa.Column("subscription_id", ID, nullable=False),
        sa.Column("establishment_id", ID, nullable=False),
        sa.Column("event_types", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("password_digest", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("queue_removed_at", MOMENT),
        sa.PrimaryKeyConstraint("subscription_id", name="pk_subscriptions"),
        sa.UniqueConstraint("queue", name="uq_subscriptions_queue"),
        sa.UniqueConstraint("username", name="uq_subscriptions_username"),
        sa.CheckConstraint("state in ('preparing', 'active', 'ended')", name="ck_subscriptions_state"),
        sa.CheckConstraint("(state = 'ended') = (ended_at is not null)", name="ck_subscriptions_ended_at"),
        sa.CheckConstraint("octet_length(password_digest) = 32", name="ck_subscriptions_password_digest"),
    )
    op.create_index("ix_subscriptions_establishment_id", "subscriptions", ["establishment_id"])
    op.create_index(
        "ix_subscriptions_queue_to_remove", "subscriptions", ["subscription_id"],
        postgresql_where=sa.text("state <> 'active' and queue_removed_at is null"),
    )  # fmt: skip
    op.create_table(
        "documents",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("document_type", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("author_id", ID),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("level_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("document_id", name="pk_documents"),
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("subscription_id", ID, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("data", postgresql.JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.subscription_id"], name="fk_deliveries_subscription_id_subscriptions"
        ),
        sa.UniqueConstraint("event_id", "subscription_id", name="uq_deliveries_event_id_subscription_id"),
        sa.CheckConstraint("state in ('waiting', 'published', 'withheld')", name="ck_deliveries_state"),
    )
    op.create_index(
        "ix_deliveries_waiting", "deliveries", ["subscription_id", "delivery_id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )  # fmt: skip
