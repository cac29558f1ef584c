"""Secure messages between professionals, and between them and holders."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "threads",
        sa.Column("thread_id", ID),
        sa.Column("record_id", ID),
        sa.Column("holder_only", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("master_key_id", sa.Text, nullable=False),
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("begun_by_kind", sa.Text, nullable=False),
        sa.Column("begun_by", ID, nullable=False),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("last_number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("thread_id", name=op.f("pk_threads")),
        sa.CheckConstraint("record_id is not null or not holder_only", name=op.f("ck_threads_holder_only")),
    )
    op.create_index(
        "ix_threads_record", "threads", ["record_id", "last_at", "thread_id"],
        postgresql_where=sa.text("record_id is not null"),
    )  # fmt: skip
    op.create_index("ix_threads_last_at", "threads", ["last_at"])
    op.create_index("ix_threads_master_key", "threads", ["master_key_id", "thread_id"])
    op.create_table(
        "thread_people",
        sa.Column("thread_id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("left_at", MOMENT),
        sa.Column("heard_number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("heard_at", MOMENT, nullable=False),
        sa.Column("read_number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("read_at", MOMENT),
        sa.Column("archived_at", MOMENT),
        sa.PrimaryKeyConstraint("thread_id", "kind", "person_id", name=op.f("pk_thread_people")),
        sa.ForeignKeyConstraint(
            ["thread_id"], ["threads.thread_id"], ondelete="cascade", name=op.f("fk_thread_people_thread_id_threads")
        ),
        sa.CheckConstraint("kind in ('patient', 'professional')", name=op.f("ck_thread_people_kind")),
    )
    op.create_index("ix_thread_people_person", "thread_people", ["kind", "person_id", "heard_at", "thread_id"])
    op.create_table(
        "thread_messages",
        sa.Column("message_id", ID),
        sa.Column("thread_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("author_kind", sa.Text, nullable=False),
        sa.Column("author_id", ID, nullable=False),
        sa.Column("role", sa.Text),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_thread_messages")),
        sa.UniqueConstraint("thread_id", "number", name=op.f("uq_thread_messages_thread_id_number")),
        sa.ForeignKeyConstraint(
            ["thread_id"], ["threads.thread_id"], ondelete="cascade", name=op.f("fk_thread_messages_thread_id_threads")
        ),
    )
    op.create_table(
        "thread_hearings",
        sa.Column("thread_id", ID, nullable=False),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "professional_id", "number", name=op.f("pk_thread_hearings")),
        sa.ForeignKeyConstraint(
            ["thread_id"], ["threads.thread_id"], ondelete="cascade", name=op.f("fk_thread_hearings_thread_id_threads")
        ),
    )
    op.create_table(
        "thread_attachments",
        sa.Column("attachment_id", ID),
        sa.Column("thread_id", ID, nullable=False),
        sa.Column("message_id", ID),
        sa.Column("place", sa.Integer, nullable=False, server_default="0"),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("stored_at", MOMENT),
        sa.Column("store_version", sa.Text),
        sa.Column("media_type", sa.Text),
        sa.Column("size", sa.Integer),
        sa.Column("sha256", sa.LargeBinary),
        sa.Column("checked_at", MOMENT),
        sa.Column("rejected", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("condemned_at", MOMENT),
        sa.PrimaryKeyConstraint("attachment_id", name=op.f("pk_thread_attachments")),
        sa.CheckConstraint("message_id is null or stored_at is not null", name=op.f("ck_thread_attachments_message")),
        sa.CheckConstraint("(stored_at is null) = (size is null)", name=op.f("ck_thread_attachments_stored")),
    )
    op.create_index("ix_thread_attachments_thread", "thread_attachments", ["thread_id", "message_id"])
    for name, column, where in (
        ("loose", "started_at", "message_id is null"),
        ("unchecked", "attachment_id", "stored_at is not null and checked_at is null and condemned_at is null"),
        ("condemned", "condemned_at", "condemned_at is not null"),
    ):
        op.create_index(
            f"ix_thread_attachments_{name}", "thread_attachments", [column], postgresql_where=sa.text(where)
        )
