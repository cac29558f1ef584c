"""The query behind the questions about whole workplaces: the situations of those who could read there, in one go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.rules import Facts
from services.dossier.store import SITUATED, SITUATION, facts_of
from services.plans import named, planned_once

Place = tuple[str, str]
"""A record and an establishment."""

# Where what was deposited in a record is found now: in the one it leads to, and so on from there.
_LIES = """
    with recursive way (from_id, record_id, merged_into, state_before, steps) as (
        select record_id, record_id, merged_into, state_before, 0 from records
         where record_id = any (cast(:record_ids as uuid[]))
        union all
        select way.from_id, r.record_id, r.merged_into, r.state_before, way.steps + 1
          from way join records r on r.record_id = way.merged_into
         where way.state_before <> 'closed' and {follows}),
    lies as (select distinct on (from_id) from_id, record_id from way order by from_id, steps desc)
"""

# Asked about are those who hold something of their own in a record or wrote what is asked about, at each of the
# workplaces. What serves a whole establishment gives all who work there in one profession the same, so that one of each
# speaks for all the others; who is barred somewhere, or has something hidden from them, speaks for themself alone. So a
# hospital costs what a practice does.
_ASKED = """
    with barred as (
        select b.professional_id from blocklist b
         where b.record_id = any (array(select record_id from lies)) and b.since <= :now
           and (b.until is null or b.until > :now)
        union
        select * from unnest(cast(:restricted_ids as uuid[]))
    ),
    serving as (
        select m.record_id, m.establishment_id from mandates m
         where m.record_id = any (array(select record_id from lies)) and m.professional_id is null
           and m.establishment_id = any (cast(:establishment_ids as uuid[]))
           and m.ended_at is null and m.deposit_until > :now
    ),
    staff as (
        select served.establishment_id, w.professional_id, w.profession,
               exists (select from barred where barred.professional_id = w.professional_id) as alone
          from (select distinct establishment_id from serving) as served
          join professionals w on w.establishment_ids @> array[served.establishment_id]
         where w.licence = 'valid'
    ),
    speaking as (
        (select distinct on (establishment_id, profession) establishment_id, professional_id
           from staff where not alone order by establishment_id, profession, professional_id)
        union
        select establishment_id, professional_id from staff where alone
    ),
    holding as (
        select c.record_id, c.professional_id from circle_members c
         where c.record_id = any (array(select record_id from lies)) and c.until is null
        union
        select m.record_id, m.professional_id from mandates m
         where m.record_id = any (array(select record_id from lies)) and m.professional_id is not null
           and m.ended_at is null and m.deposit_until > :now
        union
        select d.record_id, d.professional_id from referring_grants d
         where d.record_id = any (array(select record_id from lies))
        union
        select lies.record_id, written.author_id
          from unnest(cast(:author_records as uuid[]), cast(:author_ids as uuid[])) as written (from_id, author_id)
          join lies on lies.from_id = written.from_id
    )
    select holding.record_id, holding.professional_id, place.establishment_id
      from holding
      join professionals w on w.professional_id = holding.professional_id
      join unnest(cast(:establishment_ids as uuid[])) as place (establishment_id)
        on place.establishment_id = any (w.establishment_ids)
    union
    select serving.record_id, speaking.professional_id, serving.establishment_id
      from serving join speaking on speaking.establishment_id = serving.establishment_id
"""
_THERE = """
    select cast(lies.from_id as text) as from_id, there.*
      from lies join ({situations}) as there on there.record_id = cast(lies.record_id as text)
"""
_WHERE = "select cast(from_id as text) as from_id, cast(record_id as text) as record_id from lies"
_OF_PLACES = planned_once(sa.text(
    _LIES.format(follows=":follows") + _THERE.format(situations=SITUATION.format(asked=_ASKED))
).columns(*named(f"from_id {SITUATED}")))  # fmt: skip
_WAYS = planned_once(sa.text(_LIES.format(follows="true") + _WHERE).columns(*named("from_id record_id")))


def where_contents_lie(session: Session, record_ids: Collection[str]) -> dict[str, str]:
    """Of each record where what was deposited in it is found now, as `where_content_lies`; unknown ones are absent."""
    rows = session.execute(_WAYS, {"record_ids": sorted(record_ids)})
    return {row.from_id: row.record_id for row in rows}


def situations_of_places(
    session: Session,
    establishment_ids: Sequence[str],
    record_ids: Collection[str],
    now: datetime,
    *,
    authors: Iterable[Place] = (),
    restricted_ids: Collection[str] = (),
    as_contents: bool = False,
) -> dict[Place, list[Facts]]:
    """By record and establishment, the situation there of each who could read: whoever is not among them reads no more
    than one of those who are.

    authors: (record, author) of the documents asked about. restricted_ids: from whom one of them is hidden.
    as_contents: asked is about what was deposited in these records, so the situation is that where it lies now.
    """
    written = sorted(set(authors))
    asked = {
        "record_ids": sorted(record_ids),
        "establishment_ids": list(establishment_ids),
        "author_records": [record_id for record_id, _ in written],
        "author_ids": [author_id for _, author_id in written],
        "restricted_ids": sorted(restricted_ids),
        "now": now,
        "follows": as_contents,
    }
    rows: dict[tuple[str, str, str], list[Any]] = {}
    for row in session.execute(_OF_PLACES, asked):
        rows.setdefault((row.from_id, row.place, row.professional_id), []).append(row)
    there: dict[Place, list[Facts]] = {}
    for (from_id, establishment_id, _), theirs in rows.items():
        facts = facts_of(theirs[0].record_id, theirs, claimed_profession=theirs[0].profession)
        there.setdefault((from_id, establishment_id), []).append(facts)
    return there
