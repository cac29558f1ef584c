"""What people wish to hear, on which way, and when; and what of it goes as one message a day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0008"
down_revision = "0007"

ID = sa.Uuid(as_uuid=False)

# What went with a digest shares its fate, from the hand of the provider to a bounce.
FOLLOW = """
create function messages_follow_digest() returns trigger language plpgsql as $$
begin
    update messages set
        state = new.state, cause = new.cause, due_at = null, settled_at = coalesce(new.settled_at, now()),
        history = history || coalesce(jsonb_build_array(new.history -> -1), '[]'::jsonb)
    where digest_id = new.message_id and state = old.state;
    return null;
end $$
"""
TRIGGER = """
create trigger messages_follow_digest after update of state on messages for each row
when (new.occasion = 'digest' and new.state <> old.state and new.state <> 'queued')
execute function messages_follow_digest()
"""


def upgrade() -> None:
    op.create_table(
        "notification_settings",
        sa.Column("person_kind", sa.Text, primary_key=True),
        sa.Column("person_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("channels", JSONB, nullable=False),
        sa.Column("quiet_begin", sa.Time),
        sa.Column("quiet_end", sa.Time),
        sa.Column("digest_at", sa.Time),
        sa.Column("digest_channel", sa.Text),
        sa.Column("document_types", ARRAY(sa.Text)),
        sa.Column("authors", ARRAY(ID)),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "person_kind in ('patient', 'professional', 'account')", name=op.f("ck_notification_settings_person_kind")
        ),
        sa.CheckConstraint(
            "(quiet_begin is null) = (quiet_end is null) and quiet_begin <> quiet_end",
            name=op.f("ck_notification_settings_quiet"),
        ),
        sa.CheckConstraint(
            "(digest_at is null) = (digest_channel is null)", name=op.f("ck_notification_settings_digest")
        ),
        sa.CheckConstraint(
            "digest_channel in ('email', 'sms', 'push')", name=op.f("ck_notification_settings_digest_channel")
        ),
        sa.CheckConstraint("version > 1", name=op.f("ck_notification_settings_version")),
    )
    op.create_index("ix_notification_settings_account_id", "notification_settings", ["account_id"])
    op.add_column("messages", sa.Column("digest_id", ID))
    op.create_index(
        "ix_messages_digest_due", "messages", ["due_at", "recipient_kind", "recipient_id"],
        postgresql_where=sa.text("state = 'queued' and digest and digest_id is null"),
    )  # fmt: skip
    op.create_index(
        "ix_messages_digest_id", "messages", ["digest_id"], postgresql_where=sa.text("digest_id is not null")
    )
    op.execute(FOLLOW)
    op.execute(TRIGGER)
