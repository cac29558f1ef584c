"""The log: entries in parts by year, each with a salt, and the leaves, nodes and heads above them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)
YEARS = range(2025, 2030)
SALT = "substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) for 16)"  # 128 of 244 bits


def upgrade() -> None:
    in_parts()
    log_tables()
    arrivals()


def in_parts() -> None:
    """The entries as they are, in parts by the year that their ids begin with: an id is made of its time."""
    op.execute("drop trigger entries_append_only on entries")
    op.execute("alter table entries rename to entries_before")
    for name in ("entries_pkey", "ix_entries_of_record", "ix_entries_of_professional"):
        op.execute(f"alter index {name} rename to {name}_before")
    op.execute("alter table entries_before rename constraint ck_entries_outcome to ck_entries_outcome_before")
    op.execute(
        f"""
        create table entries (
            like entries_before including comments,
            digest bytea,
            salt bytea not null default {SALT},
            constraint entries_pkey primary key (trace_id),
            constraint ck_entries_outcome check (outcome in ('allowed', 'refused')),
            constraint ck_entries_salt check (octet_length(salt) = 16)
        ) partition by range (trace_id)
        """
    )
    op.execute("create index ix_entries_of_record on entries (record_id, at desc, trace_id desc)")
    op.execute(
        "create index ix_entries_of_professional on entries (record_id, professional_id, at desc, trace_id desc)"
        " where professional_id is not null"
    )
    op.execute(
        """
        create function first_id_of(year integer) returns uuid language sql immutable as $$
            select (lpad(to_hex((extract(epoch from make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC')) * 1000)::bigint),
                         12, '0') || repeat('0', 20))::uuid
        $$
        """
    )
    op.execute(
        """
        create function add_year_of_entries(year integer) returns void language plpgsql as $$
        begin
            execute format('create table if not exists entries_%s partition of entries for values from (%L) to (%L)',
                           year, first_id_of(year), first_id_of(year + 1));
        end
        $$
        """
    )
    for year in YEARS:
        op.execute(f"select add_year_of_entries({year})")
    op.execute("create table entries_of_no_year partition of entries default")
    op.execute("insert into entries select * from entries_before")
    op.execute("drop table entries_before")
    op.execute(
        """
        create or replace function refuse_change() returns trigger language plpgsql as $$
        begin
            if tg_op = 'DELETE' and current_setting('audit.destroys', true) = 'contents' then
                return null;
            end if;
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


def log_tables() -> None:
    op.create_table(
        "arrivals",
        sa.Column("arrival", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("trace_id", ID, nullable=False),
    )
    op.create_table(
        "leaves",
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("trace_id", ID, nullable=False),
        sa.Column("record_id", ID),
        sa.CheckConstraint("octet_length(hash) = 32", name="ck_leaves_hash"),
    )
    op.create_index("ux_leaves_trace_id", "leaves", ["trace_id"], unique=True)
    op.create_index("ux_leaves_hash", "leaves", ["hash"], unique=True)
    op.create_index(
        "ix_leaves_of_record", "leaves", ["record_id", "position"], postgresql_where=sa.text("record_id is not null")
    )
    op.create_table(
        "nodes",
        sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("level in (8, 16, 24, 32, 40)", name="ck_nodes_level"),
        sa.CheckConstraint("octet_length(hash) = 32", name="ck_nodes_hash"),
    )
    op.create_table(
        "tree_heads",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("octet_length(root) = 32", name="ck_tree_heads_root"),
    )
    op.create_table(
        "log_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("from_size", sa.BigInteger, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
    )
    op.create_table(
        "attestations",
        sa.Column("attestation_id", ID, primary_key=True),
        sa.Column("record_ids", sa.ARRAY(ID), nullable=False),
        sa.Column("without", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT),
        sa.Column("statement", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.Column("signature", sa.LargeBinary),
        sa.Column("refused", sa.Text),
    )
    op.create_index(
        "ix_attestations_open", "attestations", ["asked_at"], postgresql_where=sa.text("answered_at is null")
    )


def arrivals() -> None:
    """Written with each entry by the database itself, and once for all that are there."""
    op.execute("insert into arrivals (trace_id) select trace_id from entries order by received_at, trace_id")
    op.execute(
        """
        create function note_arrivals() returns trigger language plpgsql as $$
        begin
            insert into arrivals (trace_id) select trace_id from kept;
            return null;
        end
        $$
        """
    )
    op.execute(
        """
        create trigger entries_arrive after insert on entries referencing new table as kept
        for each statement execute function note_arrivals()
        """
    )
