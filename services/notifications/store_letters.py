"""The queries of letters: put down when their event comes, claimed and printed one by one, listed for the agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.notifications.models import Letter


def add_letters(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Puts letters down to be printed; one that its event has caused for its person already stays as it is."""
    session.execute(
        insert(Letter).on_conflict_do_nothing(), [{"state": "waiting", "attempts": 0, **row} for row in rows]
    )


def claim_letter(session: Session, at: datetime) -> Letter | None:
    """The letter due first of those that may be tried now, locked for us; another printer takes another one."""
    may_be_tried = sa.or_(Letter.retry_at.is_(None), Letter.retry_at <= at)
    return session.scalars(
        sa.select(Letter).where(Letter.state == "waiting", may_be_tried)
        .order_by(Letter.due_by, Letter.letter_id).limit(1).with_for_update(skip_locked=True)
    ).first()  # fmt: skip


def letters_page(session: Session, state: str, after: str | None, limit: int) -> Sequence[Letter]:
    """Letters in a state, after the one named by the cursor: waiting ones by their due time, printed ones newest
    first."""
    key = sa.tuple_(Letter.due_by if state == "waiting" else Letter.printed_at, Letter.letter_id)
    query = sa.select(Letter).where(Letter.state == state)
    if after is not None:
        last = sa.select(*key.clauses).where(Letter.letter_id == after).scalar_subquery()
        query = query.where(key > last if state == "waiting" else key < last)
    ordered = [each.asc() if state == "waiting" else each.desc() for each in key.clauses]
    return session.scalars(query.order_by(*ordered).limit(limit)).all()


def count_overdue(session: Session, at: datetime) -> int:
    """How many letters should have been on their way before this moment."""
    overdue = sa.select(sa.func.count()).where(Letter.state == "waiting", Letter.due_by < at)
    return session.scalar(overdue) or 0
