"""Who has left the holder side of a record: what they were told of it is in their inbox no more."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_RINGS = """
    create function ring_departures() returns trigger language plpgsql as $$
    begin
        perform pg_notify('inbox', 'patient ' || whose.person_id)
           from (select distinct person_id from changed) as whose;
        return null;
    end $$;
    create trigger departures_ring after insert on departures
        referencing new table as changed for each statement execute function ring_departures();
    create trigger departures_ring_again after delete on departures
        referencing old table as changed for each statement execute function ring_departures();
"""


def upgrade() -> None:
    op.create_table(
        "departures",
        sa.Column("record_id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("person_id", sa.Text, primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "ix_messages_record_id", "messages", ["record_id", "recipient_id"],
        postgresql_where=sa.text("channel = 'inbox' and role in ('representative', 'assistant')"),
    )  # fmt: skip
    op.execute(_RINGS)
