"""Print batches: what the agency gives to the print shop together, what came back, and what has to be printed again.

The codes of a letter stand on its file alone: the file is deleted once the shop has confirmed the batch, and a letter
that got lost is printed anew, with new codes. No agent sees a file: the shop takes them from the folder.
"""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, fresh_context, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.notifications import rules, rules_batches, store_batches
from services.notifications.contract_letters import (
    BATCH_LIMIT,
    BatchPage,
    LetterBatchNotFound,
    LetterNotFound,
    Manifest,
    NoLetters,
    ShownBatch,
    ShownLetter,
)
from services.notifications.desk import Desk
from services.notifications.models import Letter
from services.notifications.models_batches import LetterBatch
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller

PAGE_LIMIT = 100

log = logging.getLogger(__name__)


class Batches(Desk):
    """The entrypoints of batches, for the agency's agents, and the work on their files."""

    @rpc
    def make_letter_batch(self, caller: Caller, *, limit: int = BATCH_LIMIT) -> Manifest | Refusal:
        """Puts the letters that lie printed into one batch, the one due first in front; its manifest.

        limit: how many at most. The manifest is laid beside the files too.
        Refuses: NotAllowed (agents only), InvalidInput, NoLetters, RequestInFlight, KeyReused.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= BATCH_LIMIT:
            raise InvalidInput(errors=[{"pointer": "/limit", "message": "range"}])
        with self.db.transaction(caller) as session:
            if not rules.may_see_letters(caller.capacity):
                return _refused(session, caller, "letter.batched", NotAllowed())
            done: Manifest | None = once(session, caller, "make_letter_batch", {"limit": limit})
            if done is not None:
                return done
            letters = store_batches.unbatched_letters(session, limit)
            if not letters:
                return _refused(session, caller, "letter.batched", NoLetters())
            batch = LetterBatch(batch_id=new_id(), state="open", size=len(letters), made_at=now(),
                                made_by=caller.account_id, confirmed_at=None, files_due=True)  # fmt: skip
            session.add(batch)
            session.flush()
            for place, letter in enumerate(letters, 1):
                letter.batch_id, letter.place = batch.batch_id, place
            emit(session, traced(caller, "letter.batched", at=batch.made_at, object_id=batch.batch_id,
                                 object_type="letter_batch", count=len(letters)))  # fmt: skip
            answer: Manifest = remember(session, caller, "make_letter_batch", {"limit": limit},
                                        _manifest(batch, letters))  # fmt: skip
        self._work_files()
        return answer

    @rpc
    def list_letter_batches(
        self, caller: Caller, *, limit: int = 50, cursor: str | None = None
    ) -> BatchPage | Refusal:  # fmt: skip
        """A page of batches, newest first. Refuses: NotAllowed (agents only), InvalidInput."""
        errors = rules.wrong_page(None, limit, cursor, PAGE_LIMIT)
        if errors:
            raise InvalidInput(errors=errors)
        with self.db.transaction(caller) as session:
            if not rules.may_see_letters(caller.capacity):
                return _refused(session, caller, "letter.searched", NotAllowed())
            found = store_batches.batches_page(session, cursor, limit + 1)
            page = found[:limit]
            emit(session, traced(caller, "letter.searched", at=now(), object_type="letter_batch", count=len(page)))
        return {"batches": [_shown(batch) for batch in page],
                "next_cursor": page[-1].batch_id if len(found) > limit else None}  # fmt: skip

    @rpc
    def read_letter_batch(self, caller: Caller, *, batch_id: str) -> Manifest | Refusal:
        """The manifest of a batch. Refuses: NotAllowed (agents only), LetterBatchNotFound."""
        with self.db.transaction(caller) as session:
            if not rules.may_see_letters(caller.capacity):
                return _refused(session, caller, "letter.searched", NotAllowed())
            batch = store_batches.batch(session, batch_id) if rules.is_id(batch_id) else None
            if batch is None:
                return _refused(session, caller, "letter.searched", LetterBatchNotFound())
            letters = store_batches.letters_of_batch(session, batch_id)
            emit(session, traced(caller, "letter.searched", at=now(), object_id=batch_id, object_type="letter_batch",
                                 count=len(letters)))  # fmt: skip
            return _manifest(batch, letters)

    @rpc
    def confirm_letter_batch(self, caller: Caller, *, batch_id: str) -> ShownBatch | Refusal:
        """The print shop has put all letters of a batch into the post: their files are deleted. The same at a repeat.

        Refuses: NotAllowed (agents only), LetterBatchNotFound.
        """
        with self.db.transaction(caller) as session:
            if not rules.may_see_letters(caller.capacity):
                return _refused(session, caller, "letter.posted", NotAllowed())
            batch = store_batches.batch(session, batch_id, locked=True) if rules.is_id(batch_id) else None
            if batch is None:
                return _refused(session, caller, "letter.posted", LetterBatchNotFound())
            if batch.state == "open":
                batch.state, batch.confirmed_at, batch.confirmed_by = "confirmed", now(), caller.account_id
                batch.files_due = True
                store_batches.post_letters(session, batch_id)
            emit(session, traced(caller, "letter.posted", at=now(), object_id=batch_id, object_type="letter_batch",
                                 count=batch.size))  # fmt: skip
            answer = _shown(batch)
        self._work_files()
        return answer

    @rpc
    def reprint_letter(self, caller: Caller, *, letter_id: str) -> ShownLetter | Refusal:
        """Has a letter that got lost printed again, with new codes: from that printing on the old ones are void.

        One that waits to be printed stays as it is. Refuses: NotAllowed (agents only), LetterNotFound, LetterInBatch,
        LetterSpent, RequestInFlight, KeyReused.
        """
        with self.db.transaction(caller) as session:
            if not rules.may_see_letters(caller.capacity):
                return _refused(session, caller, "letter.reprinted", NotAllowed())
            done: ShownLetter | None = once(session, caller, "reprint_letter", {"letter_id": letter_id})
            if done is not None:
                return done
            letter = store_batches.letter(session, letter_id) if rules.is_id(letter_id) else None
            if letter is None:
                return _refused(session, caller, "letter.reprinted", LetterNotFound())
            batch = store_batches.batch(session, letter.batch_id, locked=True) if letter.batch_id is not None else None
            refusal = rules_batches.cannot_reprint(
                letter.state, letter.printed_at, batch.state if batch is not None else None, self._activated(letter),
                now(),
            )  # fmt: skip
            if refusal is not None:
                return _refused(session, caller, "letter.reprinted", refusal, letter_id)
            if letter.state != "waiting":
                letter.state, letter.printed_at, letter.batch_id, letter.place = "waiting", None, None, None
                letter.pages = letter.digest = letter.retry_at = None
                letter.attempts = 0
            emit(session, traced(caller, "letter.reprinted", at=now(), object_id=letter_id, object_type="letter"))
            shown: ShownLetter = remember(session, caller, "reprint_letter", {"letter_id": letter_id},
                                          rules.shown_letter(vars(letter), now(), rfc3339))  # fmt: skip
            return shown

    def _activated(self, letter: Letter) -> bool:
        """Whether the person of a letter has the account that it was to activate."""
        if letter.purpose != "activation" or letter.recipient_kind not in ("patient", "professional"):
            return False
        whose = {f"{kind}_id": None for kind in ("patient", "professional")}
        known = self.identity.contacts_of(
            fresh_context(letter.request_id), **{**whose, f"{letter.recipient_kind}_id": letter.recipient_id}
        )
        return known["language"] is not None

    def _work_files(self) -> None:
        """Lays manifests beside their letters, and deletes the files of batches that are in the post.

        What cannot be done now is done later: the timer comes by.
        """
        try:
            while self._work_files_of_one():
                pass
        except OSError as failure:
            log.warning("letter files wait", extra={"kind": type(failure).__name__})

    def _work_files_of_one(self) -> bool:
        with self.db.transaction() as session:
            batch = store_batches.claim_files_due(session)
            if batch is None:
                return False
            letters = store_batches.letters_of_batch(session, batch.batch_id)
            if batch.state == "open":
                self.outside.folder.write_manifest(batch.batch_id, dict(_manifest(batch, letters)))
            else:
                names = [rules_batches.file_of(letter.letter_id) for letter in letters]
                self.outside.folder.remove(batch.batch_id, names)
            batch.files_due = False
        return True


def _shown(batch: LetterBatch) -> ShownBatch:
    return rules_batches.shown_batch(vars(batch), rfc3339)


def _manifest(batch: LetterBatch, letters: Any) -> Manifest:
    return rules_batches.manifest(vars(batch), [vars(letter) for letter in letters], rfc3339)


def _refused(
    session: Session, caller: Caller, action: str, refusal: Refusal, letter_id: str | None = None
) -> Refusal:  # fmt: skip
    about = {"object_id": letter_id, "object_type": "letter"} if letter_id is not None else {}
    emit(session, traced(caller, action, at=now(), outcome="refused", reason=refusal.code, **about))  # type: ignore[arg-type]
    return refusal
