"""Years that are over go into the object store; what is read of them comes back for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "archived_years",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("octet_length(digest) = 32", name="ck_archived_years_digest"),
    )
    op.execute(
        "create trigger archived_years_append_only before update or delete or truncate on archived_years"
        " for each statement execute function refuse_change()"
    )
    op.create_table(
        "archived_groups",
        sa.Column("group_id", ID, primary_key=True),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("record_id", ID),
        sa.Column("first_position", sa.BigInteger, nullable=False),
        sa.Column("last_position", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("pack_id", ID, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("brought_back_at", MOMENT),
        sa.CheckConstraint("first_position <= last_position", name="ck_archived_groups_positions"),
    )
    op.create_index(
        "ix_archived_groups_record_id", "archived_groups", ["record_id"],
        postgresql_where=sa.text("record_id is not null"),
    )  # fmt: skip
    op.create_index("ix_archived_groups_pack_id", "archived_groups", ["pack_id"])
    op.create_index(
        "ix_archived_groups_back", "archived_groups", ["brought_back_at"],
        postgresql_where=sa.text("brought_back_at is not null"),
    )  # fmt: skip
    # What comes back has its place in the log already.
    op.execute(
        """
        create or replace function note_arrivals() returns trigger language plpgsql as $$
        begin
            if current_setting('audit.brings_back', true) is distinct from 'yes' then
                insert into arrivals (trace_id) select trace_id from kept;
            end if;
            return null;
        end
        $$
        """
    )
