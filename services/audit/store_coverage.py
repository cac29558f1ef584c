"""Who has a record, by commune: counted once a day, a page of records at a time; only numbers are kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.audit.models_statistics import CoverageCount, CoverageDay


class Begun(NamedTuple):
    """How far the count of a day has come: after which record, and whether it is over."""

    after: str | None
    done: bool


class Commune(NamedTuple):
    """What was counted of a commune."""

    name: str
    registered: int
    covered: int


class Counted(NamedTuple):
    """What was counted on a day, communes by name; salt: by what it is chosen which of them are not shown."""

    day: date
    salt: bytes
    communes: list[Commune]


_BEGIN = sa.text(
    "insert into coverage_days (day, begun_at, salt) values (:day, :at,"
    " coalesce((select salt from coverage_days order by day desc limit 1), uuid_send(gen_random_uuid())))"
    " on conflict do nothing"
)
_COUNT = sa.text(
    "insert into coverage_counts (day, commune, registered, covered)"
    " select :day, told.* from unnest(cast(:communes as text[]), cast(:registered as bigint[]),"
    " cast(:covered as bigint[])) as told (commune, registered, covered) order by told.commune"
    " on conflict (day, commune) do update set registered = coverage_counts.registered + excluded.registered,"
    " covered = coverage_counts.covered + excluded.covered"
)


def begin(session: Session, day: date, at: datetime) -> Begun:
    """Begins the count of a day where nobody has, and says how far it is."""
    session.execute(_BEGIN, {"day": day, "at": at})
    row = session.execute(sa.select(CoverageDay.after, CoverageDay.done_at).where(CoverageDay.day == day)).one()
    return Begun(row.after, row.done_at is not None)


def note_page(
    session: Session, day: date, after: str | None, until: str | None, covered: Mapping[str, int]
) -> bool:  # fmt: skip
    """Adds the records between two places, once; False when somebody has counted them already."""
    if not _move_on(session, day, after, after=until):
        return False
    _add(session, day, {}, covered)
    return True


def note_end(
    session: Session, day: date, after: str | None, covered: Mapping[str, int], registered: Mapping[str, int],
    at: datetime,
) -> bool:  # fmt: skip
    """Adds the last records and who is registered, and ends the count; False when somebody has already."""
    if not _move_on(session, day, after, done_at=at):
        return False
    _add(session, day, registered, covered)
    older = sa.select(CoverageDay.day).where(CoverageDay.day < day, CoverageDay.done_at.is_(None)).scalar_subquery()
    session.execute(sa.delete(CoverageCount).where(CoverageCount.day.in_(older)))  # broken off, and too late now
    session.execute(sa.delete(CoverageDay).where(CoverageDay.day < day, CoverageDay.done_at.is_(None)))
    return True


def newest(session: Session, until: date | None) -> Counted | None:
    """Returns what was counted on the last day that is no later than this one; None where none is."""
    done = sa.select(sa.func.max(CoverageDay.day)).where(CoverageDay.done_at.is_not(None))
    last = (done if until is None else done.where(CoverageDay.day <= until)).scalar_subquery()
    query = (
        sa.select(CoverageDay.day, CoverageDay.salt, CoverageCount.commune, CoverageCount.registered,
                  CoverageCount.covered)
        .outerjoin(CoverageCount, CoverageCount.day == CoverageDay.day)
        .where(CoverageDay.day == last).order_by(CoverageCount.commune)
    )  # fmt: skip
    found = session.execute(query).all()
    if not found:
        return None
    communes = [Commune(row.commune, row.registered, row.covered) for row in found if row.commune is not None]
    return Counted(found[0].day, found[0].salt, communes)


def _move_on(session: Session, day: date, place: str | None, **to: object) -> bool:
    here = CoverageDay.after.is_(None) if place is None else CoverageDay.after == place
    waiting = (CoverageDay.day == day, CoverageDay.done_at.is_(None), here)
    moved = session.scalar(sa.update(CoverageDay).where(*waiting).values(to).returning(CoverageDay.day))
    return moved is not None


def _add(session: Session, day: date, registered: Mapping[str, int], covered: Mapping[str, int]) -> None:
    communes = sorted({*registered, *covered})
    session.execute(_COUNT, {
        "day": day, "communes": communes, "registered": [registered.get(each, 0) for each in communes],
        "covered": [covered.get(each, 0) for each in communes],
    })  # fmt: skip
