"""The entries of a record as FHIR AuditEvents (ITI-81): the same readers, refusals and traces as its access history."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules, rules_balp, rules_events, store, store_events
from services.audit.contract import EntryNotFound, Event, Events
from services.audit.histories import Reader, let_in, reading, was_read
from services.bus import Service, emit, rpc
from services.dossier.contract import NOBODY, AccessScope
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller

KIND = "access_history"


class AuditEvents(Service):
    """The entrypoints of the events."""

    dossier: Any  # the service's way to dossier

    @rpc
    def audit_events(
        self, caller: Caller, *, base: str, patient_id: str | None = None, limit: int = 50, cursor: str | None = None,
        asked: dict[str, Any] | None = None,
    ) -> Events | Refusal:  # fmt: skip
        """The events of a patient's record that a search is for: newest first, a page at a time.

        base: the public address the events are told under. patient_id: whose record; the caller's own when None.
        asked: as rules_events.read_asked.

        Refuses: as `access_history`; InvalidInput also for a professional who names no patient. [ITI-81]
        """
        most, after = rules.require_limit(limit), rules.require_position(cursor)
        wanted, base = rules_events.read_asked(asked or {}), rules_events.require_base(base)
        whose = patient_id or caller.patient_id
        if whose is None:
            raise InvalidInput(errors=[{"pointer": "/patient", "message": "required"}])
        scope = AccessScope.from_wire(self.dossier.access_scope(caller, patient_id=whose))
        with self.db.transaction(caller) as session:
            reader = let_in(session, caller, scope.record_id, scope, KIND)
            if isinstance(reader, Refusal):
                return reader
            rows = store.entries_of_record(
                session, reader.record_id, after=after, limit=most + 1, also=store_events.asked_of_entries(wanted),
                **reader.eyes,
            )  # fmt: skip
            page = rows[:most]
            emit(session, was_read(reader, KIND, len(page)))
            return {
                "events": [_event(row, base, reader) for row in page],
                "next_cursor": rules.cursor_after(page[-1].at, page[-1].trace_id) if len(rows) > most else None,
            }

    @rpc
    def audit_event(self, caller: Caller, *, base: str, entry_id: str) -> Event | Refusal:
        """One event, of a history that the caller may read.

        Refuses: EntryNotFound (unknown, of no record, hidden, or nothing lets the caller into the record it is about),
        RecordClosed (to its holder alone).
        """
        base, asked = rules_events.require_base(base), rules.as_id(entry_id) or NOBODY
        with self.db.transaction(caller) as session:
            record_id = store_events.record_of(session, asked)
        scope = AccessScope.from_wire(self.dossier.access_scope(caller, record_id=record_id or NOBODY))
        with self.db.transaction(caller) as session:
            if record_id is None:
                return _refused(session, caller, asked)
            reader = let_in(session, caller, record_id, scope, KIND, EntryNotFound, object_id=asked)
            if isinstance(reader, Refusal):
                return reader
            one = store_events.the_one(asked)
            rows = store.entries_of_record(session, record_id, after=None, limit=1, also=one, **reader.eyes)
            if not rows:  # traced as an unknown one: a line in the record would tell that it is hidden there
                return _refused(session, caller, asked)
            emit(session, was_read(reader, KIND, 1, object_id=asked))
            return _event(rows[0], base, reader)


def _refused(session: Session, caller: Caller, entry_id: str) -> Refusal:
    refusal = EntryNotFound()
    emit(session, reading(caller, None, KIND, outcome="refused", reason=refusal.code, object_id=entry_id))
    return refusal


def _event(row: store.Row, base: str, reader: Reader) -> Event:
    entry = store.on_wire(row, count=False)
    facts = {**entry, "record_id": row.record_id, "purpose": row.purpose, "source": row.source}
    return {
        "resource": rules_balp.audit_event(facts, base, reader.scope.patient_id),
        "professional_id": row.professional_id,
        "patient_id": row.patient_id,
        "establishment_id": row.establishment_id,
    }
