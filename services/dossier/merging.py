"""Records of patients who turned out to be one person, and of those who turned out to be two after all."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, Service, emit, emit_all, on
from services.db import now
from services.directory.contract import PatientsMerged, PatientsUnmerged
from services.dossier import (
    contract,
    life_steps,
    merging_settings,
    rules_life,
    rules_merges,
    store,
    store_life,
    store_merges,
)
from services.dossier.models import Record
from services.dossier.rules_merges import Kept, Merge, Place
from services.dossier.tables import tables_at

BY_HOLDER = "holder_request"
Moved = list[tuple[Kept, Place]]


class Merging(Service):
    """What directory tells of patients that are one."""

    @on("directory", PatientsMerged)
    def on_patients_merged(self, session: Session, event: Received) -> None:
        """One record speaks for both patients; the other one is closed, its state and its grants kept for a way back.

        A merge that was undone before its news came stays undone.
        """
        _hear(session, event, undone=False)

    @on("directory", PatientsUnmerged)
    def on_patients_unmerged(self, session: Session, event: Received) -> None:
        """Each patient has their own record again, as it was, with what was theirs.

        What was granted in the surviving record meanwhile stays there. What the holder ended meanwhile is ended on both
        sides, and whoever they barred is barred on both: a merge may be a mistake, a barred door is none.
        """
        _hear(session, event, undone=True)


def _hear(session: Session, event: Received, *, undone: bool) -> None:
    """Notes the news and brings every record of these persons to where it belongs."""
    told: PatientsMerged | PatientsUnmerged = event.data
    store_merges.merge_alone(session)
    merges = store_merges.merges_of(session, (told.survivor_id, told.merged_id))
    known = merges.get(told.merge_id)
    if known is not None and (known.undone or not undone):
        return
    merges[told.merge_id] = Merge(told.merge_id, told.survivor_id, told.merged_id, undone)
    runs = {merge.merge_id for merge in rules_merges.running(merges.values())}
    speakers = rules_merges.speakers(merges.values())
    store_merges.keep_merges(session, merges.values(), speakers, set(merges) - runs)
    people = {patient for merge in merges.values() for patient in (merge.survivor_id, merge.merged_id)}
    _settle(session, event, speakers, store_merges.lock_records(session, people))


def _settle(session: Session, event: Received, speakers: dict[str, str], records: dict[str, Record]) -> None:
    """Brings each record to its place; what is gone is taken away before what is new comes along."""
    kept = {record_id: store_merges.kept(record) for record_id, record in records.items()}
    merged_at = {record_id: record.merged_at for record_id, record in records.items()}
    places, at = rules_merges.places(speakers, list(kept.values())), now()
    moved = [(one, places[one.record_id]) for one in kept.values() if rules_merges.moves(one, places[one.record_id])]
    leads, will_lead = _leads(kept.values()), _leads(places.items())
    freed = [(merged, into) for merged, into in leads.items() if will_lead.get(merged) != into]
    if freed:
        for merged, into in rules_merges.downwards(leads):
            store_merges.bring_down(session, merged, into, merged_at[merged] or at, at)
            merging_settings.bring_down(session, merged, into, merged_at[merged] or at, at)
    for merged, into in freed:
        store_merges.take_away(session, merged, into, list(kept), at)
        merging_settings.take_away(session, merged, into, list(kept), at)
    store_merges.put(session, moved, at)
    for merged, into in reversed(rules_merges.downwards(will_lead)):
        store_merges.copy_blocks(session, merged, into, at)
        if rules_merges.content_follows(kept[merged].state, kept[into].state):
            store_merges.copy_grants(session, merged, into, at)
            merging_settings.bring_along(session, merged, into, at)
    _tell(session, event, kept, [(one, place) for one, place in moved if place.merged_into != one.merged_into], at)
    _trace(session, event, moved, at)
    emit_all(session, [
        contract.RecordHolderChanged(one.record_id, place.patient_id, one.patient_id)
        for one, place in moved if place.patient_id != one.patient_id
    ])  # fmt: skip
    for merged, into in freed:
        if kept[into].state == "closed":
            _close_too(session, event, merged, into, at)


def _close_too(session: Session, event: Received, merged: str, into: str, at: datetime) -> None:
    """Closes a record that speaks for itself again where the holder closed the one that had spoken for it."""
    closed, restored = (store_life.locked_life(session, record_id) for record_id in (into, merged))
    if closed is None or restored is None or closed.closed_for != BY_HOLDER:
        return
    if rules_life.require_step(tables_at(at), restored, "closed", BY_HOLDER) is None:
        life_steps.take_step(session, event.context, restored, "closed", BY_HOLDER, at)
        emit(session, traced(event.context, "record.state_changed", at=at, record_id=merged))


def _leads(records: Iterable[Kept | tuple[str, Place]]) -> dict[str, str]:
    """Of each merged record, where it leads."""
    pairs = ((one.record_id, one) if isinstance(one, Kept) else one for one in records)
    return {record_id: place.merged_into for record_id, place in pairs if place.merged_into is not None}


def _tell(session: Session, event: Received, kept: dict[str, Kept], moved: Moved, at: datetime) -> None:
    """A line of history and events for each record that was merged, restored, or merged elsewhere."""
    versions = store_merges.moves_of(session, [one.record_id for one, _ in moved])
    for one, place in moved:
        before = one.state if one.merged_into is None else "closed"
        after, cause = (one.state, "unmerged") if place.merged_into is None else ("closed", "merged")
        store.insert_state_change(
            session, one.record_id, previous=before, state=after, cause=cause, account_id=event.data.by, at=at
        )
        emit(session, contract.RecordStateChanged(one.record_id, after, cause, place.patient_id))
        into, merge_id, version = place.merged_into, event.data.merge_id, versions[one.record_id]
        if into is not None and rules_merges.content_follows(one.state, kept[into].state):
            emit(session, contract.RecordsMerged(merge_id, into, one.record_id, place.patient_id, version))
        elif one.merged_into is not None:
            led = one.merged_into
            emit(session, contract.RecordsUnmerged(merge_id, led, one.record_id, place.patient_id, version))


def _trace(session: Session, event: Received, moved: Moved, at: datetime) -> None:
    """The traces of the agent who did it: of each record whose state changed, and of each that another leads to now, or
    no longer, or that speaks for another patient."""
    by = event.data.by
    who = {"account_id": by, "capacity": by and "agent", "at": at}
    changed = [(one, place) for one, place in moved if place.merged_into != one.merged_into]
    for one, _ in changed:
        emit(session, traced(event.context, "record.state_changed", record_id=one.record_id, **who))
    others = {one.record_id for one, place in moved if place.merged_into == one.merged_into}
    others |= {led_to for one, place in changed for led_to in (one.merged_into, place.merged_into) if led_to}
    action = "patient.merged" if isinstance(event.data, PatientsMerged) else "patient.unmerged"
    for record_id in sorted(others):
        emit(session, traced(event.context, action, record_id=record_id, **who))
