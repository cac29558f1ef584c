"""Every query of dispensations: what a pharmacy gave at one time, taken back or not, and the codes on their copies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.documents import store_prescriptions
from services.documents.models import documents
from services.documents.models_care import (
    dispensations,
    dispensed_lines,
    prescriptions,
    verification_tries,
)
from services.documents.rules import Place
from services.documents.rules_prescriptions import WRONG_CODES, Given

Row = Any

_GIVEN = (
    sa.select(sa.func.json_agg(sa.text("json order by number")))
    .select_from(
        sa.select(
            dispensed_lines.c.number,
            sa.func.json_build_object(
                "number", dispensed_lines.c.number, "quantity", sa.cast(dispensed_lines.c.quantity, sa.Text)
            ).label("json"),
        )
        .where(dispensed_lines.c.dispensation_id == dispensations.c.dispensation_id)
        .correlate(dispensations).lateral("each")
    ).scalar_subquery()
)  # fmt: skip


def place_of(session: Session, dispensation_id: str) -> Place:
    """Where the prescription lies that something was dispensed of, and whose it is."""
    row = session.execute(
        sa.select(documents.c.document_id, documents.c.record_id, documents.c.home_record_id)
        .join(dispensations, dispensations.c.document_id == documents.c.document_id)
        .where(dispensations.c.dispensation_id == dispensation_id)
    ).first()  # fmt: skip
    return Place(*(row or (None, None, None)))


def of_document(session: Session, document_id: str) -> Sequence[Row]:
    """All that was dispensed of a prescription, the oldest first; what was taken back too."""
    query = sa.select(dispensations, _GIVEN.label("lines")).where(dispensations.c.document_id == document_id)
    return session.execute(query.order_by(dispensations.c.at, dispensations.c.dispensation_id)).all()


def one(session: Session, dispensation_id: str) -> Row | None:
    """What was dispensed at one time; its prescription is held where it is changed."""
    query = sa.select(dispensations, _GIVEN.label("lines")).where(dispensations.c.dispensation_id == dispensation_id)
    return session.execute(query).first()


def add(session: Session, row: dict[str, Any], given: Sequence[Given]) -> None:
    """Writes a dispensation with its lines."""
    session.execute(sa.insert(dispensations).values(row))
    session.execute(
        sa.insert(dispensed_lines),
        [
            {"dispensation_id": row["dispensation_id"], "number": each.number, "quantity": each.quantity}
            for each in given
        ],
    )  # fmt: skip


def lines_of(session: Session, dispensation_id: str) -> list[Given]:
    """What a dispensation gave of which lines."""
    rows = session.execute(
        sa.select(dispensed_lines.c.number, dispensed_lines.c.quantity)
        .where(dispensed_lines.c.dispensation_id == dispensation_id).order_by(dispensed_lines.c.number)
    ).all()  # fmt: skip
    return [Given(row.number, row.quantity) for row in rows]


def cancel(session: Session, dispensation_id: str, by: str, reason: str, at: datetime) -> None:
    """Writes that a dispensation was taken back."""
    session.execute(
        sa.update(dispensations).where(dispensations.c.dispensation_id == dispensation_id)
        .values(cancelled_at=at, cancelled_by=by, cancel_reason=reason)
    )  # fmt: skip


# --- codes on copies --------------------------------------------------------------------------------------------------


def by_code(session: Session, code: str) -> Row | None:
    """What was dispensed with the copy of this code, and how the prescription stands now; of no removed document."""
    left = store_prescriptions.LINES.label("left")
    return session.execute(
        sa.select(
            dispensations, _GIVEN.label("lines"), left, prescriptions.c.state, prescriptions.c.valid_until,
            documents.c.home_record_id,
        )
        .join(documents, documents.c.document_id == dispensations.c.document_id)
        .join(prescriptions, prescriptions.c.document_id == documents.c.document_id)
        .where(dispensations.c.verification_code == code, documents.c.state == "available")
    ).first()  # fmt: skip


def wrong_codes(session: Session, professional_id: str) -> Sequence[datetime]:
    """When somebody last gave wrong codes, the newest first; their tries take turns till the commit."""
    key = f"verification {professional_id}"
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))))
    return session.scalars(
        sa.select(verification_tries.c.at).where(verification_tries.c.professional_id == professional_id)
        .order_by(verification_tries.c.at.desc()).limit(WRONG_CODES)
    ).all()  # fmt: skip


def note_wrong_code(session: Session, professional_id: str, at: datetime) -> None:
    session.execute(sa.insert(verification_tries).values(try_id=new_id(), professional_id=professional_id, at=at))


def forget_wrong_codes(session: Session, before: datetime) -> None:
    """Drops the tries that count against nobody any more."""
    session.execute(sa.delete(verification_tries).where(verification_tries.c.at <= before))
