"""Every query about attestations: what is asked of the notary, what records consist of, and its answers."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.audit import store
from services.audit.models import EntryRow, HiddenDocument
from services.audit.models_log import Attestation, Leaf
from services.audit.rules_attesting import BEGINS, ENDS
from services.audit.store_log import BELL
from services.db import new_id

PAGE = 1_000

NEARBY = timedelta(seconds=1)

_ENTRY = tuple(EntryRow.__table__.columns)


def ask(session: Session, record_ids: Sequence[str], without: Sequence[str], at: datetime) -> str:
    """Asks the notary what the entries of records are, and rings; returns the question's id.

    without: the ways in which documents are hidden from the reader.
    """
    asked = Attestation(
        attestation_id=new_id(), record_ids=sorted(set(record_ids)), without=sorted(set(without)), asked_at=at
    )
    session.add(asked)
    session.flush()
    session.execute(sa.select(sa.func.pg_notify(BELL, "")))
    return asked.attestation_id


def answer_of(session: Session, attestation_id: str) -> Attestation | None:
    """Returns a question once it is answered, null until then."""
    row = session.get(Attestation, attestation_id)
    return row if row is not None and row.answered_at is not None else None


def open_ones(session: Session, limit: int) -> list[Attestation]:
    """Returns the questions that wait, the oldest first."""
    query = sa.select(Attestation).where(Attestation.answered_at.is_(None)).order_by(Attestation.asked_at)
    return list(session.scalars(query.limit(limit)))


def answer(session: Session, attestation_id: str, at: datetime, **answer: Any) -> None:
    """Writes an answer to a question that has none yet."""
    told = sa.update(Attestation).where(Attestation.attestation_id == attestation_id, Attestation.answered_at.is_(None))
    session.execute(told.values(answered_at=at, **answer))


def forget(session: Session, before: datetime) -> None:
    """Removes questions of another time: whoever asked has the answer, or asks again."""
    session.execute(sa.delete(Attestation).where(Attestation.asked_at < before))


def leaves_of(session: Session, record_ids: Collection[str], without: Collection[str]) -> Iterator[Any]:
    """Gives the leaves of records in the order of the log, each with its entry and whether it is left out.

    `trace_id` is null where the contents are gone.
    """
    left_out = store.tells_of(sorted(without)) if without else sa.false()
    after = -1
    while True:
        query = (
            sa.select(Leaf.position, Leaf.hash, Leaf.record_id.label("of_record"), left_out.label("left_out"), *_ENTRY)
            .outerjoin(EntryRow, EntryRow.trace_id == Leaf.trace_id)
            .where(Leaf.record_id.in_(record_ids), Leaf.position > after).order_by(Leaf.position).limit(PAGE)
        )  # fmt: skip
        rows = session.execute(query).mappings().all()
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1]["position"]


def hidings_of(session: Session, document_ids: Collection[str]) -> list[Any]:
    """Returns the sealed entries about the hiding of documents, in whatever record, at the times that are known."""
    times = session.execute(
        sa.select(HiddenDocument.since, HiddenDocument.until).where(HiddenDocument.document_id.in_(document_ids))
    ).all()
    found: list[Any] = []
    for moment in {moment for each in times for moment in each if moment is not None}:
        query = sa.select(EntryRow.action, EntryRow.outcome, EntryRow.object_id, EntryRow.at).where(
            EntryRow.trace_id >= _first_id(moment - NEARBY), EntryRow.trace_id < _first_id(moment + NEARBY),
            EntryRow.object_id.in_(document_ids), EntryRow.action.in_([*BEGINS, *ENDS]),
            sa.exists().where(Leaf.trace_id == EntryRow.trace_id),
        )  # fmt: skip
        found += session.execute(query).all()
    return found


def _first_id(moment: datetime) -> str:
    """The least id that a trace of this millisecond can have."""
    return f"{int(moment.timestamp() * 1000):012x}" + "0" * 20
