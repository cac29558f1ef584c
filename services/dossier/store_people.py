"""The queries of those who stand on the holder side of a record, and of whose records there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier import contract
from services.dossier.models import Record

# After a death that nobody has withdrawn there is no holder side any more: only the agency acts.
_PEOPLE = sa.text(
    """
    with living as (
        select record_id, cast(patient_id as text) as patient_id from records r
         where record_id = :record_id and not exists (
               select from state_changes d
                where d.record_id = r.record_id and d.cause = 'death'
                  and not exists (select from state_changes w
                                   where w.record_id = d.record_id and w.at > d.at
                                     and (w.cause = 'death_withdrawn' or w.state not in ('closed', 'deleted'))))
    )
    select 'holder' as role, patient_id from living
    union all
    select 'representatives', cast(l.patient_id as text)
      from living join representatives l on l.record_id = living.record_id
     where l.since <= :at and l.ended_at is null and (l.until is null or l.until > :at)
       and (l.kind = any (cast(:acting_alone as text[])) or l.together_until > :at)
    union all
    select 'assistants', cast(a.patient_id as text)
      from living join assistants a on a.record_id = living.record_id
     where a.accepted_at <= :at and a.ended_at is null and (a.until is null or a.until > :at)
     order by role, patient_id
    """
)


def people_of(session: Session, record_id: str, acting_alone: Collection[str], at: datetime) -> contract.RecordPeople:
    """The holder of a record and whoever acts or reads as them at this moment; nobody if it is unknown, or they died.

    acting_alone: the kinds of representatives who need nobody beside them.
    """
    asked = {"record_id": record_id, "acting_alone": list(acting_alone), "at": at}
    found = session.execute(_PEOPLE, asked).all()

    def those(role: str) -> list[str]:
        return list(dict.fromkeys(row.patient_id for row in found if row.role == role))

    holder = those("holder")
    return {
        "holder": holder[0] if holder else None,
        "representatives": those("representatives"),
        "assistants": those("assistants"),
    }


def holders(session: Session, after: str | None, limit: int) -> Sequence[Any]:
    """The records that are neither closed nor deleted after one, in the order of their ids, and whose they are."""
    query = sa.select(Record.record_id, Record.patient_id).where(Record.state.in_(["open", "open_by_lapse", "active"]))
    query = query.order_by(Record.record_id).limit(limit)
    return session.execute(query if after is None else query.where(Record.record_id > after)).all()


def holders_of(session: Session, record_ids: Collection[str]) -> dict[str, str]:
    """Whose each of these records is; nothing of one that does not exist."""
    found = sa.select(Record.record_id, Record.patient_id).where(Record.record_id.in_(record_ids))
    return {row.record_id: row.patient_id for row in session.execute(found)}
