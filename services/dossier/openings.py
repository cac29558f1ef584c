"""Records that directory says are due: of the newly affiliated, and of those who asked for one themselves."""

from datetime import datetime

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, Service, emit_all, on
from services.db import now
from services.directory.contract import RecordOpeningsDue
from services.dossier import contract, life_steps, rules, store_openings


class Openings(Service):
    """The handler that opens records by the hundred."""

    @on("directory", RecordOpeningsDue)
    def on_record_openings_due(self, session: Session, event: Received) -> None:
        """Opens a record for each of these patients who has none [RGD 2; seed 002]; by affiliation alone of nobody who
        opposed one.

        Who asked stands in directory's traces; here each record begins its own history, which its holder sees. A
        repeat, or an agent who opened one of them meanwhile, finds the records there and changes nothing.
        """
        due: RecordOpeningsDue = event.data
        steps, at, requested_at = rules.OPENING_STEPS[due.cause], now(), datetime.fromisoformat(due.requested_at)
        asked_for = due.cause != "affiliation"  # who opposed is not given another until they ask for it themselves
        opened = store_openings.insert_records(session, due.patient_ids, steps[-1][1], at, opposed=asked_for)
        if not opened:
            return
        record_ids = [record_id for record_id, _ in opened]
        for previous, state, cause in steps:
            since = at if state == steps[-1][1] else min(at, requested_at)
            store_openings.insert_state_changes(session, record_ids, since, previous, state, cause)
        life_steps.note_opened(session, record_ids, at)
        emit_all(session, [
            contract.RecordOpened(record_id, patient_id, due.requested_at) for record_id, patient_id in opened
        ])  # fmt: skip
        emit_all(session, [traced(event.context, "record.opened", at=at, record_id=each) for each in record_ids])
