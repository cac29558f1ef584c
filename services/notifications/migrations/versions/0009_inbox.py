"""The inbox of portal and app, and devices that are woken."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)

# Whoever is told of something hears of it by their kind and id; a stream asks for the rest in its own transaction.
# And all ids under which one person is told something stand in one place.
_RINGS = """
    create function same_person(kind text, person text) returns setof text language plpgsql stable rows 2 as $$
    begin
        if kind <> 'patient' then
            return next person;
            return;
        end if;
        return query with recursive own (id) as (
            select cast(person as uuid)
            union
            select case when m.survivor_id = own.id then m.merged_id else m.survivor_id end
              from own join patient_merges as m on not m.undone and (m.survivor_id = own.id or m.merged_id = own.id)
        ) select cast(own.id as text) from own;
    end $$;
    create function ring_inbox() returns trigger language plpgsql as $$
    begin
        perform pg_notify('inbox', whose.recipient_kind || ' ' || whose.recipient_id)
           from (select distinct recipient_kind, recipient_id from changed where channel = 'inbox') as whose;
        return null;
    end $$;
    create trigger messages_ring after insert on messages
        referencing new table as changed for each statement execute function ring_inbox();
    create trigger messages_ring_again after update on messages
        referencing new table as changed for each statement execute function ring_inbox();
    create function ring_hidden() returns trigger language plpgsql as $$
    begin
        perform pg_notify('inbox', whose.recipient_kind || ' ' || whose.recipient_id)
           from (select distinct m.recipient_kind, m.recipient_id from messages as m
                 join changed on changed.document_id = m.document_id where m.channel = 'inbox') as whose;
        return null;
    end $$;
    create trigger hidden_documents_ring after insert on hidden_documents
        referencing new table as changed for each statement execute function ring_hidden();
    create trigger hidden_documents_ring_again after update on hidden_documents
        referencing new table as changed for each statement execute function ring_hidden();
"""


def upgrade() -> None:
    # Which transaction told it: what is committed late is found by a stream that had gone past its number.
    op.add_column("messages", sa.Column(
        "told_in", sa.BigInteger, nullable=False, server_default=sa.text("(pg_current_xact_id()::text)::bigint")
    ))  # fmt: skip
    op.create_index(
        "ix_messages_document_id", "messages", ["document_id"],
        postgresql_where=sa.text("document_id is not null"),
    )  # fmt: skip
    op.create_table(
        "hidden_documents",
        sa.Column("document_id", ID, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("since", MOMENT, primary_key=True),
        sa.Column("until", MOMENT),
        sa.CheckConstraint("kind in ('blocked', 'withheld')", name=op.f("ck_hidden_documents_kind")),
    )
    op.create_index(
        "ix_hidden_documents_now", "hidden_documents", ["document_id"], postgresql_where=sa.text("until is null")
    )
    op.create_table(
        "patient_merges",
        sa.Column("merge_id", ID, primary_key=True),
        sa.Column("survivor_id", ID, nullable=False),
        sa.Column("merged_id", ID, nullable=False),
        sa.Column("undone", sa.Boolean, nullable=False),
    )
    for name in ("survivor_id", "merged_id"):
        op.create_index(
            f"ix_patient_merges_{name}", "patient_merges", [name], postgresql_where=sa.text("not undone")
        )  # fmt: skip
    op.create_table(
        "devices",
        sa.Column("device_id", ID, primary_key=True),
        sa.Column("recipient_kind", sa.Text, nullable=False),
        sa.Column("recipient_id", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("endpoint_digest", sa.LargeBinary, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("auth", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retry_at", MOMENT),
        sa.UniqueConstraint("endpoint_digest", name=op.f("uq_devices_endpoint_digest")),
        sa.CheckConstraint("octet_length(endpoint_digest) = 32", name=op.f("ck_devices_endpoint_digest")),
        sa.CheckConstraint("octet_length(public_key) = 65", name=op.f("ck_devices_public_key")),
        sa.CheckConstraint("octet_length(auth) = 16", name=op.f("ck_devices_auth")),
    )
    op.create_index("ix_devices_recipient", "devices", ["recipient_kind", "recipient_id"])
    op.create_table(
        "woken_devices",
        sa.Column("message_id", ID, primary_key=True),
        sa.Column("device_id", ID, primary_key=True),
    )
    op.create_table(
        "stream_tickets",
        sa.Column("ticket_digest", sa.LargeBinary, primary_key=True),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("capacity", sa.Text, nullable=False),
        sa.Column("patient_id", ID),
        sa.Column("professional_id", ID),
        sa.Column("profession", sa.Text),
        sa.Column("establishment_id", sa.Text),
        sa.Column("role", sa.Text),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.CheckConstraint("octet_length(ticket_digest) = 32", name=op.f("ck_stream_tickets_ticket_digest")),
    )
    op.create_index("ix_stream_tickets_expires_at", "stream_tickets", ["expires_at"])
    op.execute(_RINGS)
