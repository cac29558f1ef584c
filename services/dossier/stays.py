"""Stays: an establishment registers a patient whom it has admitted, and notes how the stay goes on and ends.

The mandate is the establishment's and serves everybody who works there; so its answers tell of the establishment's own
registration and of nothing that stands between the record and the person who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import Sessions, now, once, remember
from services.dossier import contract, rules, rules_stays, store, store_mandates, store_stays
from services.dossier.answers import mandate_shown, refused
from services.dossier.rules_stays import Times
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

SCOPE = "system/Encounter.cu"

Change = Callable[[Session, Any, datetime], Any]
"""What is noted of a running mandate, held: the mandate as it stands then, or the refusal."""


class Stays(Service):
    """The entrypoints of admissions and of registrations in an emergency department."""

    @rpc(scope=SCOPE)
    def register_stay(self, caller: Caller, *, record_id: str, kind: str, reference: str) -> dict[str, Any] | Refusal:
        """Registers a patient at the caller's establishment: all who work there read for 45 days, or 24 hours.

        kind: admission or hospital_emergency. reference: the establishment's own number of the stay; the same one
        again gives the stay there is. Whoever is barred from the record gets nothing from it.

        Refuses: RecordNotFound (unknown, closed and not yet open, alike), NotAllowed (professionals at a hospital and
        its software only), InvalidInput. [domain, Mandates: admission, hospital emergency]
        """
        return register(self.db, caller, record_id, rules_stays.require_stay_kind(kind), reference)

    @rpc(scope=SCOPE)
    def discharge_patient(self, caller: Caller, *, record_id: str, mandate_id: str) -> dict[str, Any] | Refusal:
        """The patient left: reading ends now, depositing 15 days later. Said again, the first discharge stands.

        Refuses: MandateNotFound (unknown, another establishment's, the record closed, alike), NotAllowed.
        """

        def discharge(session: Session, stay: Any, at: datetime) -> Any:
            if stay.closes_at is not None or not running(stay, at):
                return stay
            kind = tables_at(at).mandate_kinds[stay.kind]
            times = rules_stays.discharged(kind, times_of(stay), stay.consent_at is not None, at)
            return store_stays.change(session, stay, times, closes_at=at)

        return change(self.db, caller, "mandate.closed", record_id, mandate_id, contract.STAY_KINDS, discharge)

    @rpc(scope=SCOPE)
    def prolong_stay(self, caller: Caller, *, record_id: str, mandate_id: str, days: int) -> dict[str, Any] | Refusal:
        """The stay goes on: it reads so many days longer than it began with, at most 30 in all.

        Refuses: MandateNotFound, StayOver (discharged, ended, or of a kind that is not prolonged), NotAllowed,
        InvalidInput (days).
        """

        def prolong(session: Session, stay: Any, at: datetime) -> Any:
            kind = tables_at(at).mandate_kinds[stay.kind]
            if not running(stay, at) or not rules_stays.may_grow(kind, times_of(stay), stay.closes_at is not None, at):
                return contract.StayOver()
            return store_stays.change(session, stay, rules_stays.prolonged(kind, times_of(stay), days))

        rules_stays.require_days(days, tables_at(now()).mandate_kinds["admission"])
        return change(self.db, caller, "mandate.prolonged", record_id, mandate_id, contract.STAY_KINDS, prolong)

    @rpc(scope=SCOPE)
    def await_result(
        self, caller: Caller, *, record_id: str, mandate_id: str, patient_consented: bool, wording_version: str
    ) -> dict[str, Any] | Refusal:
        """Records the patient's consent to a laboratory result that comes after the stay: deposited until validated.

        patient_consented: true, in the wording of that version (contract.RESULT_CONSENT_WORDINGS), kept with the
        mandate and in the trace. Depositing alone lasts longer, and by no more than 90 days.

        Refuses: MandateNotFound, StayOver (ended, or of a kind that is not prolonged), NotAllowed, InvalidInput.
        """

        def consent(session: Session, stay: Any, at: datetime) -> Any:
            kind = tables_at(at).mandate_kinds[stay.kind]
            if not running(stay, at) or not rules_stays.may_grow(kind, times_of(stay), False, at):
                return contract.StayOver()
            if stay.consent_at is not None:
                return stay
            times = rules_stays.with_consent(kind, times_of(stay))
            return store_stays.change(session, stay, times, consent_at=at, wording_version=wording)

        wording = rules_stays.require_consent(patient_consented, wording_version)
        return change(
            self.db, caller, "mandate.prolonged", record_id, mandate_id, contract.STAY_KINDS, consent, purpose=wording
        )

    @rpc(scope=SCOPE)
    def settle_result(self, caller: Caller, *, record_id: str, mandate_id: str) -> dict[str, Any] | Refusal:
        """The result that a stay waited for was validated: 15 days more. One that waits for none is left as it is.

        Refuses: MandateNotFound, NotAllowed.
        """

        def settle(session: Session, stay: Any, at: datetime) -> Any:
            if stay.consent_at is None or not running(stay, at):
                return stay
            kind = tables_at(at).mandate_kinds[stay.kind]
            return store_stays.change(session, stay, rules_stays.validated(kind, times_of(stay), at))

        return change(self.db, caller, "mandate.closed", record_id, mandate_id, contract.STAY_KINDS, settle)


# --- the steps behind stays and orders ------------------------------------------------------------------------


def register(db: Sessions, caller: Caller, record_id: str, kind: str, reference: str) -> dict[str, Any] | Refusal:
    """The mandate of the caller's establishment under this reference: the one there is, or a new one."""
    at, record_id = now(), rules.id_of(record_id)
    reference = rules_stays.require_reference(reference)
    body, operation = {"record_id": record_id, "kind": kind, "reference": reference}, "register_stay"
    with db.transaction(caller) as session:
        if not rules_stays.speaks_for_establishment(caller.capacity, caller.establishment_id) or not _may_register(
            session, caller, kind
        ):
            return refused(session, caller, "mandate.opened", at, record_id, NotAllowed())
        answered: dict[str, Any] | None = once(session, caller, operation, body)
        if answered is not None:
            return answered
        assert caller.establishment_id is not None
        store.lock_record(session, record_id)
        facts = store.situation(session, caller, record_id, at)
        mandate = store_stays.registered(session, record_id, caller.establishment_id, kind, reference)
        if not rules_stays.opens_to_establishment(tables_at(at), facts):
            return refused(session, caller, "mandate.opened", at, record_id, contract.RecordNotFound())
        if mandate is None:
            mandate = _opened(session, caller, record_id, kind, reference, at)
        _traced(session, caller, "mandate.opened", mandate, at)
        answer: dict[str, Any] = remember(session, caller, operation, body, stay_shown(mandate))
        return answer


def _may_register(session: Session, caller: Caller, kind: str) -> bool:
    by_software = caller.client_id is not None
    asked = kind in contract.STAY_KINDS and not by_software and caller.establishment_id is not None
    known = asked and store_stays.has_emergency_service(session, caller.establishment_id or "")
    return rules_stays.may_register(kind, by_software=by_software, emergency_service=known)


def _opened(session: Session, caller: Caller, record_id: str, kind: str, reference: str, at: datetime) -> Any:
    times = rules_stays.opened(tables_at(at).mandate_kinds[kind], at)
    mandate = store_mandates.insert_mandate(
        session,
        {
            "record_id": record_id,
            "professional_id": None,
            "establishment_id": caller.establishment_id,
            "kind": kind,
            "wording_version": "",
            "starts_at": at,
            "read_until": times.read_until,
            "deposit_until": times.deposit_until,
            "opened_by": caller.account_id,
            "reference": reference,
        },
    )
    emit(session, contract.MandateOpened(record_id, mandate.mandate_id, None, kind, caller.establishment_id))
    return mandate


def change(
    db: Sessions,
    caller: Caller,
    action: str,
    record_id: str,
    mandate_id: str,
    kinds: Collection[str],
    note: Change,
    purpose: str | None = None,
) -> dict[str, Any] | Refusal:
    """Notes something of a mandate of the caller's establishment, held from the record's lock to the commit."""
    at, record_id, mandate_id = now(), rules.id_of(record_id), rules.id_of(mandate_id)
    with db.transaction(caller) as session:
        if not rules_stays.speaks_for_establishment(caller.capacity, caller.establishment_id):
            return refused(session, caller, action, at, record_id, NotAllowed(), object_id=mandate_id)
        assert caller.establishment_id is not None
        store.lock_record(session, record_id)
        facts = store.situation(session, caller, record_id, at)
        mandate = store_stays.held(session, record_id, mandate_id, caller.establishment_id, kinds)
        if mandate is None or not rules_stays.opens_to_establishment(tables_at(at), facts):
            return refused(session, caller, action, at, record_id, contract.MandateNotFound(), object_id=mandate_id)
        changed = note(session, mandate, at)
        if isinstance(changed, Refusal):
            return refused(session, caller, action, at, record_id, changed, object_id=mandate_id)
        _traced(session, caller, action, changed, at, purpose)
        return stay_shown(changed)


def _traced(
    session: Session, caller: Caller, action: str, mandate: Any, at: datetime, purpose: str | None = None
) -> None:
    """Traces what an establishment did with a mandate of its own: on that ground, whoever does it."""
    emit(session, traced(
        caller, action, at=at, record_id=mandate.record_id, object_id=mandate.mandate_id, object_type="mandate",
        ground=mandate.kind, rule=tables_at(at).grounds[mandate.kind][0].rule, purpose=purpose,
    ))  # fmt: skip


def running(mandate: Any, at: datetime) -> bool:
    """Whether nobody ended a mandate, nor time."""
    return mandate.ended_at is None and at < mandate.deposit_until


def times_of(mandate: Any) -> Times:
    """Until when a mandate reads and lets deposit, for the rules."""
    return Times(mandate.read_until, mandate.deposit_until, mandate.prolonged_days)


def stay_shown(mandate: Any) -> dict[str, Any]:
    """A stay or an order as its establishment sees it."""
    shown = mandate_shown(mandate)
    return {
        name: shown[name]
        for name in (
            "mandate_id", "kind", "reference", "starts_at", "read_until", "deposit_until", "closes_at", "consent_at",
            "ended_at",
        )
    }  # fmt: skip
