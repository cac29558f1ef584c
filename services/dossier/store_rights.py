"""The queries of the rights granted in a record, and of what the directory says of somebody who asks for access."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.rules import Facts, Grant
from services.dossier.store import settings_of

# What has ended by the clock or by somebody's will is left out here; what gives nothing for another reason, as a lost
# licence, the rules leave out.
_GIVEN = sa.text(
    """
    select g.*, cast(r.patient_id as text) as holder_id, r.state, r.emergency, r.responsibility, r.autonomous_minor,
           p.profession, p.licence,
           exists (select from blocklist b
                    where b.record_id = r.record_id and b.professional_id = g.professional_id
                      and b.since <= :now and (b.until is null or b.until > :now)) as blocked
      from records r
      join lateral (
           select 'holder' as ground, cast(null as uuid) as grant_id, cast(null as uuid) as professional_id,
                  r.patient_id, cast(null as uuid) as establishment_id, r.since,
                  cast(null as timestamptz) as read_until, cast(null as timestamptz) as deposit_until,
                  cast(null as text) as kind, cast(null as timestamptz) as together_until
           union all
           select 'legal_representative', l.representative_id, null, l.patient_id, null, l.since, l.until, l.until,
                  l.kind, l.together_until
             from representatives l
            where l.record_id = r.record_id and l.ended_at is null and (l.until is null or l.until > :now)
           union all
           select 'assistant', a.assistant_id, null, a.patient_id, null, a.accepted_at, a.until, a.until, null, null
             from assistants a
            where a.record_id = r.record_id and a.accepted_at is not null and a.ended_at is null
              and (a.until is null or a.until > :now)
           union all
           select 'referring_physician', d.designation_id, d.professional_id, null, null, d.since, d.until, d.until,
                  null, null
             from referring_grants d
            where d.record_id = r.record_id and d.since <= :now and (d.until is null or d.until > :now)
           union all
           select 'circle', c.member_id, c.professional_id, null, null, c.since, c.ends_at, c.ends_at, null, null
             from circle_members c
            where c.record_id = r.record_id and c.until is null and (c.ends_at is null or c.ends_at > :now)
           union all
           select m.kind, m.mandate_id, m.professional_id, null,
                  case when m.professional_id is null then m.establishment_id end, m.starts_at, m.read_until,
                  m.deposit_until, null, null
             from mandates m
            where m.record_id = r.record_id and m.ended_at is null and m.deposit_until > :now
      ) as g on true
      left join professionals p on p.professional_id = g.professional_id
     where r.record_id = :record_id
     order by g.since desc, g.grant_id
    """
)
_ASKING = sa.text(
    """
    select p.profession, p.licence, cast(:establishment_id as uuid) = any (p.emergency_establishment_ids) as attached
      from (select cast(:professional_id as uuid) as professional_id) as asked
      left join professionals p using (professional_id)
    """
)


@dataclass(frozen=True)
class Given:
    """A ground that runs by the clock: its id, whose it is, and the situation of that one under it alone.

    facts: None for what serves an establishment.
    """

    grant: Grant
    grant_id: str | None
    professional_id: str | None
    patient_id: str | None
    facts: Facts | None


def given(session: Session, record_id: str, at: datetime) -> Iterator[Given]:
    """Every ground that runs in a record by the clock, the latest given first."""
    for row in session.execute(_GIVEN, {"record_id": record_id, "now": at}):
        grant = Grant(
            row.ground, row.since, row.read_until, row.deposit_until, row.kind, row.together_until,
            _text(row.establishment_id),
        )  # fmt: skip
        facts = None if row.establishment_id is not None else _facts(record_id, row, grant)
        yield Given(grant, _text(row.grant_id), _text(row.professional_id), _text(row.patient_id), facts)


def asking(session: Session, professional_id: str, establishment_id: str | None) -> Any:
    """Profession and licence of a professional, and whether they are attached to the emergency service here."""
    return session.execute(_ASKING, {"professional_id": professional_id, "establishment_id": establishment_id}).one()


def _facts(record_id: str, row: Any, grant: Grant) -> Facts:
    person = row.patient_id is not None
    return Facts(
        record_id=record_id,
        patient_id=row.holder_id,
        state=row.state,
        capacity="patient" if person else "professional",
        own_patient_id=_text(row.patient_id),
        professional_id=_text(row.professional_id),
        profession=row.profession,
        claimed_profession=row.profession,
        licence=row.licence,
        blocked=row.blocked,
        grants=() if grant.ground == "holder" else (grant,),
        settings=settings_of(row),
    )


def _text(id_: Any) -> str | None:
    return None if id_ is None else str(id_)
