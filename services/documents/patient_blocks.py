"""Documents that a professional hides from the holder side until they were explained in person [L14 16(5)]."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, fresh_context, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import answers, rules_hidden, store, store_hidden
from services.documents.asking import Asking
from services.documents.contract import (
    BlockReminderDue,
    DocumentBlocked,
    DocumentReleased,
    PatientBlock,
    PatientBlockRead,
)
from services.refusals import InvalidInput, Refusal, Unavailable
from services.settings import load
from services.tokens import Caller

BATCH = 100

log = logging.getLogger(__name__)


class PatientBlocks(Asking):
    """Block, release, and what falls due meanwhile."""

    @rpc
    def block_document(self, caller: Caller, *, document_id: str, reason: str) -> PatientBlock | Refusal:
        """Hides a document from the holder side until a professional releases it; blocked already, nothing changes.

        reason: 1 to 500 characters, for the professionals.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; NotAllowed to the holder side, to a
        professional who may not deposit its category on a ground that reaches it, and for what the holder deposited;
        DocumentUnfinished for what did not pass; InvalidInput (reason); RequestInFlight, KeyReused [L14 16(5); domain,
        Confidentiality].
        """
        clean = rules_hidden.read_reason(reason)
        if clean is None:
            raise InvalidInput(errors=[{"pointer": "/reason", "message": "length"}])
        place = self._find(document_id)
        scope = self._scope(caller, place.record_id)
        at, said = now(), {"document_id": place.document_id, "reason": clean}
        with self.db.transaction(caller) as session:
            row = answers.held(
                session, caller, "document.blocked", scope, place, rules_hidden.may_block, at=at
            )
            if isinstance(row, Refusal):
                return row
            answered: PatientBlock | None = once(session, caller, "block_document", said)
            if answered is not None:
                return answered
            since = row.patient_blocked_at or at
            if row.patient_blocked_at is None:
                store_hidden.block(
                    session, row.document_id, block_id=new_id(), professional_id=scope.author_id or "",
                    account_id=caller.account_id, reason=clean, at=since,
                )  # fmt: skip
                answers.tell(session, row, DocumentBlocked(row.record_id, row.document_id, rfc3339(since)))
            answer: PatientBlock = {"document_id": row.document_id, "blocked": True, "since": rfc3339(since)}
            remember(session, caller, "block_document", said, answer)
            return answer

    @rpc
    def release_document(self, caller: Caller, *, document_id: str) -> PatientBlock | Refusal:
        """Shows a document to the holder side again, now that it was explained; released already, nothing changes.

        Refuses: DocumentNotFound, NotAllowed, DocumentUnfinished, as `block_document` [L14 16(5)].
        """
        place = self._find(document_id)
        scope = self._scope(caller, place.record_id)
        with self.db.transaction(caller) as session:
            row = answers.held(session, caller, "document.released", scope, place, rules_hidden.may_block)
            if isinstance(row, Refusal):
                return row
            if row.patient_blocked_at is not None:
                _release(session, row, row.patient_blocked_at, how="explained", released_by=scope.author_id, at=now())
            return {"document_id": row.document_id, "blocked": False, "since": None}

    @rpc
    def read_patient_block(self, caller: Caller, *, document_id: str) -> PatientBlockRead | Refusal:
        """Gives who blocked a document, since when and why, to a professional who may release it.

        Refuses: DocumentNotFound, NotAllowed, as `block_document` [L14 16(5)].
        """
        place = self._find(document_id)
        scope = self._scope(caller, place.record_id)
        with self.db.transaction(caller) as session:
            row = answers.held(
                session, caller, "document.read", scope, place, rules_hidden.may_block,
                look=store.seen_document,
            )  # fmt: skip
            if isinstance(row, Refusal):
                return row
            found = store_hidden.block_of(session, row.document_id)
            return {
                "document_id": row.document_id,
                "blocked": found is not None,
                "since": None if found is None else rfc3339(found.since),
                "professional_id": None if found is None else found.professional_id,
                "reason": None if found is None else found.reason,
            }

    def _look_after_blocks(self, at: datetime) -> None:
        """Reminds of the blocks that have run long, and ends those that end by themselves where the agency says so.

        Each in a transaction of its own, with a note of what was done: killed in between, it goes on with the next,
        and of two replicas one does it. Dossier is asked before, for who is told too.
        """
        days = load().patient_block_release_days
        release_after = timedelta(days=days) if days > 0 else None
        with self.db.transaction() as session:
            due = store_hidden.blocks_due(
                session, reminded_before=at - rules_hidden.REMINDED_AFTER,
                escalated_before=at - rules_hidden.ESCALATED_AFTER,
                released_before=None if release_after is None else at - release_after, limit=BATCH,
            )  # fmt: skip
        for block in due:
            try:
                referring = self._referring_physician(block, release_after, at)
            except Unavailable:
                log.warning("reminders wait", extra={"kind": "dossier"})
                return
            with self.db.transaction() as session:
                held = store_hidden.claim_block(session, block.block_id)
                if held is not None:
                    _take_step(session, held, release_after, referring, at)

    def _referring_physician(self, block: Any, release_after: timedelta | None, at: datetime) -> str | None:
        """Who is the holder's referring physician, where that matters."""
        if _step(block, release_after, at) != "escalated":
            return None
        told = self.dossier.referring_physician_of(fresh_context(), record_id=block.record_id, at=rfc3339(at))
        found: str | None = told["professional_id"]
        return found


def _step(block: Any, release_after: timedelta | None, at: datetime) -> rules_hidden.Step | None:
    return rules_hidden.step_due(block.since, block.reminded_at, block.escalated_at, release_after, at)


def _take_step(
    session: Session, block: Any, release_after: timedelta | None, referring: str | None, at: datetime
) -> None:
    step = _step(block, release_after, at)
    if step == "released":
        emit(session, traced(None, "document.released", at=at, record_id=block.home_record_id,
                             object_id=block.document_id, object_type="document"))  # fmt: skip
        _release(session, block, block.since, how="automatic", released_by=None, at=at)
    elif step is not None:
        escalated = step == "escalated"
        # The author, and who blocked it where that is somebody else: only they know what there is to explain.
        for whom in dict.fromkeys((block.author_id, block.professional_id)):
            beside = referring if whom == block.author_id else None
            emit(session, BlockReminderDue(
                block.record_id, block.document_id, whom, escalated, beside, rfc3339(at)
            ))  # fmt: skip
        store_hidden.note_reminder(session, block.block_id, at, escalated=escalated)


def _release(session: Session, row: Any, since: datetime, *, how: str, released_by: str | None, at: datetime) -> None:
    store_hidden.release(session, row.document_id, how=how, released_by=released_by, at=at)
    hidden = None if row.withheld_at is None else "withheld"
    answers.tell(session, row, DocumentReleased(row.record_id, row.document_id, rfc3339(at), rfc3339(since), hidden))
