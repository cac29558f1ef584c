"""The queries of records and of a caller's situation in one; the one behind all decisions fetches it all at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.contract import NOBODY
from services.dossier.models import FirstAccess, Record, StateChange
from services.dossier.rules import Facts, Grant
from services.dossier.store_holders import situation_of_holder
from services.plans import named, planned_once
from services.tokens import Caller

# --- the situation of a caller ------------------------------------------------------------------------------

# Only the grants of the professional asked about are touched: a record with many costs what one with few does. What
# serves an establishment serves those of its professionals who are there now (establishment_id of the one asked about),
# or, of somebody who is not calling, whoever works there (null).
SITUATION = """
    select cast(asked.professional_id as text) as professional_id, cast(asked.establishment_id as text) as place,
           cast(r.record_id as text) as record_id,
           cast(r.patient_id as text) as patient_id, r.state, r.record_number, r.emergency, r.responsibility,
           r.autonomous_minor, r.default_levels, r.last_access_on, p.profession, p.licence,
           exists (select from blocklist b
                    where b.record_id = asked.record_id and b.professional_id = asked.professional_id
                      and b.since <= :now and (b.until is null or b.until > :now)) as blocked,
           f.last_at, g.ground, g.since, g.read_until, g.deposit_until
      from ({asked}) as asked
      left join records r on r.record_id = asked.record_id
      left join professionals p on p.professional_id = asked.professional_id
      left join first_accesses f on f.record_id = asked.record_id and f.professional_id = asked.professional_id
      left join lateral (
           select 'circle' as ground, c.since, c.ends_at as read_until, c.ends_at as deposit_until
             from circle_members c
            where c.record_id = asked.record_id and c.professional_id = asked.professional_id
              and c.until is null
           union all
           select m.kind, m.starts_at, m.read_until, m.deposit_until
             from mandates m
            where m.record_id = asked.record_id and m.professional_id = asked.professional_id
              and m.ended_at is null and m.deposit_until > :now
           union all
           select m.kind, m.starts_at, m.read_until, m.deposit_until
             from mandates m
            where m.record_id = asked.record_id and m.professional_id is null
              and m.establishment_id = any (p.establishment_ids)
              and (asked.establishment_id is null or m.establishment_id = asked.establishment_id)
              and m.ended_at is null and m.deposit_until > :now
           union all
           select 'referring_physician', d.since, d.until, d.until
             from referring_grants d
            where d.record_id = asked.record_id and d.professional_id = asked.professional_id
              and d.since <= :now and (d.until is null or d.until > :now)
      ) as g on true
"""
SITUATED = (
    "professional_id place record_id patient_id state record_number emergency responsibility autonomous_minor"
    " default_levels last_access_on profession licence blocked last_at ground since read_until deposit_until"
)

_OF_ONE = planned_once(
    sa.text(
        SITUATION.format(
            asked="select :record_id as record_id, :professional_id as professional_id,"
            " :establishment_id as establishment_id"
        )
    ).columns(*named(SITUATED)),
    record_id="uuid", professional_id="uuid", now="timestamptz", establishment_id="uuid",
)  # fmt: skip


def situation(session: Session, caller: Caller, record_id: str, now: datetime) -> Facts:
    """Everything a decision about this caller and this record needs, in one statement."""
    if caller.capacity != "professional":
        return situation_of_holder(session, caller, record_id)
    asked = {
        "record_id": record_id,
        "professional_id": caller.professional_id,
        "now": now,
        "establishment_id": caller.establishment_id or NOBODY,
    }
    rows = session.execute(_OF_ONE, asked).all()
    return facts_of(record_id, rows, claimed_profession=caller.profession)


def facts_of(record_id: str, rows: Sequence[Any], claimed_profession: str | None) -> Facts:
    """The situation that these rows of SITUATION tell, one for each grant."""
    first = rows[0]
    return Facts(
        record_id=record_id,
        patient_id=first.patient_id,
        state=first.state,
        capacity="professional",
        professional_id=first.professional_id,
        profession=first.profession,
        claimed_profession=claimed_profession,
        licence=first.licence,
        blocked=first.blocked,
        accessed_before=first.last_at is not None,
        grants=tuple(
            Grant(row.ground, row.since, row.read_until, row.deposit_until) for row in rows if row.ground is not None
        ),
        settings=settings_of(first),
        default_levels=first.default_levels or {},
        accessed_on=first.last_access_on,
        seen_at=first.last_at,
    )


_SETTINGS = ("emergency", "responsibility", "autonomous_minor")


def settings_of(row: Any) -> dict[str, str]:
    """The settings that decisions ask for, of a row that holds the record's; none where there is no record."""
    return {name: getattr(row, name) for name in _SETTINGS if getattr(row, name) is not None}


def insert_first_access(
    session: Session, record_id: str, professional_id: str, ground: str, at: datetime
) -> bool | None:
    """Notes that this professional has a ground in this record; None when it was noted before.

    Else whether nobody was noted in it before them. Of two who come at once, each may be the first.
    """
    row = insert(FirstAccess).values(
        record_id=record_id, professional_id=professional_id, ground=ground, at=at, last_at=at
    )
    others = sa.alias(FirstAccess.__table__)
    first = ~sa.exists().where(others.c.record_id == record_id, others.c.professional_id != professional_id)
    return session.scalar(row.on_conflict_do_nothing().returning(first))


def note_access(session: Session, record_id: str, on: date) -> None:
    """Notes the day on which somebody was let in."""
    older = sa.or_(Record.last_access_on.is_(None), Record.last_access_on < on)
    session.execute(sa.update(Record).where(Record.record_id == record_id, older).values(last_access_on=on))


def note_seen(session: Session, record_id: str, professional_id: str, at: datetime) -> None:
    """Notes that a professional came again."""
    theirs = (FirstAccess.record_id == record_id) & (FirstAccess.professional_id == professional_id)
    session.execute(sa.update(FirstAccess).where(theirs, FirstAccess.last_at < at).values(last_at=at))


# --- records ------------------------------------------------------------------------------------------------


def insert_record(session: Session, patient_id: str, state: str, at: datetime) -> str | None:
    """A new record of this patient; None when there is one already."""
    row = insert(Record).values(record_id=new_id(), patient_id=patient_id, state=state, since=at)
    return session.scalar(row.on_conflict_do_nothing().returning(Record.record_id))


def record(session: Session, record_id: str) -> Any | None:
    """patient_id and state of a record."""
    return session.execute(sa.select(Record.patient_id, Record.state).where(Record.record_id == record_id)).first()


def record_for_institution(session: Session, record_id: str) -> Any | None:
    """patient_id, state and default levels of a record."""
    asked = sa.select(Record.patient_id, Record.state, Record.default_levels).where(Record.record_id == record_id)
    return session.execute(asked).first()


def record_for_correspondence(session: Session, record_id: str) -> Any | None:
    """state and autonomous_minor of a record."""
    return session.execute(
        sa.select(Record.state, Record.autonomous_minor).where(Record.record_id == record_id)
    ).first()


def lock_record(session: Session, record_id: str) -> None:
    """Makes every other change of this record's grants wait for this transaction."""
    session.execute(sa.select(Record.state).where(Record.record_id == record_id).with_for_update(key_share=True))


def change_state(session: Session, record_id: str, state: str, at: datetime) -> None:
    """Brings a record into another state; the caller also inserts the line of its history."""
    session.execute(sa.update(Record).where(Record.record_id == record_id).values(state=state, since=at))


def insert_state_change(
    session: Session,
    record_id: str,
    *,
    previous: str | None,
    state: str,
    cause: str,
    account_id: str | None,
    at: datetime,
    capacity: str = "platform",
) -> None:
    """One line of the state history; capacity: as whom the step was taken."""
    session.execute(
        sa.insert(StateChange).values(
            change_id=new_id(),
            record_id=record_id,
            at=at,
            previous=previous,
            state=state,
            cause=cause,
            account_id=account_id,
            capacity=capacity,
        )
    )


def leads_nowhere(record_id: Any) -> sa.Exists:
    """That the record was not merged in between: what ran in it then runs in the surviving one, to be ended there."""
    return sa.exists().where(Record.record_id == record_id, Record.merged_into.is_(None))
