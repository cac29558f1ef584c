"""The queries of assistants: invited with a code of which only digests are kept, accepted once, ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import Record
from services.dossier.models_entourage import Assistant
from services.dossier.store import leads_nowhere
from services.dossier.store_holders import SPEAKS

OVER: Final = "assistant_over"
LAPSED: Final = "invitation_lapsed"
"""The deadlines of an assistance, which ends, and of an invitation that nobody accepted."""

MOST_CODES: Final = 4
"""How many codes of one invitation are good at a time: repeats of a request have one each."""

# What was read before the record was held is asked again: of two who come at once the second finds the code used.
_ACCEPT = """
    update assistants as mine set patient_id = :person_id, accepted_at = :at, code_digests = '{{}}'
      from records r
     where mine.assistant_id = :assistant_id and mine.code_digests @> array[cast(:digest as bytea)]
       and mine.accepted_at is null and mine.ended_at is null
       and mine.code_until > :at and (mine.until is null or mine.until > :at)
       and r.record_id = mine.record_id and r.merged_into is null and r.state = any (cast(:states as text[]))
       and r.patient_id <> {person}
       and not exists (select from assistants a where a.record_id = mine.record_id and {runs} and {mine})
    returning cast(r.patient_id as text) as patient_id, mine.until
"""
_IS_OWN = """
    select exists (select from assistants a
                    where a.assistant_id = :assistant_id and a.record_id = :record_id and {runs} and {mine})
"""
_PERSON = SPEAKS.format(id="cast(:person_id as uuid)")
_MINE = SPEAKS.format(id="a.patient_id") + " = " + _PERSON
_RUNS = "accepted_at is not null and ended_at is null and (until is null or until > :at)"
_ACCEPT_INVITATION = sa.text(_ACCEPT.format(runs=_RUNS, mine=_MINE, person=_PERSON))
_IS_OWN_ASSISTANCE = sa.text(_IS_OWN.format(runs=_RUNS, mine=_MINE))


def insert(session: Session, values: dict[str, Any]) -> Assistant:
    """A new invitation."""
    invited = Assistant(assistant_id=new_id(), **values)
    session.add(invited)
    session.flush()
    return invited


def add_code(session: Session, assistant_id: str, digest: bytes, at: datetime) -> Assistant | None:
    """One more code of an invitation that is still open, the oldest going; None when it is open no more."""
    invited = session.scalar(
        sa.select(Assistant)
        .where(
            Assistant.assistant_id == assistant_id,
            Assistant.accepted_at.is_(None),
            Assistant.ended_at.is_(None),
            Assistant.code_until > at,
        )
        .with_for_update()
    )
    if invited is not None:
        invited.code_digests = [*invited.code_digests, digest][-MOST_CODES:]
    return invited


def invited_with(session: Session, digest: bytes) -> Any | None:
    """assistant_id and record_id of the invitation with this code."""
    return session.execute(
        sa.select(Assistant.assistant_id, Assistant.record_id).where(Assistant.code_digests.contains([digest]))
    ).first()


def accept(
    session: Session, assistant_id: str, digest: bytes, person_id: str, states: Collection[str], at: datetime
) -> Any | None:
    """Makes somebody the assistant they were invited to be: the holder's patient_id and until when; None when not.

    states: of the record, in which that can be. The caller holds the record.
    """
    asked = {"assistant_id": assistant_id, "digest": digest, "person_id": person_id, "states": list(states), "at": at}
    return session.execute(_ACCEPT_INVITATION, asked).first()


def of_record(session: Session, record_id: str, most: int) -> Sequence[Assistant]:
    """Those invited in a record, whatever became of it, the newest first."""
    return session.scalars(
        sa.select(Assistant).where(Assistant.record_id == record_id, ~Assistant.taken_back)
        .order_by(Assistant.invited_at.desc(), Assistant.assistant_id.desc()).limit(most)
    ).all()  # fmt: skip


def is_own(session: Session, record_id: str, assistant_id: str, person_id: str, at: datetime) -> bool:
    """Whether this is the person's own assistance, and runs."""
    asked = {"record_id": record_id, "assistant_id": assistant_id, "person_id": person_id, "at": at}
    return bool(session.scalar(_IS_OWN_ASSISTANCE, asked))


def end(session: Session, record_id: str, assistant_id: str, account_id: str, at: datetime) -> Any | None:
    """Ends an invitation or an assistance; accepted_at and patient_id of what it was, None where nothing is to end."""
    ended = (
        sa.update(Assistant)
        .where(
            Assistant.record_id == record_id,
            Assistant.assistant_id == assistant_id,
            Assistant.ended_at.is_(None),
            sa.or_(Assistant.until.is_(None), Assistant.until > at),
            leads_nowhere(record_id),
        )
        .values(ended_at=at, ended_by=account_id, code_digests=[])
        .returning(Assistant.accepted_at, Assistant.patient_id)
    )
    return session.execute(ended).first()


def over(session: Session, assistant_id: str, at: datetime) -> Any | None:
    """An assistance whose time is over, not ended before: record_id, the holder's patient_id, until, person_id.

    None too where the record was merged into another, in which it is told of, or deleted.
    """
    return session.execute(
        sa.select(Assistant.record_id, Record.patient_id, Assistant.until, Assistant.patient_id.label("person_id"))
        .join(Record, Record.record_id == Assistant.record_id)
        .where(
            Assistant.assistant_id == assistant_id,
            Assistant.accepted_at.is_not(None),
            Assistant.ended_at.is_(None),
            Assistant.until <= at,
            Record.merged_into.is_(None),
            Record.state != "deleted",
        )
    ).first()


def forget_codes(session: Session, assistant_id: str, at: datetime) -> None:
    """Forgets the codes of an invitation whose time is over."""
    lapsed = (Assistant.assistant_id == assistant_id) & (Assistant.code_until <= at)
    session.execute(sa.update(Assistant).where(lapsed).values(code_digests=[]))
