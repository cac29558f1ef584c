"""The queries of presence codes and of the tries of them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import PresenceCode, PresenceTry


def put_presence_code(session: Session, record_id: str, letter_id: str, hash_: str, at: datetime) -> None:
    """The code of a letter; the same letter again replaces it and keeps its place among the letters."""
    row = insert(PresenceCode).values(
        code_id=new_id(), record_id=record_id, letter_id=letter_id, hash=hash_, issued_at=at
    )
    session.execute(
        row.on_conflict_do_update(constraint="uq_presence_codes_letter", set_={"code_id": new_id(), "hash": hash_})
    )


def insert_presence_code(session: Session, record_id: str, hash_: str, at: datetime) -> None:
    """A code that its holder made: of no letter, so under an id that none has."""
    put_presence_code(session, record_id, new_id(), hash_, at)


def presence_code_since(session: Session, record_id: str) -> datetime | None:
    """Since when there is the code that counts; None where there is none."""
    return session.scalar(sa.select(sa.func.max(PresenceCode.issued_at)).where(PresenceCode.record_id == record_id))


def current_presence_code(session: Session, record_id: str) -> tuple[str | None, str | None]:
    """Id and hash of the code issued last; (None, None) when there is none."""
    newest = (
        sa.select(PresenceCode.code_id, PresenceCode.hash)
        .where(PresenceCode.record_id == record_id)
        .order_by(PresenceCode.issued_at.desc(), PresenceCode.code_id.desc())
        .limit(1)
    )
    found = session.execute(newest).first()
    return (found.code_id, found.hash) if found else (None, None)


_LOCK_TRIES = sa.text("select pg_advisory_xact_lock(hashtextextended('presence_tries' || :professional_id, 0))")

# A right code forgives what was tried on that record before it, and nothing else: otherwise a known code of one
# patient would buy guesses on others. Tries put off count on their own record alone, so that hammering on one
# closes no other.
_TRIES = sa.text(
    """
    with mine as (select record_id, at, outcome from presence_tries
                   where professional_id = :professional_id and at > :after),
         forgiven as (select max(at) as at from mine where record_id = :record_id and outcome = 'right'),
         here as (select at from mine where record_id = :record_id and outcome <> 'right'
                     and at > coalesce((select at from forgiven), :after)),
         everywhere as (select at from mine where outcome in ('looked_at', 'wrong'))
    select (select count(*) from here), (select max(at) from here),
           (select count(*) from everywhere), (select max(at) from everywhere)
    """
)


def lock_tries(session: Session, professional_id: str) -> None:
    """Makes this professional's tries take turns, so that none is missed when they are counted."""
    session.execute(_LOCK_TRIES, {"professional_id": professional_id})


def tries(
    session: Session, professional_id: str, record_id: str, after: datetime
) -> tuple[tuple[int, datetime | None], tuple[int, datetime | None]]:
    """Failed tries after a moment, and the last one: on this record, and on all of them."""
    found = session.execute(_TRIES, {"professional_id": professional_id, "record_id": record_id, "after": after}).one()
    return (found[0], found[1]), (found[2], found[3])


def insert_try(session: Session, professional_id: str, record_id: str, outcome: str, at: datetime) -> str:
    """Notes a try before the code is looked at."""
    try_id = new_id()
    session.execute(
        sa.insert(PresenceTry).values(
            try_id=try_id, professional_id=professional_id, record_id=record_id, at=at, outcome=outcome
        )
    )
    return try_id


def settle_try(session: Session, try_id: str, outcome: str) -> None:
    """What became of a try."""
    session.execute(sa.update(PresenceTry).where(PresenceTry.try_id == try_id).values(outcome=outcome))


def forget_tries(session: Session, before: datetime) -> None:
    """Drops the tries that no throttle looks at any more."""
    session.execute(sa.delete(PresenceTry).where(PresenceTry.at <= before))
