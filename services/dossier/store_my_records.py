"""The query of every record that a person has something to do with: their own, and those of others they stand by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.store_holders import SPEAKS

# A person is known under the id that speaks for them and under every one that was merged into it.
_MY_RECORDS = """
    with me as (select {speaks} as patient_id),
         known_as as (select patient_id from me
                      union select m.merged_id from patient_merges m join me on m.speaks_id = me.patient_id
                       where m.state = 'running'),
         grounds as (
           select r.record_id, 0 as rank, 'holder' as ground, cast(null as uuid) as grant_id,
                  cast(null as timestamptz) as until
             from records r join me on r.patient_id = me.patient_id
            where r.state <> 'deleted' and r.merged_into is null
           union all
           select l.record_id, 1, 'legal_representative', l.representative_id,
                  case when l.kind = any (cast(:acting_alone as text[])) then l.until
                       else least(l.until, l.together_until) end
             from representatives l
            where l.patient_id in (select patient_id from known_as) and l.ended_at is null and l.since <= :at
              and (l.until is null or l.until > :at)
              and (l.kind = any (cast(:acting_alone as text[])) or l.together_until > :at)
           union all
           select a.record_id, 2, 'assistant', a.assistant_id, a.until
             from assistants a
            where a.patient_id in (select patient_id from known_as) and a.ended_at is null and a.accepted_at <= :at
              and (a.until is null or a.until > :at))
    select * from (
        select distinct on (r.record_id) cast(r.record_id as text) as record_id,
               cast(r.patient_id as text) as patient_id, r.state, r.since, g.rank, g.ground,
               cast(g.grant_id as text) as grant_id, g.until
          from grounds g join records r on r.record_id = g.record_id
         where r.merged_into is null and r.state = any (
               case when g.ground = 'assistant' then cast(:shown_to_assistants as text[])
                    else cast(:shown_to_holder_side as text[]) end)
         order by r.record_id, g.rank, g.until desc nulls first) as mine
     order by rank, record_id
"""
_MY_RECORDS_NOW = sa.text(_MY_RECORDS.format(speaks=SPEAKS.format(id="cast(:patient_id as uuid)")))


def my_records(
    session: Session,
    patient_id: str,
    acting_alone: Collection[str],
    shown_to_holder_side: Collection[str],
    shown_to_assistants: Collection[str],
    at: datetime,
) -> Sequence[Any]:
    """Each record once, by its strongest ground: record_id, patient_id, state, since, ground, grant_id, until.

    acting_alone: the kinds of representatives who need nobody beside them. shown_to_...: the states of a record in
    which they see anything of it.
    """
    asked = {
        "patient_id": patient_id, "acting_alone": list(acting_alone), "at": at,
        "shown_to_holder_side": list(shown_to_holder_side), "shown_to_assistants": list(shown_to_assistants),
    }  # fmt: skip
    return session.execute(_MY_RECORDS_NOW, asked).all()
