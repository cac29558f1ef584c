"""Counts for the statistics, and from what they were made: no name, no content, and of a person nothing at all."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.audit.models import Id, Model, Moment


class StatisticSubject(Model):
    """What was told of one document, record or account that is counted: its steps, each under its place in their order.

    A step is a pair: what the thing is counted as from then on (null: as nothing) and the day. Steps come in any order
    and more than once; what they count follows from all of them together, so the counts can be made again.
    `ended_on`: the day on which a document was removed or a record deleted, until the row says no longer which it was.
    """

    __tablename__ = "statistic_subjects"
    __table_args__ = (
        sa.Index("ix_statistic_subjects_ended", "ended_on", postgresql_where=sa.text("ended_on is not null")),
    )

    measure: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    subject_id: Mapped[str] = mapped_column(Id, primary_key=True)
    steps: Mapped[dict[str, Any]] = mapped_column(JSONB)
    ended_on: Mapped[dt.date | None] = mapped_column(sa.Date)


class StatisticCount(Model):
    """How many came, went, or became something else, on one day in Luxembourg; what stood then is the sum till then."""

    __tablename__ = "statistic_counts"

    measure: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    day: Mapped[dt.date] = mapped_column(sa.Date, primary_key=True)
    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    came: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    moved_in: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    moved_out: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    went: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")


class StatisticProgress(Model):
    """Up to which place in the log the entries are counted: each is counted in the transaction that moves this on."""

    __tablename__ = "statistic_progress"

    source: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    position: Mapped[int] = mapped_column(sa.BigInteger)


class CoverageDay(Model):
    """A day on which records are counted by commune; `after`: the last record that was, null before the first.

    `salt`: by what communes are chosen that are not shown because of others; the same on every day, so that no two days
    tell together what neither tells.
    """

    __tablename__ = "coverage_days"

    day: Mapped[dt.date] = mapped_column(sa.Date, primary_key=True)
    after: Mapped[str | None] = mapped_column(Id)
    begun_at: Mapped[dt.datetime] = mapped_column(Moment)
    done_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    salt: Mapped[bytes] = mapped_column(sa.LargeBinary)


class CoverageCount(Model):
    """How many people are registered in a commune, and how many of them have a record, on one day."""

    __tablename__ = "coverage_counts"

    day: Mapped[dt.date] = mapped_column(
        sa.Date, sa.ForeignKey("coverage_days.day", name="fk_coverage_counts_day"), primary_key=True
    )
    commune: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    registered: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    covered: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
