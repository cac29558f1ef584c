"""The queries of access on a professional's own word, and of the tries of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import Mandate, Professional
from services.dossier.models_desk import AccessTry
from services.dossier.store import leads_nowhere

_LOCK_TRIES = sa.text("select pg_advisory_xact_lock(hashtextextended('access_tries' || :professional_id, 0))")

# As with presence codes: what opens forgives the tries of that record alone, and tries put off count on theirs alone.
_TRIES = sa.text(
    """
    with mine as (select record_id, at, outcome from access_tries
                   where professional_id = :professional_id and kind = :kind and at > :after),
         here as (select at from mine where record_id = :record_id and outcome <> 'opened'
                     and at > coalesce((select max(at) from mine where record_id = :record_id and outcome = 'opened'),
                                       :after)),
         everywhere as (select at from mine where outcome = any (cast(:counted as text[])))
    select (select count(*) from here), (select max(at) from here),
           (select count(*) from everywhere), (select max(at) from everywhere)
    """
)


def is_attached(session: Session, professional_id: str, establishment_id: str | None) -> bool:
    """Whether a professional is attached to the emergency service of this workplace."""
    theirs = sa.select(sa.literal(1)).where(
        Professional.professional_id == professional_id,
        Professional.emergency_establishment_ids.any(establishment_id),
    )
    return establishment_id is not None and session.execute(theirs).first() is not None


def lock_tries(session: Session, professional_id: str) -> None:
    """Makes this professional's tries take turns, so that none is missed when they are counted."""
    session.execute(_LOCK_TRIES, {"professional_id": professional_id})


def tries(
    session: Session, kind: str, professional_id: str, record_id: str, after: datetime, counted: Sequence[str]
) -> tuple[tuple[int, datetime | None], tuple[int, datetime | None]]:
    """Tries after a moment, and the last one: those that opened nothing on this record; the counted ones on all."""
    asked = {"kind": kind, "professional_id": professional_id, "record_id": record_id, "after": after}
    found = session.execute(_TRIES, {**asked, "counted": list(counted)}).one()
    return (found[0], found[1]), (found[2], found[3])


def insert_try(
    session: Session, kind: str, professional_id: str, record_id: str, outcome: str, at: datetime
) -> None:  # fmt: skip
    """Notes a try and what became of it."""
    session.execute(
        sa.insert(AccessTry).values(
            try_id=new_id(), kind=kind, professional_id=professional_id, record_id=record_id, outcome=outcome, at=at
        )
    )


def forget_tries(session: Session, before: datetime) -> None:
    """Drops the tries that no throttle looks at any more."""
    session.execute(sa.delete(AccessTry).where(AccessTry.at <= before))


def end_own(
    session: Session, record_id: str, professional_id: str, kind: str, by: str, at: datetime
) -> Any | None:  # fmt: skip
    """Ends the access of this kind that a professional has in a record, by their own account; None when none runs."""
    ended = (
        sa.update(Mandate)
        .where(
            Mandate.record_id == record_id,
            Mandate.professional_id == professional_id,
            Mandate.kind == kind,
            Mandate.ended_at.is_(None),
            Mandate.read_until > at,
            leads_nowhere(record_id),
        )
        .values(ended_at=sa.func.greatest(Mandate.starts_at, at), ended_by=by)
        .returning(Mandate.mandate_id)
    )
    return session.execute(ended).first()
