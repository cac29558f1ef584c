"""Wishes of a holder about deposits during care: to oppose them, or to ask for one [RGD 6(3), 9(2)].

An opposed deposit is refused in the words of a missing right, so that nothing tells of the wish; that it was tried is
counted for the holder, without anything of what it would have been.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import answers, contract, rules, rules_wishes, store, store_wishes
from services.documents.asking import Asking, Depositor, of_others
from services.documents.contract import (
    DepositOpposed,
    DepositRequested,
    DepositWishChanged,
    TypeNotDepositable,
    Wish,
    WishNotFound,
)
from services.documents.document_types import document_types
from services.documents.rules_findings import Findings
from services.dossier.contract import AccessScope, RecordNotFound
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller

BATCH = 100
_ACTIONS = {"opposed": "deposit.opposed", "requested": "deposit.requested"}


class Wishes(Asking):
    """The entrypoints of the holder side, and of the professionals whom it asks."""

    @rpc
    def wish_deposit(
        self, caller: Caller, *, record_id: str, kind: str, professional_id: str | None = None,
        establishment_id: str | None = None, mandate_id: str | None = None, type: str | None = None,
    ) -> Wish | Refusal:  # fmt: skip
        """Opposes deposits, or asks for one that is due in 15 days.

        kind: opposed or requested. Of whom: one of professional_id, establishment_id and mandate_id (a stay, an order
        or a presence); a request names the professional. type: of document, None for every one. Opposing an order ends
        it, as its holder always could.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed; InvalidInput; MandateNotFound,
        ProfessionalNotFound; TooManyWishes [RGD 6(3), 9(2)].
        """
        _require_whom(kind, professional_id, establishment_id, mandate_id, type)
        body = {"record_id": record_id, "kind": kind, "professional_id": professional_id,
                "establishment_id": establishment_id, "mandate_id": mandate_id, "type": type}  # fmt: skip
        asked, at = rules.canonical_id(record_id), now()
        scope = self._scope(caller, asked)
        told = self._whom(caller, scope, asked, professional_id, establishment_id, mandate_id)
        with self.db.transaction(caller) as session:
            action = _ACTIONS[kind]
            if asked is None or isinstance(told, Refusal):
                refusal = told if isinstance(told, Refusal) else RecordNotFound()
                return answers.refuse(session, caller, action, refusal, record_id=asked)
            answered: Wish | None = once(session, caller, "wish_deposit", body)
            if answered is not None:
                return answered
            if store_wishes.standing(session, asked) >= contract.WISHES_SHOWN:
                return answers.refuse(session, caller, action, contract.TooManyWishes(), record_id=asked)
            row = store_wishes.add(session, {
                "wish_id": new_id(), "record_id": asked, "home_record_id": asked, "kind": kind, "type": type,
                "mandate_id": mandate_id, **told, "account_id": caller.account_id, "since": at,
                "due_at": at + contract.DUE if kind == "requested" else None,
            })  # fmt: skip
            grant = rules.ground_of_list(scope)
            answers.allow(
                session, caller, action, grant, record_id=asked, object_id=row.wish_id, object_type="deposit_wish"
            )
            emit(session, _begun(row, at))
            answer: Wish = remember(session, caller, "wish_deposit", body, _shown(row, at, holder_side=True))
            return answer

    @rpc
    def list_wishes(self, caller: Caller, *, record_id: str) -> contract.Wishes | Refusal:
        """Gives the holder side all wishes of a record, the newest first; a professional what they were asked for.

        What met a request is named to who may see it; to others the request looks as if nothing had.

        Refuses: RecordNotFound without a ground (RecordClosed to the holder).
        """
        asked, at = rules.canonical_id(record_id), now()
        scope = self._scope(caller, asked)
        with self.db.transaction(caller) as session:
            if asked is None or not scope.clauses:
                return answers.refuse(session, caller, "deposit.searched", answers.no_ground(scope), record_id=asked)
            if scope.holder_side:
                rows = store_wishes.of_record(session, scope, asked, contract.WISHES_SHOWN)
            else:
                professional_id = caller.professional_id or new_id()
                rows = store_wishes.asked_of(session, professional_id, asked, contract.WISHES_SHOWN)
            grant = rules.ground_of_list(scope)
            answers.allow(session, caller, "deposit.searched", grant, record_id=asked, count=len(rows))
            return {"wishes": [_shown(row, at, holder_side=scope.holder_side) for row in rows]}

    @rpc
    def wishes_for_me(self, caller: Caller) -> contract.Wishes | Refusal:
        """Gives a professional every deposit they were asked for, in all records, the newest first.

        Refuses: NotAllowed (professionals only).
        """
        at = now()
        with self.db.transaction(caller) as session:
            if caller.capacity != "professional" or caller.professional_id is None:
                return answers.refuse(session, caller, "deposit.searched", NotAllowed(), record_id=None)
            rows = store_wishes.asked_of(session, caller.professional_id, None, contract.WISHES_SHOWN)
            answers.allow(session, caller, "deposit.searched", rules.AUTHOR, record_id=None, count=len(rows))
            return {"wishes": [_shown(row, at, holder_side=False) for row in rows]}

    @rpc
    def withdraw_wish(self, caller: Caller, *, wish_id: str) -> dict[str, str] | Refusal:
        """Takes a wish back; one that was taken back stays so. An order that was opposed stays ended.

        Refuses: WishNotFound (to everybody but the holder side; one that was met).
        """
        asked, at = rules.canonical_id(wish_id) or new_id(), now()
        with self.db.transaction() as session:
            record_id = store_wishes.record_of(session, asked)
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            row = None
            if record_id is not None and scope.holder_side and scope.clauses:
                row = store_wishes.withdraw(session, record_id, asked, at)
                if row is None and not store_wishes.is_withdrawn(session, record_id, asked):
                    record_id = None
            else:
                record_id = None
            action, kind = "deposit.wish_ended", "deposit_wish"
            if record_id is None:
                return answers.refuse(
                    session, caller, action, WishNotFound(), record_id=None, object_id=asked, object_type=kind
                )
            grant = rules.ground_of_list(scope)
            answers.allow(
                session, caller, action, grant, record_id=record_id, object_id=asked, object_type=kind
            )  # fmt: skip
            if row is not None:
                emit(session, _changed(row, "withdrawn", at))
            return {"wish_id": asked}

    def _whom(
        self, caller: Caller, scope: AccessScope, record_id: str | None, professional_id: str | None,
        establishment_id: str | None, mandate_id: str | None,
    ) -> dict[str, Any] | Refusal:  # fmt: skip
        """Whom a wish is about, as dossier knows them; asked of the holder side alone, with no transaction open."""
        if record_id is None or not scope.holder_side:
            return RecordNotFound()
        if not scope.clauses:
            return answers.no_ground(scope)
        if establishment_id is not None:
            return {"professional_id": None, "establishment_id": establishment_id, "ground": None}
        told: dict[str, Any] | Refusal = of_others(
            self.dossier.whom_of_wish, caller, record_id=record_id, professional_id=professional_id,
            mandate_id=mandate_id,
        )  # fmt: skip
        if not isinstance(told, Refusal) and told["ground"] == "order":
            self.dossier.end_mandate(caller, record_id=record_id, mandate_id=mandate_id)
        return told

    def _look_after_wishes(self, at: datetime) -> None:
        """Tells of requests whose day has come, a batch a time, each once."""
        with self.db.transaction() as session:
            for row in store_wishes.overdue(session, at, BATCH):
                emit(session, _changed(row, "overdue", at))


def refused(
    session: Session, who: Depositor, kind: rules.DocumentType, wishes: Sequence[store.Row]
) -> TypeNotDepositable | None:
    """The refusal of a deposit that a wish stands against, counted for the holder; None where none does."""
    against = rules_wishes.may_deposit(who.scope, kind, wishes, _who(who))
    if not isinstance(against, str):
        return None
    store_wishes.note_try(session, against, now())
    return TypeNotDepositable()


def granted(who: Depositor, kind: rules.DocumentType, wishes: Sequence[store.Row]) -> rules.Grant | None:
    """What lets somebody deposit whom no wish stands against."""
    found = rules_wishes.may_deposit(who.scope, kind, wishes, _who(who))
    return found if isinstance(found, rules.Grant) else None


def keep_met(session: Session, row: store.Row, _findings: Findings, at: datetime) -> None:
    """Ends the request that a new document meets, once it passed the close look."""
    if row.number != 1 or row.author_id is None:
        return
    met = store_wishes.meet(session, row.record_id, row.author_id, row.type, row.document_id, at)
    if met is not None:
        emit(session, _changed(met, "met", at))


def _who(who: Depositor) -> tuple[str | None, str | None]:
    return who.caller.professional_id, who.caller.establishment_id


def _begun(row: store.Row, at: datetime) -> DepositRequested | DepositOpposed:
    if row.kind == "requested":
        return DepositRequested(
            row.record_id, row.wish_id, row.professional_id, row.type, rfc3339(row.due_at), rfc3339(at)
        )
    return DepositOpposed(row.record_id, row.wish_id, row.mandate_id, row.professional_id, rfc3339(at))


def _changed(row: store.Row, outcome: str, at: datetime) -> DepositWishChanged:
    whom = row.professional_id if row.kind == "requested" else None
    return DepositWishChanged(row.record_id, row.wish_id, whom, outcome, rfc3339(at))


def _shown(row: Any, at: datetime, *, holder_side: bool) -> Wish:
    """A wish as its reader may see it: what a hidden document met is shown as not met yet."""
    hidden = row.outcome == "met" and not row.seen
    outcome = ("overdue" if row.due_at <= at else None) if hidden else row.outcome
    return {
        "wish_id": row.wish_id, "record_id": row.record_id, "kind": row.kind,
        "professional_id": row.professional_id, "establishment_id": row.establishment_id,
        "mandate_id": row.mandate_id, "type": row.type, "since": rfc3339(row.since),
        "due_at": None if row.due_at is None else rfc3339(row.due_at),
        "ended_at": None if hidden or row.until is None else rfc3339(row.until), "outcome": outcome,
        "document_id": None if hidden else row.document_id, "tries": row.tries if holder_side else None,
    }  # fmt: skip


def _require_whom(
    kind: object, professional_id: object, establishment_id: object, mandate_id: object, type: object
) -> None:
    named = {"professional_id": professional_id, "establishment_id": establishment_id, "mandate_id": mandate_id}
    given = {name: value for name, value in named.items() if value is not None}
    errors = [
        {"pointer": f"/{name}", "message": "uuid"} for name, value in given.items() if rules.canonical_id(value) is None
    ]
    if kind not in contract.WISH_KINDS:
        errors.append({"pointer": "/kind", "message": "choice"})
    if len(given) != 1 or (kind == "requested" and professional_id is None):
        errors.append({"pointer": "/professional_id", "message": "whom"})
    if type is not None and type not in document_types():
        errors.append({"pointer": "/type", "message": "unknown"})
    if errors:
        raise InvalidInput(errors=errors)
