"""What a designation of a referring physician does by itself: it takes effect, is about to end, ends.

Each only tells: from when on, and until when, somebody has the ground is judged at the moment of each question.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.bus import emit
from services.db import rfc3339
from services.dossier import contract, rules_referring, store_referring
from services.dossier.rules_referring import Designation
from services.dossier.store_deadlines import Due


def take_effect(session: Session, due: Due, at: datetime) -> None:
    """The 1st of the month has come: the physician is the referring physician, unless it ended before."""
    found = store_referring.due_designation(session, due.subject_id)
    if found is not None and rules_referring.is_effective(found[0], at):
        tell(session, due.record_id, *found, "effective", found[0].effective_at)


def tell_ending(session: Session, due: Due, at: datetime) -> None:
    """The record was closed: the designation is going to end, unless it ended before."""
    found = store_referring.due_designation(session, due.subject_id)
    if found is not None and not rules_referring.is_over(found[0], at):
        tell(session, due.record_id, *found, "ending", rules_referring.end_of(found[0]))


def come_to_end(session: Session, due: Due, at: datetime) -> None:
    """The announced end has come; of one that never took effect nobody is told."""
    found = store_referring.due_designation(session, due.subject_id)
    if found is None or not rules_referring.has_run_out(found[0], at):
        return
    one = found[0]
    if one.ended_at is None:
        store_referring.close(session, one)
    if one.effective_at is not None and one.ends_at is not None and one.effective_at < one.ends_at:
        tell(session, due.record_id, *found, "ended", rules_referring.end_of(one))


def tell(
    session: Session, record_id: str, one: Designation, patient_id: str, state: str, moment: datetime | None
) -> None:
    """Tells the holder, the physician and the health fund of one step of a designation [RGD 9(4)]."""
    if moment is not None:
        emit(session, contract.ReferringPhysicianChanged(
            record_id, patient_id, one.designation_id, one.professional_id, state, rfc3339(moment),
        ))  # fmt: skip
