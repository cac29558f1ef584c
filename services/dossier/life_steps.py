"""The steps of a record's life as all who take them take them: state, history, event and what falls due next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit
from services.db import rfc3339
from services.dossier import contract, rules_life, store, store_deadlines, store_life, store_referring
from services.dossier.rules_life import Life
from services.dossier.store_deadlines import Due
from services.dossier.tables import tables_at


def take_step(
    session: Session, who: Any, life: Life, becomes: str, cause: str, at: datetime, *, capacity: str = "platform",
    account_id: str | None = None,
) -> contract.StateReached:  # fmt: skip
    """Brings a record that is held into another state; its trace is the caller's, who knows on what ground.

    A deletion takes along the records that were merged into this one, for what was in them lies here: each leaves a
    trace of `who` of its own. capacity: as whom the step is taken, one of STATE_AUTHORS.
    """
    along = store_life.merged_in(session, life.record_id) if becomes == "deleted" else []
    reached = _one_step(session, life, becomes, cause, at, capacity, account_id)
    for record_id in along:
        merged = store_life.locked_life(session, record_id)
        if merged is not None:
            _one_step(session, merged, becomes, cause, at, capacity, account_id)
            emit(session, traced(who, "record.state_changed", at=at, record_id=record_id))
    return reached


def _one_step(
    session: Session, life: Life, becomes: str, cause: str, at: datetime, capacity: str, account_id: str | None
) -> contract.StateReached:
    """State, history, event and deadlines. A death noted of a closed record leaves it closed since when it was."""
    since = life.since if becomes == life.state else at
    if becomes != life.state:
        store.change_state(session, life.record_id, becomes, at)
    store.insert_state_change(
        session, life.record_id, previous=life.state, state=becomes, cause=cause, account_id=account_id,
        capacity=capacity, at=at,
    )  # fmt: skip
    emit(session, contract.RecordStateChanged(life.record_id, becomes, cause, life.patient_id))
    if becomes == "closed" and cause != "death_withdrawn":
        store_referring.end_on_closing(session, life.record_id, at, "death" if cause == "death" else "closing")
    deleted_at = _plan(session, life.record_id, becomes, since, at)
    return {
        "record_id": life.record_id,
        "state": becomes,
        "since": rfc3339(since),
        "deleted_on": None if deleted_at is None else deleted_at.date().isoformat(),
    }


def _plan(session: Session, record_id: str, becomes: str, since: datetime, at: datetime) -> datetime | None:
    """Has the steps that time alone takes from the new state fall due, and no others; when it will be deleted.

    Of what is deleted now nothing is left to come, nor what its holder set and wrote.
    """
    periods = tables_at(at).life_periods
    if becomes == "closed":
        deleted_at = periods["deletion"].after(since)
        store_deadlines.drop(session, record_id, "lapse", "inactivity")
        store_deadlines.put(session, "deletion", record_id, record_id, deleted_at)
        return deleted_at
    if becomes == "deleted":
        store_deadlines.drop_all(session, record_id)
        store_life.forget_words(session, record_id)
    elif becomes == "active":
        store_deadlines.drop(session, record_id, "lapse", "deletion")
        store_deadlines.put(session, "inactivity", record_id, record_id, periods["inactivity"].after(since))
    return None


def note_opened(session: Session, record_ids: Sequence[str], at: datetime) -> None:
    """Records were opened: the years without access are counted for each from now on."""
    closes_at = tables_at(at).life_periods["inactivity"].after(at)
    store_deadlines.put_many(session, "inactivity", [(record_id, record_id, closes_at) for record_id in record_ids])


def note_letter(session: Session, record_id: str, at: datetime) -> None:
    """The letter of an open record was printed: its holder has the time of a lapse from now on [RGD 2].

    Counted from the first letter: one that is printed again starts nothing anew.
    """
    lapses_at = tables_at(at).life_periods["lapse"].after(at)
    store_deadlines.put_first(session, "lapse", record_id, record_id, lapses_at)


# --- what time alone does ---------------------------------------------------------------------------------------------


def lapse(session: Session, due: Due, at: datetime) -> None:
    """Nobody activated within the time of the letter: professionals in care may read and deposit [RGD 2]."""
    life = store_life.locked_life(session, due.subject_id)
    if life is not None and rules_life.require_step(tables_at(at), life, "open_by_lapse", "lapse") is None:
        _take_alone(session, life, "open_by_lapse", "lapse", at)


def close_unused(session: Session, due: Due, at: datetime) -> None:
    """Nobody came for ten years: the record is closed; where somebody came, it is looked at again later [RGD 4]."""
    life = store_life.locked_life(session, due.subject_id)
    if life is None or rules_life.require_step(tables_at(at), life, "closed", "ten_years_without_access"):
        return
    closes_at = rules_life.closes_without_access(tables_at(at), life)
    if closes_at > at:
        store_deadlines.put(session, due.kind, due.subject_id, due.record_id, closes_at)
    else:
        _take_alone(session, life, "closed", "ten_years_without_access", at)


def delete_closed(session: Session, due: Due, at: datetime) -> None:
    """The record was closed ten years ago: it is deleted [RGD 4]."""
    life = store_life.locked_life(session, due.subject_id)
    if life is not None and rules_life.require_step(tables_at(at), life, "deleted", "ten_years_closed") is None:
        _take_alone(session, life, "deleted", "ten_years_closed", at)


def _take_alone(session: Session, life: Life, becomes: str, cause: str, at: datetime) -> None:
    take_step(session, None, life, becomes, cause, at)
    emit(session, traced(None, "record.state_changed", at=at, record_id=life.record_id))
