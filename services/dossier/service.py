"""Owns the records: their life, who holds a ground in them, and the answer to "what may this caller do in it?".

It never holds a document, a name or a matricule, and it asks no other service: what it needs to know of
professionals comes by event. Each answer to a person writes one trace in its own transaction; `access_scope`
writes none, the service that asks it does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from eventlet import tpool
from eventlet.semaphore import Semaphore
from nameko.timer import timer
from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit, on, rpc, rpc_system
from services.db import now, once, remember, rfc3339
from services.directory.contract import ProfessionalUpdated
from services.dossier import contract, presence, rules, store, store_holders, store_merges
from services.dossier import presence_code as codes
from services.dossier.answers import allowed, invalid, judge, mandate_shown, refused, require_id
from services.dossier.finding import Finding
from services.dossier.merging import Merging
from services.dossier.openings import Openings
from services.dossier.record_facts import RecordFacts
from services.dossier.tables import TABLES
from services.identity.contract import AccountActivated
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context

COMMENT_LENGTH = 500
SWEEP_EVERY = 3600  # seconds

# Argon2 lets go of the interpreter but not of its core: one core stays for everybody else.
_HASHING = Semaphore(max(1, (os.cpu_count() or 2) - 1))


def _in_hash_pool(work: Callable[..., Any], *args: Any) -> Any:
    """Runs a password hash in a thread, so that the event loop goes on; a bounded number at a time."""
    with _HASHING:
        return tpool.execute(work, *args)


class Dossier(Openings, Merging, Finding, RecordFacts):
    """Records, grounds, mandates and the access scope."""

    name = contract.NAME

    # --- records --------------------------------------------------------------------------------------------

    @rpc
    def open_record(self, caller: Caller, *, patient_id: str) -> dict[str, Any] | Refusal:
        """Opens the record of a patient of the directory, or finds the one there is; the letter follows by event.

        Refuses: NotAllowed (agents only), InvalidInput.
        [RGD 2]
        """
        at, patient_id = now(), require_id(patient_id, "/patient_id")
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return refused(session, caller, "record.opened", at, None, NotAllowed())
            body = {"patient_id": patient_id}
            answered: dict[str, Any] | None = once(session, caller, "open_record", body)
            if answered is not None:
                return answered
            store_merges.open_beside_merges(session)
            patient_id = store_holders.who_speaks_for(session, patient_id)
            created = store.insert_record(session, patient_id, "open", at)
            if created is not None:
                store.insert_state_change(
                    session,
                    created,
                    previous=None,
                    state="open",
                    cause="affiliation",
                    account_id=caller.account_id,
                    at=at,
                )
                emit(session, contract.RecordOpened(record_id=created, patient_id=patient_id))
            [record] = store_holders.records_of_patients(session, [patient_id])
            emit(session, traced(caller, "record.opened", at=at, record_id=record.record_id))
            answer = {"record_id": record.record_id, "state": record.state, "created": created is not None}
            remember(session, caller, "open_record", body, answer)
            return answer

    @rpc
    def my_records(self, caller: Caller) -> dict[str, Any] | Refusal:
        """The records this patient holds, with their state.

        Refuses: NotAllowed (patients only).
        """
        with self.db.transaction(caller) as session:
            if caller.capacity != "patient" or caller.patient_id is None:
                return refused(session, caller, "record.searched", now(), None, NotAllowed())
            records = store_holders.records_of_patients(session, [caller.patient_id])
            emit(session, traced(caller, "record.searched", at=now(), count=len(records)))
        return {
            "records": [{"record_id": r.record_id, "state": r.state, "since": rfc3339(r.since)} for r in records],
        }

    @rpc(scope="system/Patient.rs")
    def read_record(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """A record's page as this caller has it: the ground that lets in and what it gives. One trace.

        The holder of a record that was merged is told which one speaks for it (`merged_into`).

        Refuses: RecordNotFound for an unknown record, a closed one, a blocked professional and the lack of a
        ground, alike.
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            facts, scope = judge(session, caller, record_id, at)
            refusal = rules.require_ground(scope)
            if refusal is not None:
                return refused(session, caller, "record.read", at, record_id, refusal)
            allowed(session, caller, "record.read", at, scope)
            until = rules.access_ends(TABLES, facts, at)
        return {
            "record_id": record_id,
            "patient_id": scope.patient_id,
            "state": scope.state if scope.holder_side else None,
            "ground": scope.clauses[0].ground if scope.clauses else "holder",
            "may_read": rules.readable(scope),
            "may_deposit": rules.depositable(scope),
            "access_until": None if until is None else rfc3339(until),
            "merged_into": facts.merged_into if scope.holder_side else None,
        }

    @rpc(scope=("system/Patient.rs", "system/DocumentReference.rs", "system/DocumentReference.c"))
    def access_scope(self, caller: Caller, *, record_id: str) -> dict[str, Any]:
        """What this caller may do in this record, as an `AccessScope` on the wire. Writes no trace: the asker does.

        The first time a ground lets a professional in, the holder is told by event, from this transaction.
        [domain: Who may see what]
        """
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, rules.id_of(record_id), now())
        return scope.to_wire()

    # --- mandates -------------------------------------------------------------------------------------------

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
        right = _in_hash_pool(codes.matches, tried.kept, presence_code)
        at = now()
        with self.db.transaction(caller) as session:
            answer = presence.settle_try(session, caller, record_id, tried, right, wording_version, at)
            return answer if isinstance(answer, Refusal) else remember(session, caller, operation, body, answer)

    @rpc(scope="system/Consent.cs")
    def list_mandates(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """The mandates of a record, ended ones included: all for the holder, a professional's own for a professional.

        Refuses: RecordNotFound, RecordClosed (to the holder alone).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_open_ground(scope)
            if refusal is not None:
                return refused(session, caller, "mandate.searched", at, record_id, refusal)
            mandates = store.mandates(session, record_id, None if scope.holder_side else caller.professional_id)
            allowed(session, caller, "mandate.searched", at, scope, count=len(mandates))
        return {"mandates": [mandate_shown(mandate) for mandate in mandates]}

    @rpc
    def end_mandate(self, caller: Caller, *, record_id: str, mandate_id: str) -> dict[str, Any] | Refusal:
        """Ends a mandate at once; one that has ended stays as it is.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, MandateNotFound.
        """
        at, record_id, mandate_id = now(), rules.id_of(record_id), rules.id_of(mandate_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_side(scope)
            ended = refusal is None and store.end_mandate(session, record_id, mandate_id, at)
            mandate = None if refusal else store.mandate(session, record_id, mandate_id)
            if mandate is None:
                refusal = refusal or contract.MandateNotFound()
                return refused(session, caller, "mandate.ended", at, record_id, refusal, object_id=mandate_id)
            if ended:
                emit(
                    session,
                    contract.MandateEnded(record_id, mandate.mandate_id, mandate.professional_id, mandate.kind),
                )
            allowed(session, caller, "mandate.ended", at, scope, object_id=mandate_id, object_type="mandate")
        return {"mandate_id": mandate_id, "ended_at": rfc3339(mandate.ended_at or mandate.deposit_until)}

    # --- circle of trust ------------------------------------------------------------------------------------

    @rpc
    def circle(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """The circle of trust; the comments are the holder's own and shown to nobody else.

        Refuses: RecordNotFound, RecordClosed (to the holder alone).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_open_ground(scope)
            if refusal is not None:
                return refused(session, caller, "circle.read", at, record_id, refusal)
            members = store.current_members(session, record_id, at)
            allowed(session, caller, "circle.read", at, scope, count=len(members))
        return {
            "members": [
                {
                    "professional_id": member.professional_id,
                    "since": rfc3339(member.since),
                    "until": None if member.until is None else rfc3339(member.until),
                    "comment": member.comment if scope.holder_side else None,
                }
                for member in members
            ]
        }

    @rpc
    def add_to_circle(
        self, caller: Caller, *, record_id: str, professional_id: str, comment: str | None = None
    ) -> dict[str, Any] | Refusal:
        """Adds a professional to the circle of trust; who is in it stays, with the new comment.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, ProfessionalNotFound, InvalidInput.
        """
        at, record_id, professional_id = now(), rules.id_of(record_id), rules.id_of(professional_id)
        if comment is not None and (not isinstance(comment, str) or len(comment) > COMMENT_LENGTH):
            raise invalid("/comment", "too_long")
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_side(scope)
            if refusal is None and not store.has_professional(session, professional_id):
                refusal = contract.ProfessionalNotFound()
            if refusal is not None:
                return refused(session, caller, "circle.added", at, record_id, refusal, object_id=professional_id)
            member = store.put_member(session, record_id, professional_id, comment, at)
            if member.created:
                emit(session, contract.CircleMemberAdded(record_id, professional_id))
            allowed(session, caller, "circle.added", at, scope, object_id=professional_id, object_type="professional")
        return {
            "professional_id": professional_id,
            "since": rfc3339(member.since),
            "until": None,
            "comment": member.comment,
            "created": member.created,
        }

    @rpc
    def remove_from_circle(self, caller: Caller, *, record_id: str, professional_id: str) -> dict[str, Any] | Refusal:
        """Takes a professional out of the circle of trust; the ground ends with the answer.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, CircleMemberNotFound.
        """
        at, record_id, professional_id = now(), rules.id_of(record_id), rules.id_of(professional_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_side(scope)
            if refusal is None and not store.end_member(session, record_id, professional_id, at):
                refusal = contract.CircleMemberNotFound()
            if refusal is not None:
                return refused(session, caller, "circle.removed", at, record_id, refusal, object_id=professional_id)
            emit(session, contract.CircleMemberRemoved(record_id, professional_id))
            allowed(session, caller, "circle.removed", at, scope, object_id=professional_id, object_type="professional")
        return {"professional_id": professional_id, "until": rfc3339(at)}

    # --- for notifications ----------------------------------------------------------------------------------

    @rpc_system("notifications")
    def issue_presence_code(self, context: Context, *, letter_id: str, record_id: str) -> dict[str, Any] | Refusal:
        """The presence code of a letter that is being printed, told this once. The same letter again replaces its code.

        Refuses: RecordNotFound, InvalidInput.
        """
        letter_id, record_id = require_id(letter_id, "/letter_id"), rules.id_of(record_id)
        code = codes.draw()
        hashed = _in_hash_pool(codes.hash_of, code)
        at = now()
        with self.db.transaction(context) as session:
            store.lock_record(session, record_id)
            record = store.record(session, record_id)
            if record is None or record.state == "deleted":
                return contract.RecordNotFound()
            store.put_presence_code(session, record_id, letter_id, hashed, at)
            emit(session, traced(context, "code.issued", at=at, record_id=record_id, object_type="presence_code"))
        return {"code": code}

    @rpc_system("notifications")
    def record_patient(self, context: Context, *, record_id: str) -> dict[str, Any]:
        """Whose record this is.

        Refuses: RecordNotFound.
        """
        with self.db.transaction(context) as session:
            record = store.record(session, rules.id_of(record_id))
        if record is None:
            raise contract.RecordNotFound()
        return {"patient_id": record.patient_id}

    @rpc_system("notifications")
    def readers_at(self, context: Context, *, establishment_ids: list[str], facts: dict[str, Any]) -> dict[str, Any]:
        """Whether any professional working at these establishments may read this document now, by the common rules.

        facts: record_id, category, level, author_id of the document; record_id is the one it was deposited in, and
        whoever may read in the record where that one leads by now is a reader.
        """
        at, deposited_in = now(), rules.id_of(facts["record_id"])
        workplaces = [rules.id_of(establishment_id) for establishment_id in establishment_ids]
        author_id = facts.get("author_id")
        with self.db.transaction(context) as session:
            record_id = store_merges.where_content_lies(session, deposited_in)
            situations = store.situations_at(session, workplaces, record_id, author_id, at)
        scopes = (rules.scope(TABLES, situation, at) for situation in situations)
        may_read = any(rules.may_read_document(scope, facts["category"], facts["level"], author_id) for scope in scopes)
        return {"may_read": may_read}

    # --- what the others tell -------------------------------------------------------------------------------

    @on("identity", AccountActivated)
    def on_account_activated(self, session: Session, event: Received) -> None:
        """The holder activated their account: the record becomes active [RGD 2]. Not opened yet: tried again later."""
        if event.data.subject_kind != "patient":
            return
        record, at = store_holders.lock_record_of_patient(session, event.data.patient_id), now()
        if record is None:
            raise contract.RecordNotFound()
        if not rules.may_become(TABLES, record.state, "active", "activation"):
            return
        store.change_state(session, record.record_id, "active", at)
        store.insert_state_change(
            session, record.record_id,
            previous=record.state, state="active", cause="activation", account_id=event.data.account_id, at=at,
        )  # fmt: skip
        emit(session, contract.RecordStateChanged(record.record_id, "active", "activation"))
        emit(session, traced(event.context, "record.state_changed", at=at, record_id=record.record_id))

    @on("directory", ProfessionalUpdated)
    def on_professional_updated(self, session: Session, event: Received) -> None:
        """What the directory says of a professional; an older version that comes late changes nothing."""
        told: ProfessionalUpdated = event.data
        store.upsert_professional(
            session,
            {
                "professional_id": told.professional_id,
                "profession": told.profession,
                "licence": told.licence,
                "establishment_ids": told.establishment_ids,
                "version": told.version,
            },
        )

    # --- sweeping -------------------------------------------------------------------------------------------

    @timer(interval=SWEEP_EVERY)
    def sweep(self) -> None:
        """Forgets the tries of presence codes that count against nobody any more; their traces stay."""
        with self.db.transaction() as session:
            store.forget_tries(session, now() - presence.COUNTED)
