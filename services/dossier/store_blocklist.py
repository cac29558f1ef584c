"""The queries of the blocklist: the professionals who are barred from a whole record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import Block
from services.dossier.store import leads_nowhere


def _runs(record_id: str, at: datetime) -> sa.ColumnElement[bool]:
    return (Block.record_id == record_id) & sa.or_(Block.until.is_(None), Block.until > at)


def blocked(session: Session, record_id: str, at: datetime) -> Sequence[Any]:
    """Who is barred, the last barred first: professional_id, since."""
    since = sa.func.min(Block.since).label("since")
    running = sa.select(Block.professional_id, since).where(_runs(record_id, at)).group_by(Block.professional_id)
    return session.execute(running.order_by(since.desc(), Block.professional_id)).all()


def is_barred(session: Session, record_id: str, professional_id: str, at: datetime) -> bool:
    """Whether a professional is barred."""
    return barred_since(session, record_id, professional_id, at) is not None


def barred_since(session: Session, record_id: str, professional_id: str, at: datetime) -> datetime | None:
    """Since when a professional is barred; None where they are not."""
    asked = sa.select(Block.since).where(_runs(record_id, at), Block.professional_id == professional_id)
    return session.scalar(asked.order_by(Block.since).limit(1))


def is_barred_by_merge_alone(session: Session, record_id: str, professional_id: str, at: datetime) -> bool:
    """Whether a professional is barred from here as long as another record leads here, and no longer."""
    own = sa.exists().where(_runs(record_id, at), Block.professional_id == professional_id, Block.copied_from.is_(None))
    return session.scalar(sa.select(~own)) is True


def insert_block(
    session: Session, record_id: str, professional_id: str, account_id: str, risk_version: str, at: datetime
) -> None:
    """Bars a professional from now on; the caller holds the record and knows that nobody else bars them here yet."""
    session.execute(
        sa.insert(Block).values(
            block_id=new_id(), record_id=record_id, professional_id=professional_id, since=at,
            account_id=account_id, risk_version=risk_version,
        )
    )  # fmt: skip


def end_block(session: Session, record_id: str, professional_id: str, at: datetime) -> bool:
    """Bars a professional no longer; False where they were not barred."""
    ended = (
        sa.update(Block)
        .where(_runs(record_id, at), Block.professional_id == professional_id, leads_nowhere(record_id))
        .values(until=at)
        .returning(Block.block_id)
    )
    return session.execute(ended).first() is not None
