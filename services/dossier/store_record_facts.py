"""The queries that begin with a patient: what an identity sheet shows of a record, and which record it is."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import rfc3339
from services.dossier import contract
from services.dossier.models import Id, PatientMerge, Record, StateChange

RUNNING = "running"


def facts(session: Session, patient_id: str, only_for: str | None) -> contract.RecordFacts | None:
    """Returns the record that speaks for a patient; only_for: the one patient who asks, None for whoever may ask."""
    last_cause = (
        sa.select(StateChange.cause)
        .where(StateChange.record_id == Record.record_id)
        .order_by(StateChange.at.desc(), StateChange.change_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    asked = sa.select(Record.record_id, Record.record_number, Record.state, Record.since, last_cause.label("cause"))
    asked = asked.where(Record.patient_id == patient_id, Record.state != "deleted", Record.merged_into.is_(None))
    if only_for is not None:
        merged = sa.exists().where(PatientMerge.merged_id == only_for, PatientMerge.speaks_id == patient_id)
        asked = asked.where(sa.or_(sa.literal(only_for == patient_id), merged))
    row = session.execute(asked).first()
    return None if row is None else {
        "record_id": str(row.record_id),
        "record_number": row.record_number,
        "state": row.state,
        "since": rfc3339(row.since),
        "cause": row.cause,
    }  # fmt: skip


def record_of(session: Session, patient_id: str) -> str | None:
    """Returns the record that speaks for a patient, also for one who was found to be the same as another."""
    speaks = sa.select(PatientMerge.speaks_id).where(
        PatientMerge.merged_id == patient_id, PatientMerge.state == RUNNING
    )
    found = session.scalar(
        sa.select(Record.record_id).where(
            Record.patient_id == sa.func.coalesce(speaks.scalar_subquery(), sa.literal(patient_id, Id)),
            Record.state != "deleted",
            Record.merged_into.is_(None),
        )
    )
    return None if found is None else str(found)
