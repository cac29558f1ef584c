"""The queries of situations of people who need not be calling, at a moment that may have passed.

Grants, blocks, settings, states and what professionals were are kept with their periods, so one statement tells who
could do what at any moment. Unlike the situation of a caller these tell what has ended too: a reason may be that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.rules import Facts, Grant
from services.dossier.store_holders import SPEAKS
from services.plans import planned_once

# What is asked of the moment: as it is now, it stands in the rows themselves; as it was then, in their histories.
_NOW = {
    "state": "r.state",
    "emergency": "r.emergency",
    "responsibility": "r.responsibility",
    "autonomous_minor": "r.autonomous_minor",
    "professional": "left join professionals p on p.professional_id = asked.professional_id",
    "together_until": "l.together_until",
}
_SETTING_THEN = """(select s.value from record_settings s
    where s.record_id = r.record_id and s.name = '{name}' and s.since <= :moment
      and (s.until is null or s.until > :moment))"""
_THEN = {
    "state": """(select c.state from state_changes c where c.record_id = r.record_id and c.at <= :moment
                  order by c.at desc, c.change_id desc limit 1)""",
    "emergency": _SETTING_THEN.format(name="emergency"),
    "responsibility": _SETTING_THEN.format(name="responsibility"),
    "autonomous_minor": _SETTING_THEN.format(name="autonomous_minor"),
    "professional": """left join lateral (
           select w.profession, w.licence, w.establishment_ids from professional_periods w
            where w.professional_id = asked.professional_id and w.since <= :moment
            order by w.version desc limit 1) as p on true""",
    # A copy that came along with a merged record goes on with the sitting that it came with.
    "together_until": """(select max(s.until) from sittings s
        where s.representative_id in (l.representative_id, l.copied_from)
          and s.since <= :moment and s.until > :moment)""",
}

_SITUATION = """
    select cast(asked.professional_id as text) as professional_id, cast(r.patient_id as text) as patient_id,
           {state} as state, {emergency} as emergency, {responsibility} as responsibility,
           {autonomous_minor} as autonomous_minor, p.profession, p.licence,
           exists (select from blocklist b
                    where b.record_id = asked.record_id and b.professional_id = asked.professional_id
                      and b.since <= :moment and (b.until is null or b.until > :moment)) as blocked,
           g.ground, g.since, g.read_until, g.deposit_until, cast(g.establishment_id as text) as establishment_id
      from ({asked}) as asked
      left join records r on r.record_id = asked.record_id
      {professional}
      left join lateral (
           select 'circle' as ground, c.since, least(c.until, c.ends_at) as read_until,
                  least(c.until, c.ends_at) as deposit_until, cast(null as uuid) as establishment_id
             from circle_members c
            where c.record_id = asked.record_id and c.professional_id = asked.professional_id and c.since <= :moment
           union all
           select m.kind, m.starts_at, least(m.read_until, m.ended_at), least(m.deposit_until, m.ended_at), null
             from mandates m
            where m.record_id = asked.record_id and m.professional_id = asked.professional_id
              and m.starts_at <= :moment
           union all
           select m.kind, m.starts_at, least(m.read_until, m.ended_at), least(m.deposit_until, m.ended_at),
                  m.establishment_id
             from mandates m
            where m.record_id = asked.record_id and m.professional_id is null
              and m.establishment_id = any (p.establishment_ids)
              and (asked.establishment_id is null or m.establishment_id = asked.establishment_id)
              and m.starts_at <= :moment
           union all
           select 'referring_physician', d.since, d.until, d.until, null
             from referring_grants d
            where d.record_id = asked.record_id and d.professional_id = asked.professional_id and d.since <= :moment
      ) as g on true
"""
_ONE = "select :record_id as record_id, :professional_id as professional_id, :establishment_id as establishment_id"
_EVERYBODY = """
    select cast(:record_id as uuid) as record_id, w.professional_id, cast(null as uuid) as establishment_id
      from (select professional_id from circle_members where record_id = :record_id
            union select professional_id from mandates where record_id = :record_id and professional_id is not null
            union select professional_id from referring_physicians where record_id = :record_id
            union select cast(:author_id as uuid) where cast(:author_id as uuid) is not null
            union select e.professional_id from {workplaces} e
                   where e.establishment_ids && array(
                         select m.establishment_id from mandates m
                          where m.record_id = :record_id and m.professional_id is null
                            and m.starts_at <= :moment and m.deposit_until > :moment
                            and (m.ended_at is null or m.ended_at > :moment))) as w
"""
_PERSONS = """
    select cast(r.patient_id as text) as holder_id, {state} as state, {autonomous_minor} as autonomous_minor,
           cast({who_speaks} as text) as patient_id, g.ground, g.kind, g.since, g.until, g.together_until
      from records r
      left join lateral (
           select 'legal_representative' as ground, l.patient_id, l.kind, l.since,
                  least(l.until, l.ended_at) as until, {together_until} as together_until
             from representatives l where l.record_id = r.record_id and l.since <= :moment
           union all
           select 'assistant', a.patient_id, null, a.accepted_at, least(a.until, a.ended_at), null
             from assistants a where a.record_id = r.record_id and a.accepted_at <= :moment
      ) as g on true
     where r.record_id = :record_id
"""


def _of_one(words: dict[str, str]) -> sa.TextClause:
    asked = {"record_id": "uuid", "professional_id": "uuid", "moment": "timestamptz", "establishment_id": "uuid"}
    return planned_once(sa.text(_SITUATION.format(asked=_ONE, **words)), **asked)


_ONE_NOW = _of_one(_NOW)
_ONE_THEN = _of_one(_THEN)
_EVERYBODY_NOW = sa.text(_SITUATION.format(asked=_EVERYBODY.format(workplaces="professionals"), **_NOW))
_EVERYBODY_THEN = sa.text(_SITUATION.format(asked=_EVERYBODY.format(workplaces="professional_periods"), **_THEN))
_PERSONS_NOW = sa.text(_PERSONS.format(who_speaks=SPEAKS.format(id="g.patient_id"), **_NOW))
_PERSONS_THEN = sa.text(_PERSONS.format(who_speaks=SPEAKS.format(id="g.patient_id"), **_THEN))


def situation_of(
    session: Session,
    record_id: str,
    professional_id: str,
    moment: datetime,
    *,
    past: bool,
    establishment_id: str | None = None,
) -> Facts:
    """The situation of a professional in a record at a moment; `past`: as it was then, not as it is now.

    establishment_id: where they are; None: wherever they work. Who is not calling claims to be what they are.
    """
    asked = {"record_id": record_id, "professional_id": professional_id, "moment": moment}
    asked |= {"establishment_id": establishment_id}
    return _facts(record_id, session.execute(_ONE_THEN if past else _ONE_NOW, asked).all())


def situations_of_everybody(
    session: Session, record_id: str, author_id: str | None, moment: datetime, *, past: bool
) -> list[Facts]:
    """The situation of every professional who has, or had, any grant in a record, or wrote a document of it."""
    asked = {"record_id": record_id, "author_id": author_id, "moment": moment}
    by_professional: dict[str, list[Any]] = {}
    for row in session.execute(_EVERYBODY_THEN if past else _EVERYBODY_NOW, asked):
        by_professional.setdefault(row.professional_id, []).append(row)
    return [_facts(record_id, rows) for rows in by_professional.values()]


def persons_of(session: Session, record_id: str, moment: datetime, *, past: bool) -> list[Facts]:
    """The situation of each person of the holder side at a moment, the holder first; none in an unknown record."""
    rows = session.execute(_PERSONS_THEN if past else _PERSONS_NOW, {"record_id": record_id, "moment": moment}).all()
    if not rows:
        return []
    holder_id = rows[0].holder_id
    others = dict.fromkeys(row.patient_id for row in rows if row.ground is not None and row.patient_id != holder_id)
    return [_person(record_id, person, [row for row in rows if row.patient_id == person], rows[0])
            for person in (holder_id, *others)]  # fmt: skip


def person_at(session: Session, facts: Facts, patient_id: str | None, moment: datetime, *, past: bool) -> Facts:
    """The situation at a moment of a person who stands, or stood, or never stood on the holder side.

    facts: the situation of who asks, of the same side; `past`: as it was then, not as it is now.
    """
    found = persons_of(session, facts.record_id, moment, past=past)
    theirs = next((each for each in found if each.own_patient_id == patient_id), None)
    return theirs or replace(found[0] if found else facts, own_patient_id=patient_id, grants=())


def _facts(record_id: str, rows: Sequence[Any]) -> Facts:
    first = rows[0]
    return Facts(
        record_id=record_id,
        patient_id=first.patient_id,
        state=first.state,
        capacity="professional",
        professional_id=first.professional_id,
        profession=first.profession,
        claimed_profession=first.profession,
        licence=first.licence,
        blocked=first.blocked,
        grants=tuple(
            Grant(row.ground, row.since, row.read_until, row.deposit_until, establishment_id=row.establishment_id)
            for row in rows
            if row.ground is not None
        ),
        settings=_settings(first, ("emergency", "responsibility", "autonomous_minor")),
    )


def _person(record_id: str, patient_id: str, rows: Iterable[Any], record: Any) -> Facts:
    return Facts(
        record_id=record_id,
        patient_id=record.holder_id,
        state=record.state,
        capacity="patient",
        own_patient_id=patient_id,
        grants=tuple(Grant(row.ground, row.since, row.until, row.until, row.kind, row.together_until) for row in rows),
        settings=_settings(record, ("autonomous_minor",)),
    )


def _settings(row: Any, names: Iterable[str]) -> dict[str, str]:
    return {name: getattr(row, name) for name in names if getattr(row, name) is not None}
