"""The queries of the privacy officer's reviews and of their statistics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.contract import OWN_ACCESSES
from services.dossier.models import Mandate
from services.dossier.models_desk import Review
from services.dossier.rules_reviews import Period, Place, Queue

_SHOWN = sa.select(
    *(column for column in Review.__table__.columns if column.name != "record_id"),
    Review.record_id, Mandate.read_until, Mandate.ended_at, Mandate.opened_by, Mandate.reason_category, Mandate.reason,
).join(Mandate, Mandate.mandate_id == Review.mandate_id)  # fmt: skip


def insert_review(session: Session, mandate: Any, record_id: str, at: datetime) -> None:
    """Puts an access up for review; the mandate is written in the same transaction."""
    session.execute(
        sa.insert(Review).values(
            review_id=new_id(), record_id=record_id, mandate_id=mandate.mandate_id, kind=mandate.kind,
            professional_id=mandate.professional_id, establishment_id=mandate.establishment_id,
            opened_at=at, state="waiting",
        )
    )  # fmt: skip


def reviews(session: Session, queue: Queue) -> Sequence[Any]:
    """One more than the limit, if there are so many: those opened longest ago first."""
    query = _SHOWN
    if queue.state is not None:
        query = query.where(Review.state == queue.state)
    if queue.kind is not None:
        query = query.where(Review.kind == queue.kind)
    if queue.mandate_id is not None:
        query = query.where(Review.mandate_id == queue.mandate_id)
    if queue.after is not None:
        last = sa.select(Review.opened_at, Review.review_id).where(Review.review_id == queue.after)
        query = query.where(sa.tuple_(Review.opened_at, Review.review_id) > last.scalar_subquery())
    return session.execute(query.order_by(Review.opened_at, Review.review_id).limit(queue.limit + 1)).all()


def review(session: Session, review_id: str, *, held: bool = False) -> Any | None:
    """One review, with what its mandate says; held: against every other change of it."""
    query = _SHOWN.where(Review.review_id == review_id)
    return session.execute(query.with_for_update(of=Review) if held else query).first()


def change(session: Session, review_id: str, **values: Any) -> None:
    """Writes what an officer did with a held review: a new version."""
    session.execute(
        sa.update(Review).where(Review.review_id == review_id).values(version=Review.version + 1, **values)
    )  # fmt: skip


# A copy of a mandate in the record that another was merged into, or a copy of that copy, has the review of the first.
_OF_MANDATES = sa.text(
    """
    with recursive way (mandate_id, original_id, copied_from) as (
        select m.mandate_id, m.mandate_id, m.copied_from from mandates m
         where m.record_id = :record_id and m.kind = any (cast(:kinds as text[]))
        union all
        select way.mandate_id, m.mandate_id, m.copied_from
          from way join mandates m on m.mandate_id = way.copied_from
    )
    select cast(m.mandate_id as text) as mandate_id, m.reason_category, m.reason,
           case when r.state = 'settled' then r.verdict else 'waiting' end as verdict, r.settled_at
      from mandates m
      join way on way.mandate_id = m.mandate_id
      join reviews r on r.mandate_id = way.original_id
    """
)


def of_mandates(session: Session, record_id: str) -> dict[str, Any]:
    """What was stated for each access on a professional's own word in a record, and how it was reviewed; by mandate."""
    found = session.execute(_OF_MANDATES, {"record_id": record_id, "kinds": list(OWN_ACCESSES)})
    return {row.mandate_id: row for row in found}


# Normal: mandates of their own that somebody gave, and first accesses by a ground that is no mandate of their own, as
# those are counted already. What a merge copied happened once.
_COUNTED = sa.text(
    """
    with reviewed as (
        select professional_id,
               count(*) filter (where kind = 'emergency') as emergency,
               count(*) filter (where kind = 'emergency' and verdict = 'justified') as emergency_justified,
               count(*) filter (where kind = 'emergency' and verdict = 'not_justified') as emergency_not_justified,
               count(*) filter (where kind = 'responsibility') as responsibility,
               count(*) filter (where kind = 'responsibility' and verdict = 'justified') as responsibility_justified,
               count(*) filter (where kind = 'responsibility' and verdict = 'not_justified')
                   as responsibility_not_justified
          from reviews
         where opened_at >= :since and opened_at < :until
         group by professional_id
    ), page as (
        select * from reviewed
         where cast(:emergencies as bigint) is null
            or (emergency, professional_id) < (:emergencies, cast(:professional_id as uuid))
         order by emergency desc, professional_id desc
         limit :most
    ), mandated as (
        select professional_id, count(*) as number from mandates
         where professional_id in (select professional_id from page) and not kind = any (cast(:kinds as text[]))
           and starts_at >= :since and starts_at < :until and copied_from is null
         group by professional_id
    ), accessed as (
        select professional_id, count(*) as number from first_accesses
         where professional_id in (select professional_id from page) and not ground = any (cast(:own as text[]))
           and at >= :since and at < :until and copied_from is null
         group by professional_id
    )
    select cast(page.professional_id as text) as professional_id,
           coalesce(mandated.number, 0) + coalesce(accessed.number, 0) as normal,
           emergency, emergency_justified, emergency_not_justified,
           responsibility, responsibility_justified, responsibility_not_justified
      from page
      left join mandated using (professional_id)
      left join accessed using (professional_id)
     order by emergency desc, page.professional_id desc
    """
)


def statistics(
    session: Session, period: Period, own_mandates: Sequence[str], after: Place | None, limit: int
) -> Sequence[Any]:
    """How often each professional who came on their own word did so, and how often by a ground somebody gave them.

    own_mandates: the kinds of mandates that are one professional's. One more than the limit, if there are so many.
    """
    asked = {
        "since": period.since, "until": period.until, "kinds": list(OWN_ACCESSES), "own": list(own_mandates),
        "most": limit + 1, "emergencies": after and after.emergencies,
        "professional_id": after and after.professional_id,
    }  # fmt: skip
    return session.execute(_COUNTED, asked).all()
