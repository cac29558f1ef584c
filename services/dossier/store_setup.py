"""The queries of the set-up assistant's checklist."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.dossier.models_desk import SetupStep


def steps(session: Session, record_id: str) -> Sequence[Any]:
    """The steps that were done or put aside: step, state, ground, at."""
    return session.execute(
        sa.select(SetupStep.step, SetupStep.state, SetupStep.ground, SetupStep.at).where(
            SetupStep.record_id == record_id
        )
    ).all()


def put_step(
    session: Session, record_id: str, step: str, state: str, *, ground: str, account_id: str, at: datetime
) -> None:
    """How far a step is; the same again keeps who did it, and when."""
    row = insert(SetupStep).values(
        record_id=record_id, step=step, state=state, ground=ground, account_id=account_id, at=at
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=["record_id", "step"],
            set_={"state": state, "ground": ground, "account_id": account_id, "at": at},
            where=SetupStep.state != state,
        )
    )


def open_step(session: Session, record_id: str, step: str) -> None:
    """Makes a step one that is still to be done."""
    session.execute(sa.delete(SetupStep).where(SetupStep.record_id == record_id, SetupStep.step == step))
