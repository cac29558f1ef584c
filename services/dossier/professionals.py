"""What the directory says of professionals, and what that ends in the records."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.bus import Received, Service, emit, emit_all, on
from services.db import now, rfc3339
from services.directory.contract import LicenceWithdrawn, ProfessionalUpdated
from services.dossier import contract, store_professionals


class Professionals(Service):
    """The handlers of directory's news of professionals."""

    @on("directory", ProfessionalUpdated)
    def on_professional_updated(self, session: Session, event: Received) -> None:
        """What the directory says of a professional; an older version that comes late changes the past alone.

        Who works with them is told when they can do less than before.
        """
        told: ProfessionalUpdated = event.data
        narrowed = store_professionals.upsert_professional(
            session,
            {
                "professional_id": told.professional_id,
                "profession": told.profession,
                "licence": told.licence,
                "establishment_ids": told.establishment_ids,
                "emergency_establishment_ids": told.emergency_establishment_ids,
                "version": told.version,
            },
            now() if told.at is None else datetime.fromisoformat(told.at),
        )
        if narrowed:
            emit(session, contract.PracticeChanged(told.professional_id, rfc3339(now())))

    @on("directory", LicenceWithdrawn)
    def on_licence_withdrawn(self, session: Session, event: Received) -> None:
        """Withdrawn for good: every ground of the professional's own ends, in every record. Suspended: none does, as
        every decision asks for the licence; so they come back with it. Each holder concerned is told, once.

        A repeat, or news that a later licence has overtaken, changes nothing. Some statements and no more, in however
        many records. [RGD 7(4)]
        """
        told, at = event.data, now()
        if not store_professionals.note_stop(
            session, told.professional_id, told.licence, datetime.fromisoformat(told.at)
        ):
            return
        patients = {
            row.record_id: row.patient_id
            for row in store_professionals.lock_records_of(session, told.professional_id, at)
            if row.open
        }
        if told.licence == "withdrawn":
            _end_everywhere(session, told.professional_id, patients, at)
        emit_all(session, [
            contract.LicenceStopsGrants(record_id, patient_id, told.professional_id, told.licence, told.at)
            for record_id, patient_id in patients.items()
        ])  # fmt: skip


def _end_everywhere(session: Session, professional_id: str, patients: dict[str, str], at: datetime) -> None:
    ended = store_professionals.end_everywhere(session, professional_id, at)
    told: dict[str, contract.ReferringPhysicianChanged] = {}
    for each in ended:  # one of a record: theirs, and only where there is none of theirs, of who stood in for them
        counts = each.effective_at is not None and each.effective_at <= at <= each.ended_at
        if counts and each.record_id in patients and (each.professional_id == professional_id or
                                                      each.record_id not in told):  # fmt: skip
            told[each.record_id] = contract.ReferringPhysicianChanged(
                each.record_id, patients[each.record_id], each.designation_id, each.professional_id, "ended",
                rfc3339(each.ended_at),
            )  # fmt: skip
    emit_all(session, list(told.values()))
