"""Requests to open a record: a stranger or a paper form asks, an agent checks who it is, and accepts or refuses.

Whether somebody has a record already is dossier's to know: the request is answered alike, and accepting it tells
dossier that a record is due. What a request says of a person stays until it is decided, and no longer.
"""

import secrets
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from services.bus import emit, rpc, rpc_public
from services.db import Savepoint, day_of, now, once, remember, rfc3339
from services.directory import contract, rules, rules_search, rules_sheets, store_openings, store_search, store_sheets
from services.directory import rules_openings as openings
from services.directory.desk import Desk
from services.directory.models_desk import OpeningRequest
from services.refusals import InvalidInput, NotAllowed, Refusal, TooManyTries
from services.tokens import Caller, Context


class Openings(Desk):
    """The entrypoints of requests to open a record."""

    # --- the public ---------------------------------------------------------------------------------------------------

    @rpc_public
    def request_opening(self, context: Context, **form: Any) -> contract.OpeningReceived | Refusal:
        """Asks for a record; the token, told this once, is what follows the request.

        form: the fields of rules_openings.PERSON, statement {version, accepted}, signed_on, signed_at. The answer is
        the same whether or not the person has a record, or is known at all.
        Refuses: InvalidInput, TooManyTries (from this network address). [seed 002, Demande volontaire d'ouverture]
        """
        at = now()
        checked = openings.require_form(form, day_of(at))
        with self.db.transaction(context) as session:
            answered = once(session, context, "request_opening", form)
            if answered is None:
                searcher = f"opening:{sha256((context.address or '').encode()).hexdigest()}"
                counted = store_search.count_search(session, searcher, rules_search.stretch_of(at))
                if counted.searches > openings.FROM_ADDRESS:
                    refusal = TooManyTries(retry_after=rules_search.wait(at))
                    return self._refused(session, context, "opening.requested", refusal)
            return self._received(session, context, "request_opening", form, checked, answered, at)

    @rpc_public
    def follow_opening(
        self, context: Context, *, request_id: str, tracking_token: str
    ) -> contract.OpeningFollowed | Refusal:
        """How far a request is. Refuses: OpeningNotFound, alike for a wrong id and a wrong token."""
        with self.db.transaction(context) as session:
            found = _followed(store_openings.request(session, rules.as_id(request_id)), tracking_token)
            if found is None:
                return self._refused(session, context, "opening.read", contract.OpeningNotFound())
            self._traced(session, context, "opening.read", found.request_id)
            return {
                "request_id": found.request_id, "reference": found.reference, "state": found.state,
                "due_by": rfc3339(found.due_by), "reason": found.reason,
            }  # fmt: skip

    @rpc_public
    def withdraw_opening(self, context: Context, *, request_id: str, tracking_token: str) -> dict[str, Any] | Refusal:
        """Takes a request back; what it says of a person is gone at once. Again changes nothing.

        Refuses: OpeningNotFound, alike for a wrong id and a wrong token; RequestDecided.
        """
        with self.db.transaction(context) as session:
            found = _followed(store_openings.locked_request(session, rules.as_id(request_id)), tracking_token)
            if found is None:
                return self._refused(session, context, "opening.changed", contract.OpeningNotFound())
            after = openings.step("withdraw", openings.state_of(found.state))
            if isinstance(after, Refusal):
                return self._refused(session, context, "opening.changed", after, found.request_id)
            if found.state != after:
                _decide(found, after, None, now())
            self._traced(session, context, "opening.changed", found.request_id, purpose="withdraw")
            return {}

    # --- the agents ---------------------------------------------------------------------------------------------------

    @rpc
    def record_opening(self, caller: Caller, **form: Any) -> contract.OpeningReceived | Refusal:
        """Takes over a form that came on paper; the token is for whoever signed it.

        form: as for request_opening. Refuses: NotAllowed (no agent), InvalidInput.
        """
        at = now()
        checked = openings.require_form(form, day_of(at)) if openings.may_work(caller.capacity) else None
        with self.db.transaction(caller) as session:
            if checked is None:
                return self._refused(session, caller, "opening.requested", NotAllowed())
            answered = once(session, caller, "record_opening", form)
            return self._received(session, caller, "record_opening", form, checked, answered, at)

    @rpc
    def list_openings(
        self, caller: Caller, *, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> contract.OpeningPage | Refusal:
        """A page of requests, the one due first in front: those in a state, or all in which work is left.

        Refuses: NotAllowed (no agent), InvalidInput (state, limit, cursor).
        """
        states, most, after = openings.require_states(state), openings.require_limit(limit), rules.as_id(cursor)
        if cursor is not None and after is None:
            raise InvalidInput(errors=[rules.fault("cursor", "cursor")])
        at = now()
        with self.db.transaction(caller) as session:
            if not openings.may_work(caller.capacity):
                return self._refused(session, caller, "opening.searched", NotAllowed())
            found = store_openings.requests_page(session, states, after, most + 1)
            page = found[:most]
            self._traced(session, caller, "opening.searched", count=len(page))
        return {"requests": [_line(each, at) for each in page],
                "next_cursor": page[-1].request_id if len(found) > most else None}  # fmt: skip

    @rpc
    def read_opening(self, caller: Caller, *, request_id: str) -> dict[str, Any] | Refusal:
        """A request with all that its form says. Refuses: NotAllowed (no agent), OpeningNotFound."""
        with self.db.transaction(caller) as session:
            if not openings.may_work(caller.capacity):
                return self._refused(session, caller, "opening.read", NotAllowed())
            found = store_openings.request(session, rules.as_id(request_id))
            if found is None:
                return self._refused(session, caller, "opening.read", contract.OpeningNotFound())
            self._traced(session, caller, "opening.read", found.request_id)
            return _whole(found, now())

    @rpc
    def check_opening(
        self, caller: Caller, *, request_id: str, document: str, agent_name: str
    ) -> contract.OpeningLine | Refusal:
        """Notes that this agent has seen a paper, under the name they signed the form with.

        Refuses: NotAllowed (no agent), OpeningNotFound, RequestDecided, InvalidInput (document, agent_name).
        """
        paper, name = openings.require_check(document, agent_name)
        body, at = {"request_id": request_id, "document": paper, "agent_name": name}, now()
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "check_opening", body):
                return answered
            found = self._in_hand(session, caller, request_id, "check")
            if isinstance(found, Refusal):
                return found
            found.state, found.checked_with, found.checked_at = "checked", paper, at
            found.checked_by, found.checked_by_name = caller.account_id, name
            self._traced(session, caller, "opening.changed", found.request_id, purpose=paper)
            return remember(session, caller, "check_opening", body, _line(found, at))

    @rpc
    def accept_opening(self, caller: Caller, *, request_id: str) -> contract.OpeningLine | Refusal:
        """Makes the person a patient, or finds the one they are, and says that their record is due.

        Refuses: NotAllowed (no agent), OpeningNotFound, OpeningCheckDue, RequestDecided, PatientExists (the matricule
        is somebody else's: the request stays). [RGD 2; seed 002]
        """
        body, at = {"request_id": request_id}, now()
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "accept_opening", body):
                return answered
            found = self._in_hand(session, caller, request_id, "accept")
            if isinstance(found, Refusal):
                return found
            told_of, point = found.request_id, Savepoint(session)
            try:
                patient_id = self._patient_of_request(session, caller, found, at)
            except contract.PatientExists as exists:
                point.undo()
                return self._refused(session, caller, "opening.changed", exists, told_of)
            point.keep()
            emit(session, contract.RecordOpeningsDue("voluntary_request", [patient_id], rfc3339(found.received_at)))
            found.patient_id = patient_id
            _decide(found, "accepted", caller.account_id, at)
            self._traced(session, caller, "opening.changed", found.request_id, purpose="accept")
            return remember(session, caller, "accept_opening", body, _line(found, at))

    @rpc
    def refuse_opening(self, caller: Caller, *, request_id: str, reason: str) -> contract.OpeningLine | Refusal:
        """Refuses a request; what it says of a person is gone at once.

        Refuses: NotAllowed (no agent), OpeningNotFound, RequestDecided, InvalidInput (reason).
        """
        body, at = {"request_id": request_id, "reason": openings.require_reason(reason)}, now()
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "refuse_opening", body):
                return answered
            found = self._in_hand(session, caller, request_id, "refuse")
            if isinstance(found, Refusal):
                return found
            found.reason = reason
            _decide(found, "refused", caller.account_id, at)
            self._traced(session, caller, "opening.changed", found.request_id, purpose="refuse")
            return remember(session, caller, "refuse_opening", body, _line(found, at))

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _received(
        self, session: Session, who: Caller | Context, operation: str, form: dict[str, Any],
        checked: openings.OpeningForm, answered: dict[str, Any] | None, at: datetime,
    ) -> contract.OpeningReceived:  # fmt: skip
        """Keeps a form, or finds the request that this one repeats; the token is new either way and kept nowhere."""
        token = secrets.token_urlsafe(32)
        digest = sha256(token.encode()).digest()
        if answered is None:
            references = [openings.reference_from(secrets.token_bytes(8)) for _ in range(5)]
            made = store_openings.add_request(
                session, checked, references, tracking_digest=digest, received_at=at, due_by=at + openings.LETTER_WITHIN
            )
            answered = {"request_id": made.request_id, "reference": made.reference, "due_by": rfc3339(made.due_by)}
            remember(session, who, operation, form, answered)
        elif known := store_openings.locked_request(session, answered["request_id"]):
            known.tracking_digest = openings.with_digest(bytes(known.tracking_digest), digest)
        self._traced(session, who, "opening.requested", answered["request_id"])
        return {"request_id": answered["request_id"], "reference": answered["reference"], "tracking_token": token,
                "due_by": answered["due_by"]}  # fmt: skip

    def _in_hand(
        self, session: Session, caller: Caller, request_id: str, action: openings.Action
    ) -> OpeningRequest | Refusal:
        """The request, locked, where the action is allowed now; or the refusal, traced."""
        if not openings.may_work(caller.capacity):
            return self._refused(session, caller, "opening.changed", NotAllowed())
        found = store_openings.locked_request(session, rules.as_id(request_id))
        if found is None:
            return self._refused(session, caller, "opening.changed", contract.OpeningNotFound())
        after = openings.step(action, openings.state_of(found.state))
        if isinstance(after, Refusal):
            return self._refused(session, caller, "opening.changed", after, found.request_id)
        return found

    def _patient_of_request(self, session: Session, caller: Caller, found: OpeningRequest, at: datetime) -> str:
        """Who has asked, as a patient: e-mail and phone of the form stand on the sheet from now on.

        Refuses: PatientExists.
        """
        sheet = rules_sheets.require_patient_sheet(openings.person_of(found), day_of(at))
        stored = store_sheets.locked_sheet(session, self._registered(session, caller, sheet, at))
        if stored is None:
            raise RuntimeError("a registered patient has a sheet")
        told = {name: value for name in ("email", "phone") if (value := getattr(sheet, name)) is not None}
        wanted = replace(stored.sheet, **told)
        changes = rules_sheets.changes_between(stored.sheet, wanted)
        if changes:
            store_sheets.write_changes(session, stored, wanted, changes, caller, at)
        return stored.patient_id

    def _sweep_openings(self) -> None:
        at = now()
        with self.db.transaction() as session:
            store_openings.lapse_requests(session, openings.unworked_before(at), at)
            store_openings.forget_counts(session, at - openings.COUNTS_KEPT)


def _followed(found: OpeningRequest | None, token: object) -> OpeningRequest | None:
    """The request, where this is a token that was told with it; the same work for an unknown one."""
    digest = sha256(token.encode() if isinstance(token, str) else b"").digest()
    digests = bytes(found.tracking_digest) if found is not None else bytes(openings.DIGEST)
    return found if openings.has_digest(digests, digest) else None


def _decide(found: OpeningRequest, state: openings.State, by: str | None, at: datetime) -> None:
    found.state, found.decided_at, found.decided_by = state, at, by
    store_openings.empty(found)


def _line(found: OpeningRequest, at: datetime) -> contract.OpeningLine:
    return {
        "request_id": found.request_id, "reference": found.reference, "state": found.state,
        "language": found.language, "affiliated": found.matricule is not None if found.birth_name is not None else None,
        "received_at": rfc3339(found.received_at), "due_by": rfc3339(found.due_by),
        "overdue": openings.is_overdue(found.state, found.due_by, at), "checked_at": _time(found.checked_at),
        "decided_at": _time(found.decided_at), "reason": found.reason, "patient_id": found.patient_id,
    }  # fmt: skip


def _whole(found: OpeningRequest, at: datetime) -> dict[str, Any]:
    """A request as an agent sees it who works it off."""
    differs = (
        found.matricule is not None
        and found.birth_date is not None
        and rules.birth_date_differs(found.matricule, found.birth_date)
    )
    return {
        **_line(found, at), **openings.person_of(found), "birth_date_differs": differs,
        "statement_version": found.statement_version, "signed_on": found.signed_on.isoformat(),
        "signed_at": found.signed_at, "checked_with": found.checked_with, "checked_by": found.checked_by,
        "agent_name": found.checked_by_name, "decided_by": found.decided_by,
    }  # fmt: skip


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None
