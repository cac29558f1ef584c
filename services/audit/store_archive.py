"""The queries of the archive: what a year holds, what went into the store, and what comes back from there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.audit.models import EntryRow, Id
from services.audit.models_archive import ArchivedGroup, ArchivedYear
from services.audit.models_log import Leaf
from services.audit.store import with_those_led_here
from services.audit.store_log import sealed_of
from services.db import begun

Row = Any

RECORDS_AT_ONCE = 200
STRETCH = 2_000  # entries about no record in one group
_COLUMNS = ", ".join(column.name for column in EntryRow.__table__.columns)
_TYPED = ", ".join(
    f"{column.name} {column.type.compile(postgresql.dialect())}" for column in EntryRow.__table__.columns
)


# --- a year that goes -------------------------------------------------------------------------------------------------


def is_kept(session: Session, year: int) -> bool:
    """Whether entries of a year have a part of the table of their own."""
    return session.scalar(sa.text("select to_regclass(:name)"), {"name": _part(year)}) is not None


def waits_for(session: Session, year: int) -> str | None:
    """Returns what has not yet gone over all entries of a year: its seal, the alerts, the statistics or the export to
    another repository; None where all have."""
    part = _part(year)
    unsealed = f"exists(select from {part} e left join leaves l on l.trace_id = e.trace_id where l.position is null)"
    last = f"(select max(l.position) from {part} e join leaves l on l.trace_id = e.trace_id)"  # noqa: S608 (a number)
    row = session.execute(sa.text(
        f"with last as materialized (select {last} as position) select"  # noqa: S608 (a number)
        f" case when {unsealed} or last.position >= (select coalesce(max(size), 0) from tree_heads) then 'seal'"
        " when exists(select from alert_progress p where p.position <= last.position) then 'alerts'"
        " when exists(select from statistic_progress p where p.source = 'entries' and p.position <= last.position)"
        " then 'statistics'"
        " when exists(select from forwarded f where f.position <= last.position) then 'syslog' end from last"
    )).one()  # fmt: skip
    found: str | None = row[0]
    return found


def groups_of(session: Session, year: int) -> Iterator[tuple[str | None, list[int], list[str]]]:
    """Gives what goes into the store: the record, the places in the log and the rows, in the order of the log."""
    part = _part(year)
    known = sa.text(f"select distinct cast(record_id as text) from {part} where record_id is not null order by 1")  # noqa: S608
    record_ids = list(session.scalars(known))
    of_records = sa.text(
        f"select l.position, cast(e.record_id as text) as record_id, cast(row_to_json(e) as text) as said from {part} e"  # noqa: S608
        " join leaves l on l.trace_id = e.trace_id where e.record_id = any(cast(:these as uuid[]))"
        " order by e.record_id, l.position"
    )
    for at in range(0, len(record_ids), RECORDS_AT_ONCE):
        rows = session.execute(of_records, {"these": record_ids[at : at + RECORDS_AT_ONCE]}).all()
        start = 0
        for place, row in enumerate(rows):
            if place + 1 == len(rows) or rows[place + 1].record_id != row.record_id:
                some = rows[start : place + 1]
                yield row.record_id, [one.position for one in some], [one.said for one in some]
                start = place + 1
    of_none = sa.text(
        f"select l.position from {part} e join leaves l on l.trace_id = e.trace_id"  # noqa: S608 (a number)
        " where e.record_id is null order by l.position"
    )
    these = sa.text(
        f"select l.position, cast(row_to_json(e) as text) as said from leaves l join {part} e"  # noqa: S608 (a number)
        " on e.trace_id = l.trace_id where l.position = any(cast(:these as bigint[])) order by l.position"
    )
    positions = list(session.scalars(of_none))
    for at in range(0, len(positions), STRETCH):
        rows = session.execute(these, {"these": positions[at : at + STRETCH]}).all()
        yield None, [one.position for one in rows], [one.said for one in rows]


def detach(session: Session, year: int, count: int) -> bool:
    """Takes the entries of a year off the table, where there are exactly so many, and makes an empty part for what
    comes back; False, with nothing done that may stay, where there are others."""
    part = _part(year)
    begun(session).exec_driver_sql("set local lock_timeout = '10s'")
    session.execute(sa.text(f"alter table entries detach partition {part}"))
    session.execute(sa.text(f"alter table {part} rename to entries_detached"))
    if session.scalar(sa.text("select count(*) from entries_detached")) != count:
        return False
    session.execute(sa.text("drop table entries_detached"))
    session.execute(sa.text("select add_year_of_entries(:year)"), {"year": year})
    return True


def add_groups(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Keeps where groups lie, and their keys."""
    for at in range(0, len(rows), 5_000):
        session.execute(sa.insert(ArchivedGroup), rows[at : at + 5_000])


def add_year(session: Session, digest: str, year: int, entries: int, said: str, at: datetime) -> None:
    """Keeps what was said of the packs of a year."""
    session.add(ArchivedYear(digest=bytes.fromhex(digest), year=year, entries=entries, said=said, at=at))
    session.flush()


def packs_of(session: Session, year: int) -> set[str]:
    """Returns the packs in which something of a year lies that can still be read."""
    query = sa.select(ArchivedGroup.pack_id).where(ArchivedGroup.year == year).distinct()
    return set(session.scalars(query))


def years(session: Session) -> list[int]:
    """Returns the years of which entries lie in the store."""
    return list(session.scalars(sa.select(ArchivedYear.year).distinct().order_by(ArchivedYear.year)))


# --- what comes back --------------------------------------------------------------------------------------------------


def touches(session: Session, record_id: str) -> bool:
    """Whether anything of a record, or of those that lead to it, lies in the store."""
    here = with_those_led_here(record_id)
    there = sa.exists().where(ArchivedGroup.record_id == here.c.record_id).correlate(None)
    return session.scalar(sa.select(there)) is True


def away(session: Session, record_id: str) -> list[ArchivedGroup]:
    """Returns what of a record's is not among the entries now, in this transaction's hands; what is there stays there
    until its end."""
    here = sa.select(with_those_led_here(record_id).c.record_id)
    its = ArchivedGroup.record_id.in_(here)
    held = sa.select(ArchivedGroup.group_id).where(its, ArchivedGroup.brought_back_at.is_not(None))
    missing = sa.select(ArchivedGroup).where(its, ArchivedGroup.brought_back_at.is_(None))
    found = session.scalars(missing.order_by(ArchivedGroup.group_id).with_for_update()).all()
    session.execute(held.order_by(ArchivedGroup.group_id).with_for_update(read=True))
    return list(found)


def next_away(session: Session, limit: int) -> list[ArchivedGroup]:
    """Returns some of all that is not among the entries now, in this transaction's hands."""
    query = sa.select(ArchivedGroup).where(ArchivedGroup.brought_back_at.is_(None))
    query = query.order_by(ArchivedGroup.pack_id, ArchivedGroup.place).limit(limit)
    return list(session.scalars(query.with_for_update(skip_locked=True)))


def put_back(session: Session, group: ArchivedGroup, rows: Sequence[str], at: datetime) -> list[Row]:
    """Puts a group's rows among the entries; returns each with its leaf, to be held against it."""
    begun(session).exec_driver_sql("set local audit.brings_back = 'yes'")
    session.execute(
        sa.text(
            f"insert into entries ({_COLUMNS}) select {_COLUMNS}"  # noqa: S608 (names of columns)
            f" from json_to_recordset(cast(:rows as json)) as told ({_TYPED}) on conflict (trace_id) do nothing"
        ),
        {"rows": f"[{','.join(rows)}]"},
    )
    begun(session).exec_driver_sql("set local audit.brings_back = ''")
    group.brought_back_at = at
    session.flush()
    return sealed_of(session, group.record_id, group.first_position, group.last_position, group.year)


def send_back(session: Session, before: datetime, limit: int) -> int:
    """Takes copies that came back before a moment out of the entries again; returns of how many groups."""
    query = sa.select(ArchivedGroup).where(ArchivedGroup.brought_back_at < before)
    query = query.order_by(ArchivedGroup.brought_back_at).limit(limit)
    found = list(session.scalars(query.with_for_update(skip_locked=True)))
    if found:
        begun(session).exec_driver_sql("set local audit.destroys = 'contents'")
        for group in found:
            session.execute(sa.text(
                "delete from entries e using leaves l where l.trace_id = e.trace_id"
                " and l.position between :first and :last and l.record_id is not distinct from cast(:record_id as uuid)"
                " and e.trace_id >= first_id_of(:year) and e.trace_id < first_id_of(:year + 1)"
            ), {"first": group.first_position, "last": group.last_position, "record_id": group.record_id,
                "year": group.year})  # fmt: skip
            group.brought_back_at = None
        session.flush()
        begun(session).exec_driver_sql("set local audit.destroys = ''")
    return len(found)


def forget(session: Session, record_ids: Collection[str]) -> None:
    """Destroys the keys to what lies in the store of these records: from now on nobody reads it."""
    these = sa.delete(ArchivedGroup).where(ArchivedGroup.record_id == sa.any_(sa.literal(list(record_ids), ARRAY(Id))))
    session.execute(these.execution_options(synchronize_session=False))


def record_of_leaf(session: Session, entry_id: str) -> str | None:
    """Returns the record of an entry that has its place in the log, whether its contents are at hand or not."""
    found: str | None = session.scalar(sa.select(Leaf.record_id).where(Leaf.trace_id == entry_id))
    return found


def _part(year: int) -> str:
    return f"entries_{int(year)}"
