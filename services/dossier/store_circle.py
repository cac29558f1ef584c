"""The queries of the circle of trust."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import CircleMember, Record
from services.dossier.store import leads_nowhere

END = "circle_end"
"""The deadline at which a membership comes to the end the holder foresaw."""


def runs(at: datetime) -> sa.ColumnElement[bool]:
    """That a membership has neither been ended nor come to the end that was foreseen."""
    ended = sa.func.least(CircleMember.until, CircleMember.ends_at)  # null, where there is neither
    return sa.or_(ended.is_(None), ended > at)


def current_members(session: Session, record_id: str, at: datetime) -> Sequence[Any]:
    """The circle as it stands: professional_id, since, ends_at, comment."""
    return session.execute(
        sa.select(CircleMember.professional_id, CircleMember.since, CircleMember.ends_at, CircleMember.comment)
        .where(CircleMember.record_id == record_id, runs(at))
        .order_by(CircleMember.member_id)
    ).all()


def put_member(
    session: Session, record_id: str, professional_id: str, comment: str | None, ends_at: datetime | None, at: datetime
) -> Any:
    """Adds to the circle; who is in it stays, with the new comment and end, and by a merge alone no longer.

    Gives member_id, since, comment, created.

    Whose time ran out is closed first, and begins anew.
    """
    close_lapsed(session, record_id, professional_id, at)
    row = insert(CircleMember).values(
        member_id=new_id(),
        record_id=record_id,
        professional_id=professional_id,
        comment=comment,
        since=at,
        ends_at=ends_at,
    )
    return session.execute(
        row.on_conflict_do_update(
            index_elements=["record_id", "professional_id"],
            index_where=CircleMember.until.is_(None),
            set_={"comment": comment, "ends_at": ends_at, "copied_from": None},
        ).returning(
            CircleMember.member_id, CircleMember.since, CircleMember.comment,
            sa.literal_column("xmax = 0").label("created"),
        )
    ).one()  # fmt: skip


def close_lapsed(session: Session, record_id: str, professional_id: str | None, at: datetime) -> None:
    """Closes the memberships whose time ran out, of one professional or of all; the scheduler tells of it yet."""
    lapsed = (CircleMember.record_id == record_id) & CircleMember.until.is_(None) & (CircleMember.ends_at <= at)
    if professional_id is not None:
        lapsed &= CircleMember.professional_id == professional_id
    session.execute(sa.update(CircleMember).where(lapsed).values(until=CircleMember.ends_at))


def end_member(session: Session, record_id: str, professional_id: str, at: datetime) -> str | None:
    """Ends a membership and gives its id; None when there is none."""
    ended = (
        sa.update(CircleMember)
        .where(
            CircleMember.record_id == record_id,
            CircleMember.professional_id == professional_id,
            runs(at),
            leads_nowhere(record_id),
        )
        .values(until=at)
        .returning(CircleMember.member_id)
    )
    return session.scalar(ended)


def come_to_end(session: Session, member_id: str, at: datetime) -> Any | None:
    """Closes a membership whose foreseen end has come; None where it was ended before, or goes on.

    Gives professional_id, until, patient_id. Whoever closed it at its very end left the telling to this.
    """
    foreseen = sa.or_(CircleMember.until.is_(None), CircleMember.until == CircleMember.ends_at)
    closed = (
        sa.update(CircleMember)
        .where(CircleMember.member_id == member_id, foreseen, CircleMember.ends_at <= at)
        .where(Record.record_id == CircleMember.record_id)
        .values(until=CircleMember.ends_at)
        .returning(CircleMember.professional_id, CircleMember.until, Record.patient_id)
    )
    return session.execute(closed).first()
