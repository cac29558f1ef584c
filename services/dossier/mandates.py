"""Mandates: opened with the holder's presence code, shown, ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, rpc, rpc_system
from services.db import now, once, remember, rfc3339
from services.dossier import (
    contract,
    life_steps,
    own_access,
    presence,
    rules,
    store,
    store_deadlines,
    store_mandates,
    store_presence,
    store_reviews,
)
from services.dossier import presence_code as codes
from services.dossier.answers import allowed, judge, mandate_shown, refused, require_id
from services.dossier.store_deadlines import Due
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context

ENDED = "mandate.ended"
WARNED_AT_ONCE = 50


class Mandates(Service):
    """The entrypoints of mandates and of presence codes."""

    _hashed: Callable[..., Any]

    @rpc(scope="system/Consent.cs")
    def open_mandate(
        self, caller: Caller, *, record_id: str, presence_code: str, declaration_accepted: bool, wording_version: str
    ) -> dict[str, Any] | Refusal:
        """Opens a presence mandate with the holder's presence code: reads for 24 h, then lets deposit until day 15.

        A professional reads under one presence mandate at a time: a right code entered again within the 24 h, or
        twice at once, gives the mandate that runs. Every try is noted before the code is looked at, and the code
        is compared once whatever the record, so that neither the answer nor its time tells one reason from
        another.

        Refuses: PresenceCodeRefused (wrong code, unknown or closed record, blocked professional, licence not valid),
        TooManyTries, NotAllowed (professionals only), InvalidInput.
        [RGD 9, seed 000]
        """
        record_id = rules.id_of(record_id)
        presence.require_declaration(presence_code, declaration_accepted, wording_version)
        # Without the code: a bare digest of so short a secret must not lie in a table.
        body, operation = {"record_id": record_id, "wording_version": wording_version}, "open_mandate"
        at = now()
        with self.db.transaction(caller) as session:
            if caller.capacity != "professional" or caller.professional_id is None:
                return refused(session, caller, presence.OPENED, at, record_id, NotAllowed())
            answered: dict[str, Any] | None = once(session, caller, operation, body)
            if answered is not None:
                return answered
            tried = presence.note_try(session, caller, caller.professional_id, record_id, at)
        if isinstance(tried, Refusal):
            return tried
        right = self._hashed(codes.matches, tried.kept, presence_code)
        at = now()
        with self.db.transaction(caller) as session:
            answer = presence.settle_try(session, caller, record_id, tried, right, wording_version, at)
            return answer if isinstance(answer, Refusal) else remember(session, caller, operation, body, answer)

    @rpc(scope="system/Consent.cs")
    def list_mandates(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """The mandates of a record, ended ones included: all for the holder side, else own and the establishment's.

        The holder side sees beside an access on a professional's own word what was stated, and how it was reviewed.

        Refuses: RecordNotFound, RecordClosed (to the holder alone).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_open_ground(scope)
            if refusal is not None:
                return refused(session, caller, "mandate.searched", at, record_id, refusal)
            whose = (None, None) if scope.holder_side else (caller.professional_id, caller.establishment_id)
            mandates = store_mandates.mandates(session, record_id, *whose)
            stated = store_reviews.of_mandates(session, record_id) if scope.holder_side else {}
            allowed(session, caller, "mandate.searched", at, scope, count=len(mandates))
        return {"mandates": [mandate_shown(each) | own_access.stated(stated.get(each.mandate_id)) for each in mandates]}

    @rpc
    def end_mandate(self, caller: Caller, *, record_id: str, mandate_id: str) -> dict[str, Any] | Refusal:
        """Ends a mandate at once, a professional's, an establishment's, an order; one that has ended stays as it is.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed, MandateNotFound.
        """
        at, record_id, mandate_id = now(), rules.id_of(record_id), rules.id_of(mandate_id)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            facts, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, "mandates")
            ended = refusal is None and store_mandates.end_mandate(
                session, record_id, mandate_id, at, caller.account_id
            )
            mandate = None if refusal else store_mandates.mandate(session, record_id, mandate_id)
            if mandate is None:
                refusal = refusal or contract.MandateNotFound()
                return refused(session, caller, ENDED, at, record_id, refusal, object_id=mandate_id)
            if ended:
                emit(session, _ended(mandate, "holder", facts.own_patient_id))
            named = _acting(scope, at)
            allowed(session, caller, ENDED, at, scope, named=named, object_id=mandate_id, object_type="mandate")
        return {"mandate_id": mandate_id, "ended_at": rfc3339(mandate.ended_at or mandate.deposit_until)}

    @rpc
    def end_mandates(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """Ends every mandate that runs in a record at once, of professionals and of establishments; says how many.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed.
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            facts, scope = judge(session, caller, record_id, at)
            refusal = rules.require_holder_action(tables_at(at), scope, "mandates")
            if refusal is not None:
                return refused(session, caller, ENDED, at, record_id, refusal)
            ended = store_mandates.end_mandates(session, record_id, at, caller.account_id)
            for each in ended:
                emit(session, _ended(each, "holder", facts.own_patient_id))
            allowed(session, caller, ENDED, at, scope, named=_acting(scope, at), count=len(ended))
        return {"count": len(ended), "ended_at": rfc3339(at)}

    @rpc_system("notifications")
    def issue_presence_code(self, context: Context, *, letter_id: str, record_id: str) -> dict[str, Any] | Refusal:
        """The presence code of a letter that is being printed, told this once. The same letter again replaces its code.

        Refuses: RecordNotFound, InvalidInput.
        """
        letter_id, record_id = require_id(letter_id, "/letter_id"), rules.id_of(record_id)
        code = codes.draw()
        hashed = self._hashed(codes.hash_of, code)
        with self.db.transaction(context) as session:
            store.lock_record(session, record_id)
            at = now()  # once others are done, as of any new code
            record = store.record(session, record_id)
            if record is None or record.state == "deleted":
                return contract.RecordNotFound()
            store_presence.put_presence_code(session, record_id, letter_id, hashed, at)
            if record.state == "open":
                life_steps.note_letter(session, record_id, at)
            emit(session, traced(context, "code.issued", at=at, record_id=record_id, object_type="presence_code"))
        return {"code": code}

    def _warn_of_ends(self, at: datetime) -> int:
        """Tells of mandates that they are going to end, each end once, so many days before as the tables have.

        Gives how many. Killed anywhere, what is told is noted with it; of replicas that come at once each takes others.
        """
        tables, count = tables_at(at), 0
        open_states = [state for state, row in tables.states.items() if row.professionals == "everything"]
        while True:
            with self.db.transaction() as session:
                ending = store_mandates.warn_of_ends(session, tables.mandate_warnings, open_states, at, WARNED_AT_ONCE)
                for each in ending:
                    whose = (each.professional_id, each.kind, each.establishment_id)
                    ends_at = rfc3339(each.deposit_until)
                    emit(session, contract.MandateEnding(each.record_id, each.mandate_id, *whose, ends_at))
            count += len(ending)
            if len(ending) < WARNED_AT_ONCE:
                return count

    def _forget_tries(self, at: datetime) -> None:
        """Forgets the tries of presence codes that count against nobody any more; their traces stay."""
        with self.db.transaction() as session:
            store_presence.forget_tries(session, at - presence.counted(at))


def _acting(scope: contract.AccessScope, at: datetime) -> tuple[str, str] | None:
    clause = rules.acting_clause(tables_at(at), scope, "mandates")
    return None if clause is None else (clause.ground, clause.rule)


def _ended(mandate: Any, cause: str, by: str | None = None) -> contract.MandateEnded:
    whose = (mandate.professional_id, mandate.kind, mandate.establishment_id)
    return contract.MandateEnded(mandate.record_id, mandate.mandate_id, *whose, cause, by)


def end_by_time(session: Session, due: Due, at: datetime) -> None:
    """Tells that a mandate's time is over; not of one that was ended before, and later of one that was prolonged."""
    mandate = store_mandates.mandate_over(session, due.subject_id)
    if mandate is None:
        return
    if at < mandate.deposit_until:
        store_deadlines.put(session, store_mandates.END, mandate.mandate_id, mandate.record_id, mandate.deposit_until)
    else:
        emit(session, _ended(mandate, "time"))
