"""The queries behind the alerts: entries in the order of the log, what is counted of them, and what was raised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.audit.contract_alerts import ALERT_RULES, AlertsCounted
from services.audit.models import EntryRow
from services.audit.models_cases import Alert, AlertProgress, Care, Sighting
from services.audit.models_log import Leaf
from services.audit.rules_alerts import HOUR, Found, Person, Seen, Sight, Times
from services.audit.rules_oversight import Period
from services.db import new_id

_SEEN = (
    EntryRow.trace_id, EntryRow.at, EntryRow.action, EntryRow.outcome, EntryRow.reason, EntryRow.ground,
    EntryRow.account_id, EntryRow.professional_id, EntryRow.establishment_id, EntryRow.record_id, EntryRow.object_id,
)  # fmt: skip


Sights = dict[Person, set[Sight]]


# --- along the log ------------------------------------------------------------------------------------------


def held_place(session: Session) -> int | None:
    """Returns how far the rules have looked, held until the commit; None while somebody else holds it."""
    return session.scalar(sa.select(AlertProgress.position).with_for_update(skip_locked=True))


def move_on(session: Session, position: int) -> None:
    """Notes how far the rules have looked."""
    session.execute(sa.update(AlertProgress).values(position=position))


def sealed_from(session: Session, position: int, limit: int) -> tuple[list[Seen], int]:
    """Returns the entries from a place in the log on, and the place behind them; contents that are gone are skipped."""
    leaves = sa.select(Leaf.position, Leaf.trace_id).where(Leaf.position >= position)
    some = leaves.order_by(Leaf.position).limit(limit).subquery()
    query = sa.select(some.c.position, *_SEEN).outerjoin_from(some, EntryRow, EntryRow.trace_id == some.c.trace_id)
    rows = session.execute(query.order_by(some.c.position)).all()
    seen = [Seen(*row[1:]) for row in rows if row.trace_id is not None]
    return seen, (rows[-1].position + 1 if rows else position)


# --- what is counted ----------------------------------------------------------------------------------------


# Of most people too little is known within the hour to matter: that is found out where it lies.
_SIGHTS = sa.text(
    """
    with enough as materialized (
        select c.rule, c.person_id
          from unnest(cast(:rules as text[]), cast(:people as uuid[]), cast(:least as int[]))
               as asked (rule, who, least)
          join alert_sightings c on c.rule = asked.rule and c.person_id = asked.who
           and c.minute > :after and c.minute < :before
         group by c.rule, c.person_id
        having count(*) >= min(asked.least)
    )
    select s.rule, cast(s.person_id as text) as person_id, s.minute, cast(s.thing_id as text) as thing_id
      from enough join alert_sightings s using (rule, person_id)
     where s.minute > :after and s.minute < :before
    """
)


def sights(session: Session, counted: Mapping[Person, Collection[Sight]], most: Mapping[str, int]) -> Sights:
    """Returns what was counted before of these people within an hour of these minutes, as far as it may matter.

    counted: what is to be counted now. most: by rule, how many may be seen without an alert; 0 for any number.
    """
    asked = [(rule, who, most[rule] + 1 - len(now)) for (rule, who), now in counted.items() if most[rule]]
    if not asked:
        return {}
    minutes = [minute for of_one in counted.values() for minute, _ in of_one]
    rules, people, least = (list(column) for column in zip(*asked, strict=True))
    told = {"rules": rules, "people": people, "least": least}
    found: dict[Person, set[Sight]] = defaultdict(set)
    for row in session.execute(_SIGHTS, {**told, "after": min(minutes) - HOUR, "before": max(minutes) + HOUR}):
        found[row.rule, row.person_id].add((row.minute, row.thing_id))
    return found


_KEEP_SIGHTS = sa.text(
    "insert into alert_sightings (rule, person_id, minute, thing_id) select * from unnest(cast(:rules as text[]),"
    " cast(:people as uuid[]), cast(:minutes as timestamptz[]), cast(:things as uuid[])) on conflict do nothing"
)


def keep_sights(session: Session, counted: Mapping[Person, Collection[Sight]], forget_before: datetime) -> None:
    """Keeps what was counted, each once, and forgets what is older."""
    session.execute(sa.delete(Sighting).where(Sighting.minute < forget_before))
    rows = [(*person, *sight) for person, of_one in counted.items() for sight in of_one]
    if rows:
        columns = (list(column) for column in zip(*rows, strict=True))
        session.execute(_KEEP_SIGHTS, dict(zip(("rules", "people", "minutes", "things"), columns, strict=True)))


def note_care(
    session: Session, care_id: str, record_id: str, carer_id: str, *, begun_at: datetime | None = None,
    ended_at: datetime | None = None,
) -> None:  # fmt: skip
    """Notes a beginning or an end of care, the latest of each; they may come in any order, and again."""
    told = {name: at for name, at in (("begun_at", begun_at), ("ended_at", ended_at)) if at is not None}
    row = insert(Care).values(care_id=care_id, record_id=record_id, carer_id=carer_id, **told)
    latest = {name: sa.func.greatest(getattr(Care, name), at) for name, at in told.items()}
    session.execute(row.on_conflict_do_update(index_elements=["care_id"], set_=latest))


_CARES = sa.text(
    """
    with recursive here (asked_id, record_id) as (
        select told, told from unnest(cast(:record_ids as uuid[])) as told
        union
        select here.asked_id, beside.record_id
          from here cross join lateral (
               select m.record_id from record_moves m where m.leads_to = here.record_id
               union all
               select m.leads_to from record_moves m where m.record_id = here.record_id and m.leads_to is not null
          ) as beside
    )
    select cast(here.asked_id as text) as record_id, cast(c.carer_id as text) as carer_id, c.begun_at, c.ended_at
      from here join cares c using (record_id)
     where c.carer_id = any (cast(:carer_ids as uuid[]))
    """
)


def cares(session: Session, entries: Iterable[Seen]) -> dict[tuple[str, str], list[Times]]:
    """Returns by record and carer when those who came had the holder in care, in whichever of the person's records."""
    came = [each for each in entries if each.record_id is not None and each.professional_id is not None]
    if not came:
        return {}
    carers = {carer for each in came for carer in (each.professional_id, each.establishment_id) if carer is not None}
    asked = {"record_ids": list({each.record_id for each in came}), "carer_ids": list(carers)}
    found: dict[tuple[str, str], list[Times]] = defaultdict(list)
    for row in session.execute(_CARES, asked):
        found[row.record_id, row.carer_id].append(Times(row.begun_at, row.ended_at))
    return found


# --- what was raised ----------------------------------------------------------------------------------------


def raised(session: Session, found: Sequence[Found], within: timedelta) -> Mapping[Person, list[datetime]]:
    """Returns by rule and subject the times of the entries that alerts were raised for, near those of the findings."""
    if not found:
        return {}
    times = [each.entry.at for each in found]
    rows = session.execute(
        sa.select(Alert.rule, Alert.subject, Alert.at).where(
            Alert.subject.in_({each.subject for each in found}),
            Alert.at > min(times) - within, Alert.at < max(times) + within,
        )
    )  # fmt: skip
    heard: dict[Person, list[datetime]] = defaultdict(list)
    for row in rows:
        heard[row.rule, row.subject].append(row.at)
    return heard


def insert_alerts(session: Session, found: Sequence[Found], at: datetime) -> None:
    """Raises alerts; the same rule never twice for one entry."""
    if found:
        session.execute(insert(Alert).on_conflict_do_nothing(), [_values(each, at) for each in found])


def _values(found: Found, at: datetime) -> dict[str, Any]:
    entry = found.entry
    return {
        "alert_id": new_id(), "rule": found.rule, "subject": found.subject, "trace_id": entry.trace_id, "at": entry.at,
        "raised_at": at, "number": found.number, "record_id": entry.record_id,
        "professional_id": entry.professional_id, "account_id": entry.account_id,
        "establishment_id": entry.establishment_id,
        "mandate_id": entry.object_id if found.rule == "out_of_hours" else None,
    }  # fmt: skip


def counted(session: Session, period: Period) -> list[AlertsCounted]:
    """Returns of every rule how many alerts it raised about entries of this time, and what became of them."""
    number = sa.func.count
    rows = session.execute(
        sa.select(
            Alert.rule, number().label("raised"), number().filter(Alert.verdict == "justified").label("justified"),
            number().filter(Alert.verdict == "not_justified").label("not_justified"),
            number().filter(Alert.verdict.is_(None)).label("waiting"),
        )
        .where(Alert.at >= period.since, Alert.at < period.until).group_by(Alert.rule)
    )  # fmt: skip
    found = {row.rule: row for row in rows}
    return [_line(rule, found.get(rule)) for rule in ALERT_RULES]


def _line(rule: str, row: Any | None) -> AlertsCounted:
    if row is None:
        return {"rule": rule, "raised": 0, "justified": 0, "not_justified": 0, "waiting": 0}
    return {
        "rule": rule, "raised": row.raised, "justified": row.justified, "not_justified": row.not_justified,
        "waiting": row.waiting,
    }  # fmt: skip
