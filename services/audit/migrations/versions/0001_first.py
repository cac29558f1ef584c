"""The append-only entries, beside the plumbing tables."""

import sqlalchemy as sa
from alembic import op

from services.plumbing import plumbing_tables_v1

revision = "0001"
down_revision = None

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    plumbing_tables_v1(op)
    op.create_table(
        "entries",
        sa.Column("trace_id", ID, primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("account_id", ID),
        sa.Column("capacity", sa.Text),
        sa.Column("patient_id", ID),
        sa.Column("professional_id", ID),
        sa.Column("profession", sa.Text),
        sa.Column("establishment_id", ID),
        sa.Column("record_id", ID),
        sa.Column("object_id", ID),
        sa.Column("object_type", sa.Text),
        sa.Column("ground", sa.Text),
        sa.Column("rule", sa.Text),
        sa.Column("purpose", sa.Text),
        sa.Column("session_id", ID),
        sa.Column("request_id", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("software", sa.Text),
        sa.Column("count", sa.Integer),
        sa.CheckConstraint("outcome in ('allowed', 'refused')", name="ck_entries_outcome"),
    )
    op.create_index("ix_entries_of_record", "entries", ["record_id", sa.text("at desc"), sa.text("trace_id desc")])
    op.create_index(
        "ix_entries_of_professional",
        "entries",
        ["record_id", "professional_id", sa.text("at desc"), sa.text("trace_id desc")],
        postgresql_where=sa.text("professional_id is not null"),
    )
    refuse_changes()


def refuse_changes() -> None:
    """Per statement, so that a change is refused even where it would touch no row."""
    op.execute(
        """
        create function refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception 'entries are append-only: % refused', tg_op using errcode = 'restrict_violation';
        end
        $$
        """
    )
    op.execute(
        """
        create trigger entries_append_only before update or delete or truncate on entries
        for each statement execute function refuse_change()
        """
    )
