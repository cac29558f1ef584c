"""The queries of legal representatives: recorded, let act, ended; a person merged into another is that other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import Record
from services.dossier.models_entourage import Representative, Sitting
from services.dossier.rules_representatives import MAJORITY
from services.dossier.store import leads_nowhere
from services.dossier.store_holders import SPEAKS

OVER: Final = "representative_over"
"""The deadline of a representation: the end that was foreseen."""

_LOCK = """
    select cast(r.patient_id as text) as patient_id, r.state,
           cast({holder} as text) as holder_id,
           cast({person} as text) as person_id
      from records r
     where r.record_id = :record_id and r.state <> 'deleted' and r.merged_into is null
       for no key update
"""
_REPRESENTS = """
    select exists (select from representatives l
                    where l.record_id = :record_id and l.ended_at is null and (l.until is null or l.until > :at)
                      and {recorded} = {person})
"""
_LOCK_FOR = sa.text(
    _LOCK.format(
        holder=SPEAKS.format(id="cast(:holder_id as uuid)"), person=SPEAKS.format(id="cast(:person_id as uuid)")
    )
)
_REPRESENTS_HERE = sa.text(
    _REPRESENTS.format(recorded=SPEAKS.format(id="l.patient_id"), person=SPEAKS.format(id="cast(:person_id as uuid)"))
)


def lock_for(session: Session, record_id: str, holder_id: str, person_id: str) -> Any | None:
    """A record held until the commit: patient_id, state, and who speaks for the two asked about (holder_id, person_id).

    None for one that is unknown, deleted or merged into another.
    """
    asked = {"record_id": record_id, "holder_id": holder_id, "person_id": person_id}
    return session.execute(_LOCK_FOR, asked).first()


def represents(session: Session, record_id: str, person_id: str, at: datetime) -> bool:
    """Whether this person, under whatever id, is a representative here whose time is not over."""
    asked = {"record_id": record_id, "person_id": person_id, "at": at}
    return bool(session.scalar(_REPRESENTS_HERE, asked))


def insert(session: Session, values: dict[str, Any]) -> str:
    """A new representative; gives the id."""
    representative_id = new_id()
    session.execute(sa.insert(Representative).values(representative_id=representative_id, **values))
    return representative_id


def of_record(session: Session, record_id: str) -> Sequence[Representative]:
    """Every representative that a record has or had, in the order in which they were recorded."""
    return session.scalars(
        sa.select(Representative)
        .where(Representative.record_id == record_id, ~Representative.taken_back)
        .order_by(Representative.since, Representative.representative_id)
    ).all()


def one(session: Session, record_id: str, representative_id: str) -> Representative | None:
    """A representative of this record."""
    return session.scalar(
        sa.select(Representative).where(
            Representative.record_id == record_id, Representative.representative_id == representative_id,
            ~Representative.taken_back,
        )
    )


def let_act(session: Session, representative_id: str, at: datetime, until: datetime) -> None:
    """From now until when the holder lets somebody act with them; until `at`: not any more. The times before stay."""
    theirs = Sitting.representative_id == representative_id
    session.execute(sa.update(Sitting).where(theirs, Sitting.until > at).values(until=at))
    if until > at:
        sitting = {"sitting_id": new_id(), "representative_id": representative_id, "since": at, "until": until}
        session.execute(sa.insert(Sitting).values(sitting))
    session.execute(
        sa.update(Representative)
        .where(Representative.representative_id == representative_id)
        .values(together_until=until)
    )


def end(session: Session, record_id: str, representative_id: str, account_id: str, at: datetime) -> str | None:
    """Ends a representation; the patient_id of who it was, None when none of this id runs here."""
    ended = (
        sa.update(Representative)
        .where(
            Representative.record_id == record_id,
            Representative.representative_id == representative_id,
            Representative.ended_at.is_(None),
            sa.or_(Representative.until.is_(None), Representative.until > at),
            leads_nowhere(record_id),
        )
        .values(ended_at=at, ended_by=account_id)
        .returning(Representative.patient_id)
    )
    return session.scalar(ended)


def end_at_majority(
    session: Session, patient_id: str, for_minors: Sequence[str], at: datetime
) -> Sequence[tuple[str, str]]:
    """Has what was to end when this holder comes of age end now, and what there is for minors alone: ids and records.

    for_minors: the kinds that there are for minors alone.
    """
    held = sa.select(Record.record_id).where(Record.patient_id == patient_id, Record.state != "deleted")
    record_ids = session.scalars(held.order_by(Record.record_id).with_for_update(key_share=True)).all()
    ended = (
        sa.update(Representative)
        .where(
            Representative.record_id.in_(record_ids),
            Representative.ended_at.is_(None),
            sa.or_(Representative.until.is_(None), Representative.until > at),
            sa.or_(Representative.until_cause == MAJORITY, Representative.kind.in_(for_minors)),
        )
        .values(until=at, until_cause=MAJORITY)
        .returning(Representative.representative_id, Representative.record_id)
    )
    return [(row.representative_id, row.record_id) for row in session.execute(ended)]


def over(session: Session, representative_id: str, at: datetime) -> Any | None:
    """A representation whose time is over, not ended before: record_id, the holder's patient_id, until, until_cause,
    and person_id.

    None too where the record was merged into another, in which it is told of, or deleted.
    """
    return session.execute(
        sa.select(
            Representative.record_id,
            Record.patient_id,
            Representative.until,
            Representative.until_cause,
            Representative.patient_id.label("person_id"),
        )
        .join(Record, Record.record_id == Representative.record_id)
        .where(
            Representative.representative_id == representative_id,
            Representative.ended_at.is_(None),
            Representative.until <= at,
            Record.merged_into.is_(None),
            Record.state != "deleted",
        )
    ).first()
