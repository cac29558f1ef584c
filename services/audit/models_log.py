"""The log over all entries: each one's leaf at its place, the nodes above them, and the heads that were signed.

Nothing in here says what an entry was about: when the contents of an entry are destroyed, its leaf stays.
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from services.audit.models import Id, Model, Moment


class Arrival(Model):
    """An entry that has no leaf yet. A trigger writes it with the entry, so none can be forgotten; whoever seals the
    entry takes it away: a row that commits late is simply found later."""

    __tablename__ = "arrivals"

    arrival: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    trace_id: Mapped[str] = mapped_column(Id)


class Leaf(Model):
    """The place of an entry in the log, and the hash of its line there [RFC 9162 2.1.1].

    `record_id` is the record whose own chain the leaf belongs to; it goes with the contents when these are destroyed.
    """

    __tablename__ = "leaves"
    __table_args__ = (
        sa.CheckConstraint("octet_length(hash) = 32", name="ck_leaves_hash"),
        sa.Index("ux_leaves_trace_id", "trace_id", unique=True),
        sa.Index("ux_leaves_hash", "hash", unique=True),
        sa.Index("ix_leaves_of_record", "record_id", "position", postgresql_where=sa.text("record_id is not null")),
    )

    position: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(sa.LargeBinary)
    trace_id: Mapped[str] = mapped_column(Id)
    record_id: Mapped[str | None] = mapped_column(Id)


class Node(Model):
    """The hash of a whole subtree of 256, 65,536 … leaves: from these and at most 256 leaves each proof is made."""

    __tablename__ = "nodes"
    __table_args__ = (
        sa.CheckConstraint("level in (8, 16, 24, 32, 40)", name="ck_nodes_level"),
        sa.CheckConstraint("octet_length(hash) = 32", name="ck_nodes_hash"),
    )

    level: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(sa.LargeBinary)


class TreeHeadRow(Model):
    """A head of the log as it was signed, and as the witness has it [RFC 9162 4.10]."""

    __tablename__ = "tree_heads"
    __table_args__ = (sa.CheckConstraint("octet_length(root) = 32", name="ck_tree_heads_root"),)

    size: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(sa.LargeBinary)
    at: Mapped[dt.datetime] = mapped_column(Moment)
    key_id: Mapped[str] = mapped_column(sa.Text)
    signature: Mapped[bytes] = mapped_column(sa.LargeBinary)


class LogKey(Model):
    """A public key that heads are signed with, from a size of the log on."""

    __tablename__ = "log_keys"

    key_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary)
    from_size: Mapped[int] = mapped_column(sa.BigInteger)
    since: Mapped[dt.datetime] = mapped_column(Moment)


class Attestation(Model):
    """A question to the notary: which entries these records have that a reader may see; and its signed answer.

    `without`: the ways in which documents are hidden from the reader. `statement` is null until the notary answered,
    and stays so where it refused, with the reason in `refused`.
    """

    __tablename__ = "attestations"
    __table_args__ = (sa.Index("ix_attestations_open", "asked_at", postgresql_where=sa.text("answered_at is null")),)

    attestation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_ids: Mapped[list[str]] = mapped_column(ARRAY(sa.Uuid(as_uuid=False)))
    without: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    asked_at: Mapped[dt.datetime] = mapped_column(Moment)
    answered_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    statement: Mapped[str | None] = mapped_column(sa.Text)
    key_id: Mapped[str | None] = mapped_column(sa.Text)
    signature: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    refused: Mapped[str | None] = mapped_column(sa.Text)
