"""What lies in the object store: entries of years that are over, in packs, and the keys to each record's part."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.audit.models import Id, Model, Moment


class ArchivedYear(Model):
    """What of a year went into the store at once: `said` lists their packs; an entry of the log has its hash."""

    __tablename__ = "archived_years"
    __table_args__ = (sa.CheckConstraint("octet_length(digest) = 32", name="ck_archived_years_digest"),)

    digest: Mapped[bytes] = mapped_column(sa.LargeBinary, primary_key=True)
    year: Mapped[int] = mapped_column(sa.Integer)
    entries: Mapped[int] = mapped_column(sa.BigInteger)
    said: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[dt.datetime] = mapped_column(Moment)


class ArchivedGroup(Model):
    """One record's entries of a year in the store, or a stretch of the log's that are about no record.

    `pack_id`, `place`, `size`: which bytes of which pack, sealed under a key of the group's own; when that goes, nobody
    reads them any more, wherever copies lie. `brought_back_at`: since when a copy of them is among the entries again.
    """

    __tablename__ = "archived_groups"
    __table_args__ = (
        sa.CheckConstraint("first_position <= last_position", name="ck_archived_groups_positions"),
        sa.Index("ix_archived_groups_record_id", "record_id", postgresql_where=sa.text("record_id is not null")),
        sa.Index("ix_archived_groups_pack_id", "pack_id"),
        sa.Index("ix_archived_groups_back", "brought_back_at", postgresql_where=sa.text("brought_back_at is not null")),
    )

    group_id: Mapped[str] = mapped_column(Id, primary_key=True)
    year: Mapped[int] = mapped_column(sa.Integer)
    record_id: Mapped[str | None] = mapped_column(Id)
    first_position: Mapped[int] = mapped_column(sa.BigInteger)
    last_position: Mapped[int] = mapped_column(sa.BigInteger)
    entries: Mapped[int] = mapped_column(sa.Integer)
    pack_id: Mapped[str] = mapped_column(Id)
    place: Mapped[int] = mapped_column(sa.BigInteger)
    size: Mapped[int] = mapped_column(sa.Integer)
    wrapped_key: Mapped[bytes] = mapped_column(sa.LargeBinary)
    brought_back_at: Mapped[dt.datetime | None] = mapped_column(Moment)
