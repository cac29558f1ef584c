"""What people were told is deleted after a time: found by when it was settled, and rung for where it was unread."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_RINGS = """
    create function ring_deleted() returns trigger language plpgsql as $$
    begin
        perform pg_notify('inbox', whose.recipient_kind || ' ' || whose.recipient_id)
           from (select distinct recipient_kind, recipient_id from changed
                  where channel = 'inbox' and read_at is null) as whose;
        return null;
    end $$;
    create trigger messages_ring_deleted after delete on messages
        referencing old table as changed for each statement execute function ring_deleted();
"""


def upgrade() -> None:
    op.create_index(
        "ix_messages_settled_at", "messages", ["settled_at"], postgresql_where=sa.text("settled_at is not null")
    )
    op.execute(_RINGS)
