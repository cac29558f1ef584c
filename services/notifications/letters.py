"""Letters: printed once per event and person, with codes that are born for the letter's id.

A crash in between repeats the whole under the same letter id: the codes and the file are replaced, never doubled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Received, on
from services.db import now
from services.dossier.contract import RecordOpened
from services.identity.contract import AccountInvited
from services.notifications import rules, store
from services.notifications.desk import Desk
from services.notifications.ports.letters import Sheet
from services.notifications.ports.texts import catalogue
from services.tokens import Context

RECEIVE_LETTERS = ("patient", "professional")  # by post, that is: the directory knows their addresses


class Letters(Desk):
    """The handlers that print."""

    @on("dossier", RecordOpened)
    def on_record_opened(self, session: Session, event: Received) -> None:
        """Prints the letter of a new record: activation code, presence code, and the holder's rights in words.

        The codes are born here, for this letter's id; a repeat replaces them and the file. [RGD 2, decisions.md]
        """
        opened: RecordOpened = event.data
        letter_id = rules.letter_id_for(event.id, opened.patient_id)
        if store.letter_printed(session, letter_id):
            return
        to = self.directory.letter_address(event.context, patient_id=opened.patient_id, professional_id=None)
        presence = self.dossier.issue_presence_code(event.context, letter_id=letter_id, record_id=opened.record_id)
        self._print(
            session, event, letter_id, "record_opened", ("patient", opened.patient_id), to,
            record_id=opened.record_id, presence_code=presence["code"],
        )  # fmt: skip

    @on("identity", AccountInvited)
    def on_account_invited(self, session: Session, event: Received) -> None:
        """Prints the letter with which somebody activates an account, or finds back into it.

        A patient gets it for a letter that was lost: without a presence code, the one they have stays good.
        An agent's letter is handed over at the agency: the directory knows no address of theirs.
        """
        invited: AccountInvited = event.data
        letter_id = rules.letter_id_for(event.id, invited.subject_id)
        if store.letter_printed(session, letter_id):
            return
        occasion = rules.letter_of_invited(invited.subject_kind, invited.purpose)
        to = self._address_of_invited(event.context, invited)
        self._print(
            session, event, letter_id, occasion, (invited.subject_kind, invited.subject_id), to,
            reference=invited.invitation_id, purpose=invited.purpose,
        )  # fmt: skip

    def _address_of_invited(self, context: Context, invited: AccountInvited) -> dict[str, Any]:
        if invited.subject_kind == "agent":
            in_person = catalogue(rules.DEFAULT_LANGUAGE)["letter"]["in_person"]
            return {"name_lines": in_person, "address_lines": [], "language": rules.DEFAULT_LANGUAGE}
        whose = {f"{kind}_id": invited.subject_id if kind == invited.subject_kind else None for kind in RECEIVE_LETTERS}
        address: dict[str, Any] = self.directory.letter_address(context, **whose)
        return address

    def _print(
        self, session: Session, event: Received, letter_id: str, occasion: str, subject: tuple[str, str],
        to: dict[str, Any], *, record_id: str | None = None, presence_code: str | None = None, reference: str = "",
        purpose: str = "activation",
    ) -> None:  # fmt: skip
        kind, subject_id = subject
        issued = self.identity.issue_activation_code(
            event.context, letter_id=letter_id, subject_kind=kind, subject_id=subject_id, purpose=purpose
        )
        language, at = rules.language_of(to["language"]), now()
        self.outside.letters.print(
            Sheet(
                letter_id=letter_id,
                occasion=occasion,
                language=language,
                name_lines=tuple(to["name_lines"]),
                address_lines=tuple(to["address_lines"]),
                activation_code=issued["code"],
                activation_expires_at=datetime.fromisoformat(issued["expires_at"]),
                presence_code=presence_code,
                portal=self.outside.portal,
                reference=reference,
                at=at,
            )
        )
        store.keep_letter(
            session, letter_id=letter_id, event_id=event.id, occasion=occasion, recipient_kind=kind,
            recipient_id=subject_id, record_id=record_id, language=language, printed_at=at,
        )  # fmt: skip
