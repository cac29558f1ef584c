"""Every query of licences over time: what was noted, and whose licence changes by itself now."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory import rules_professionals as rules
from services.directory.models import Licence, Professional
from services.directory.store_professionals import new_version


def noted(session: Session, professional_ids: Sequence[str]) -> dict[str, list[rules.Licence]]:
    """Returns all that was noted of the licences of these professionals, in the order of beginning and of noting."""
    rows = session.execute(
        sa.select(Licence.professional_id, Licence.state, Licence.since, Licence.until)
        .where(Licence.professional_id.in_(professional_ids))
        .order_by(Licence.professional_id, Licence.since, Licence.noted_at)
    )
    found: dict[str, list[rules.Licence]] = {each: [] for each in professional_ids}
    for row in rows:
        found[row.professional_id].append(rules.Licence(row.state, row.since, row.until))
    return found


def note(session: Session, professional_id: str, licence: rules.Licence, by: str | None, at: datetime) -> None:
    """Adds to what is noted of a held professional's licence; nothing noted before is touched."""
    session.execute(
        sa.insert(Licence).values(
            professional_id=professional_id, since=licence.since, noted_at=at, state=licence.state,
            until=licence.until, noted_by=by,
        )
    )  # fmt: skip


def set_state(professional: Professional, state: str, due_at: datetime | None, at: datetime) -> bool:
    """Gives a held professional the state that holds now, and when it changes next; returns whether it is another."""
    if professional.licence_due_at != due_at:
        professional.licence_due_at, professional.updated_at = due_at, at
    if professional.licence == state:
        return False
    professional.licence = state
    new_version(professional, at)
    return True


def claim_due(session: Session, at: datetime, most: int) -> Sequence[Professional]:
    """Returns professionals whose licence changes by itself by this moment, held; another replica's are passed over."""
    return session.scalars(
        sa.select(Professional)
        .where(Professional.licence_due_at <= at)
        .order_by(Professional.licence_due_at, Professional.professional_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()


def note_restored(session: Session, restored: Mapping[str, rules.Licence], at: datetime) -> None:
    """Notes that these professionals' temporary stops are over."""
    rows = [
        {"professional_id": professional_id, "since": licence.since, "noted_at": at, "state": licence.state,
         "until": None, "noted_by": None}
        for professional_id, licence in restored.items()
    ]  # fmt: skip
    if rows:
        session.execute(sa.insert(Licence), rows)
