"""Letters: due from their event on, printed soon after, with codes that are born for the letter's id.

A handler only puts its letter down, so that a million of them at once keep nobody's one-time code waiting; the printer
(printing.py) takes them in the order in which they are due.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit, on, rpc
from services.db import now, rfc3339
from services.dossier.contract import RecordOpened
from services.identity.contract import AccountInvited
from services.notifications import rules, store_letters
from services.notifications.contract import LetterPage
from services.notifications.desk import Desk
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller

PAGE_LIMIT = 100


class Letters(Desk):
    """What makes a letter due, and the queue as the agency's agents see it."""

    @on("dossier", RecordOpened, together=True)
    def on_record_opened(self, session: Session, events: Sequence[Received]) -> None:
        """Puts down the letter of a new record: codes, and the holder's rights in words, within 7 days [seed 002]."""
        store_letters.add_letters(session, [
            {
                "letter_id": rules.letter_id_for(event.id, event.data.patient_id), "event_id": event.id,
                "request_id": event.context.request_id, "occasion": "record_opened", "recipient_kind": "patient",
                "recipient_id": event.data.patient_id, "record_id": event.data.record_id, "purpose": "activation",
                "reference": "", "due_by": rules.letter_due_by(event.data.requested_at or event.time),
            }
            for event in events
        ])  # fmt: skip

    @on("identity", AccountInvited, together=True)
    def on_account_invited(self, session: Session, events: Sequence[Received]) -> None:
        """Puts down the letter with which somebody activates an account, or finds back into it.

        A patient gets it for a letter that was lost: without a presence code, the one they have stays good.
        """
        store_letters.add_letters(session, [
            {
                "letter_id": rules.letter_id_for(event.id, event.data.subject_id), "event_id": event.id,
                "request_id": event.context.request_id,
                "occasion": rules.letter_of_invited(event.data.subject_kind, event.data.purpose),
                "recipient_kind": event.data.subject_kind, "recipient_id": event.data.subject_id, "record_id": None,
                "purpose": event.data.purpose, "reference": event.data.invitation_id,
                "due_by": rules.letter_due_by(event.time),
            }
            for event in events
        ])  # fmt: skip

    @rpc
    def list_letters(
        self, caller: Caller, *, state: str = "waiting", limit: int = 50, cursor: str | None = None
    ) -> LetterPage | Refusal:
        """A page of letters: those that wait, the one due first in front, or those printed, the newest in front.

        No name, no address, no code: only that there is a letter, why, and how late it is.
        Refuses: NotAllowed (agents only), InvalidInput. [seed 002: at most 7 days]
        """
        errors = rules.wrong_letter_page(state, limit, cursor, PAGE_LIMIT)
        if errors:
            raise InvalidInput(errors=errors)
        at = now()
        with self.db.transaction(caller) as session:
            if not rules.may_see_letters(caller.capacity):
                refusal = NotAllowed()
                emit(session, traced(caller, "letter.searched", at=at, outcome="refused", reason=refusal.code))
                return refusal
            found = store_letters.letters_page(session, state, cursor, limit + 1)
            page = found[:limit]
            emit(session, traced(caller, "letter.searched", at=at, count=len(page)))
        return {
            "letters": [rules.shown_letter(_facts(letter), at, rfc3339) for letter in page],
            "next_cursor": page[-1].letter_id if len(found) > limit else None,
        }


def _facts(letter: Any) -> dict[str, Any]:
    return {name: getattr(letter, name) for name in ("letter_id", "occasion", "state", "due_by", "printed_at")}
