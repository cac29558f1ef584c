"""The holder side asks an author to put a document right; the author answers, and both see how it stands.

A wish is about somebody's health: it stands here, behind the log-in, and never in an event or a message.
"""

from __future__ import annotations

from datetime import datetime

from services.bus import emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import answers, rules, rules_versions, store, store_rectifications
from services.documents import contract as told
from services.documents.asking import Asking
from services.documents.contract import (
    DocumentUnfinished,
    Rectification,
    RectificationAnswered,
    RectificationAsked,
    RectificationNotFound,
    RectificationOpen,
    RectificationOverdue,
    RectificationSettled,
)
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller

BATCH = 100
ASKED = "rectification.asked"
ANSWERED = "rectification.answered"
SEARCHED = "rectification.searched"


class Rectifications(Asking):
    """The entrypoints of the holder side that asks, and of the authors who are asked."""

    @rpc
    def ask_rectification(self, caller: Caller, *, document_id: str, wish: str) -> Rectification | Refusal:
        """Asks the author of a document to put it right, within 15 days.

        wish: 1 to 2000 characters of the holder side, for the author.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; DocumentGone; NotAllowed to everybody but
        the holder side, and for what has no author who could answer; DocumentUnfinished; RectificationOpen;
        InvalidInput (wish); RequestInFlight, KeyReused [L14 18, RGD 6(3)].
        """
        clean = rules_versions.read_words(wish)
        if clean is None:
            raise InvalidInput(errors=[{"pointer": "/wish", "message": "length"}])
        asked, record_id, home_id = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        at, body = now(), {"document_id": asked, "wish": clean}
        with self.db.transaction(caller) as session:
            row = store.seen_document(session, scope, record_id or new_id(), asked or new_id())
            if row is None or record_id is None:
                return answers.refuse_reading(session, caller, ASKED, scope, place)
            answered: Rectification | None = once(session, caller, "ask_rectification", body)
            fresh = {
                "rectification_id": new_id(), "document_id": row.document_id, "asked_by": caller.account_id,
                "asked_at": at, "wish": clean, "due_at": at + told.RECTIFIED_WITHIN,
            }  # fmt: skip
            refusal: Refusal | None = None
            if not scope.holder_side or row.author_id is None:
                refusal = NotAllowed()
            elif row.state != "available":
                refusal = DocumentUnfinished()
            elif answered is None and not store_rectifications.ask(session, fresh):
                refusal = RectificationOpen()
            if refusal is not None:
                return answers.refuse(session, caller, ASKED, refusal, record_id=home_id, object_id=asked)
            grant = rules.may_read(scope, answers.facts_of(row))
            answers.allow(session, caller, ASKED, grant, record_id=home_id, object_id=asked, at=at)
            if answered is not None:
                return answered
            emit(session, RectificationAsked(
                record_id, row.document_id, fresh["rectification_id"], row.author_id, rfc3339(fresh["due_at"]),
                rfc3339(at),
            ))  # fmt: skip
            [made] = store_rectifications.of_document(session, scope, record_id, row.document_id)[:1]
            return remember(session, caller, "ask_rectification", body, _shown(made, at))  # type: ignore[no-any-return]

    @rpc
    def list_rectifications(self, caller: Caller, *, document_id: str) -> told.Rectifications | Refusal:
        """Gives the holder side, and the author, what was asked about a document and what was answered.

        Refuses: DocumentNotFound, DocumentGone, as `ask_rectification`; NotAllowed to every other professional
        [RGD 6(3)].
        """
        asked, record_id, home_id = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            row = store.seen_document(session, scope, record_id or new_id(), asked or new_id())
            if row is None or record_id is None:
                return answers.refuse_reading(session, caller, SEARCHED, scope, place)
            if not scope.holder_side and (scope.author_id is None or scope.author_id != row.author_id):
                return answers.refuse(session, caller, SEARCHED, NotAllowed(), record_id=home_id, object_id=asked)
            rows = store_rectifications.of_document(session, scope, record_id, row.document_id)
            grant = rules.may_read(scope, answers.facts_of(row))
            answers.allow(
                session, caller, SEARCHED, grant, record_id=home_id, object_id=asked, count=len(rows)
            )  # fmt: skip
            return {"rectifications": [_shown(each, now()) for each in rows]}

    @rpc
    def rectifications_for_me(self, caller: Caller) -> told.Rectifications | Refusal:
        """Gives a professional every request about documents that they wrote and still see, the newest first.

        Refuses: NotAllowed (professionals only).
        """
        at = now()
        rows: list[store.Row] = []
        if caller.capacity == "professional" and caller.professional_id is not None:
            with self.db.transaction() as session:
                rows = list(
                    store_rectifications.asked_of(session, caller.professional_id, told.RECTIFICATIONS_SHOWN)
                )  # fmt: skip
        # dossier says of each record whether its authors read in it now: a closed one is closed to them too
        scopes = {record_id: self._scope(caller, record_id) for record_id in {row.record_id for row in rows}}
        with self.db.transaction(caller) as session:
            if caller.capacity != "professional" or caller.professional_id is None:
                return answers.refuse(session, caller, SEARCHED, NotAllowed(), record_id=None)
            shown = [row for row in rows if scopes[row.record_id].author_id == row.author_id]
            answers.allow(session, caller, SEARCHED, rules.AUTHOR, record_id=None, count=len(shown))
            return {"rectifications": [_shown(row, at) for row in shown]}

    @rpc
    def answer_rectification(
        self, caller: Caller, *, rectification_id: str, answer: str, words: str | None = None
    ) -> Rectification | Refusal:
        """Answers what the author was asked: done, usually with a new version made before, or refused, and why.

        words: 1 to 2000 characters for the holder side; a refusal needs them. The same answer again changes nothing.

        Refuses: RectificationNotFound to everybody but the author; RectificationSettled; InvalidInput [RGD 6(3)].
        """
        clean = None if words is None else rules_versions.read_words(words)
        errors = [] if answer in told.RECTIFICATION_ANSWERS else [{"pointer": "/answer", "message": "choice"}]
        if clean is None and (words is not None or answer == "refused"):
            errors.append({"pointer": "/words", "message": "required" if words is None else "length"})
        if errors:
            raise InvalidInput(errors=errors)
        asked = rules.canonical_id(rectification_id) or new_id()
        with self.db.transaction() as session:
            document_id, record_id, home_id = store_rectifications.place_of(session, asked)
        scope = self._scope(caller, record_id)
        at = now()
        with self.db.transaction(caller) as session:
            row = store_rectifications.lock(session, scope, record_id or new_id(), asked)
            refusal: Refusal | None = None
            if row is None or record_id is None:
                refusal = RectificationNotFound()
            elif row.answered_at is not None and (row.answer, row.words) != (answer, clean):
                refusal = RectificationSettled()
            if refusal is not None or row is None:
                refusal = refusal or RectificationNotFound()
                return answers.refuse(
                    session, caller, ANSWERED, refusal, record_id=home_id, object_id=document_id
                )  # fmt: skip
            answers.allow(
                session, caller, ANSWERED, rules.AUTHOR, record_id=home_id, object_id=row.document_id, at=at
            )  # fmt: skip
            if row.answered_at is None:
                store_rectifications.answer(
                    session, row, answered_by=row.author_id, answer=answer, words=clean, at=at
                )  # fmt: skip
                emit(session, RectificationAnswered(
                    row.record_id, row.document_id, row.rectification_id, row.author_id, answer, rfc3339(at)
                ))  # fmt: skip
                row = store_rectifications.lock(session, scope, row.record_id, asked)
            return _shown(row, at)

    def _look_after_rectifications(self, at: datetime) -> None:
        """Tells of requests whose day has passed without an answer, a batch a time, each once."""
        with self.db.transaction() as session:
            for row in store_rectifications.overdue(session, at, BATCH):
                emit(session, RectificationOverdue(
                    row.record_id, row.document_id, row.rectification_id, row.author_id, rfc3339(at)
                ))  # fmt: skip


def _shown(row: store.Row, at: datetime) -> Rectification:
    return {
        "rectification_id": row.rectification_id, "record_id": row.record_id, "document_id": row.document_id,
        "professional_id": row.author_id, "wish": row.wish, "asked_at": rfc3339(row.asked_at),
        "due_at": rfc3339(row.due_at), "overdue": row.answered_at is None and row.due_at <= at,
        "answer": row.answer, "words": row.words,
        "answered_at": None if row.answered_at is None else rfc3339(row.answered_at), "version_id": row.version_id,
    }  # fmt: skip
