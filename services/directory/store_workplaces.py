"""Every query of where professionals work: beginning, ending, and who works at an establishment."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.models import Establishment, Professional, Workplace


def running(session: Session, professional_id: str) -> list[str]:
    """Returns the ids of the establishments where a professional works now, in order."""
    return list(
        session.scalars(
            sa.select(Workplace.establishment_id)
            .where(Workplace.professional_id == professional_id, Workplace.until.is_(None))
            .order_by(Workplace.establishment_id)
        )
    )


def attached(session: Session, professional_id: str, establishment_id: str) -> bool | None:
    """Returns whether a professional is attached to the emergency service there; None where they do not work."""
    return session.scalar(
        sa.select(Workplace.emergency)
        .where(Workplace.professional_id == professional_id, Workplace.establishment_id == establishment_id,
               Workplace.until.is_(None))
    )  # fmt: skip


def establishments_of(session: Session, professional_id: str) -> Sequence[Establishment]:
    """Returns the establishments where a professional works now, by name."""
    return session.scalars(
        sa.select(Establishment)
        .join(Workplace, Workplace.establishment_id == Establishment.establishment_id)
        .where(Workplace.professional_id == professional_id, Workplace.until.is_(None))
        .order_by(Establishment.name, Establishment.establishment_id)
    ).all()


def start(
    session: Session, professional_id: str, establishment_ids: Iterable[str], at: datetime, *, emergency: bool = False
) -> None:
    """Notes that a held professional begins to work at these establishments, where they do not work yet.

    emergency: attached to the emergency service there.
    """
    rows = [
        {"professional_id": professional_id, "establishment_id": each, "since": at, "emergency": emergency}
        for each in sorted(establishment_ids)
    ]
    if rows:
        session.execute(sa.insert(Workplace), rows)


def end(session: Session, professional_id: str, establishment_ids: Iterable[str], at: datetime) -> None:
    """Notes that a held professional works at these establishments no more."""
    left = list(establishment_ids)
    if left:
        session.execute(
            sa.update(Workplace).values(until=at)
            .where(Workplace.professional_id == professional_id, Workplace.until.is_(None),
                   Workplace.establishment_id.in_(left))
        )  # fmt: skip


def lock_everybody_at(session: Session, establishment_id: str) -> list[str]:
    """Returns who works at an establishment now, held in the order of their ids: two closings do not wait crosswise."""
    working = sa.select(Workplace.professional_id).where(
        Workplace.establishment_id == establishment_id, Workplace.until.is_(None)
    )
    return list(
        session.scalars(
            sa.select(Professional.professional_id)
            .where(Professional.professional_id.in_(working))
            .order_by(Professional.professional_id)
            .with_for_update()
        )
    )


def end_everybody_at(session: Session, establishment_id: str, at: datetime) -> list[str]:
    """Ends the work of those held at an establishment, a new version of each; returns who they were."""
    left = list(
        session.scalars(
            sa.update(Workplace).values(until=sa.func.greatest(at, Workplace.since))
            .where(Workplace.establishment_id == establishment_id, Workplace.until.is_(None))
            .returning(Workplace.professional_id)
        )
    )  # fmt: skip
    if left:
        session.execute(
            sa.update(Professional)
            .values(version=Professional.version + 1, updated_at=sa.func.greatest(at, Professional.updated_at))
            .where(Professional.professional_id.in_(left))
            .execution_options(synchronize_session=False)
        )
    return left
