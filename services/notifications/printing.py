"""Printing: one letter at a time, the one due first in front, whole or not at all.

A letter's codes are born here, for its id: a crash between its file and its row prints it again under the same id, and
a repeat replaces the codes and the file, never doubles them. [decisions.md, Identity on the bus]
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from services.bus import fresh_context
from services.db import now
from services.notifications import rules, store_letters
from services.notifications.desk import Desk
from services.notifications.models import Letter
from services.notifications.ports.press import Printed, Sheet
from services.notifications.ports.texts import catalogue
from services.refusals import Refusal, Unavailable
from services.tokens import Context

AT_ONCE = 10  # letters of one round: a service that is told to stop stops within seconds
RECEIVE_LETTERS = ("patient", "professional")  # by post, that is: the directory knows their addresses

log = logging.getLogger(__name__)


class Printing(Desk):
    """What the printer does."""

    def _print_waiting(self, most: int = AT_ONCE) -> bool:
        """Prints letters that wait, the one due first in front; False when a part of the platform is away.

        Each in a transaction of its own, which holds its row: another replica prints another one. One that cannot be
        printed is put off, waits on in the list of the agents and holds up none behind it.
        """
        for _ in range(most):
            with self.db.transaction() as session:
                letter = store_letters.claim_letter(session, now())
                if letter is None:
                    return True
                try:
                    printed = self._print(letter)
                except Exception as failure:  # one letter must not stop the others, whatever is wrong with it
                    outage = isinstance(failure, Unavailable | OSError)
                    _put_off(letter, failure, outage)
                    if outage:
                        return False
                else:
                    letter.state, letter.printed_at, letter.retry_at = "printed", now(), None
                    letter.pages, letter.digest = printed.pages, printed.digest
        return True

    def _tell_overdue(self) -> int:
        """Says how many letters are late, when there are any."""
        with self.db.transaction() as session:
            count = store_letters.count_overdue(session, now())
        if count:
            log.warning("letters overdue", extra={"count": count})
        return count

    def _print(self, letter: Letter) -> Printed:
        """Prints one letter, in the language of whoever gets it; what the press says of its file."""
        kind, subject_id = letter.recipient_kind, letter.recipient_id
        to = self._addressee(letter)
        presence = None
        if letter.record_id is not None:
            presence = self.dossier.issue_presence_code(
                _context(letter), letter_id=letter.letter_id, record_id=letter.record_id
            )["code"]
        issued = self.identity.issue_activation_code(
            _context(letter), letter_id=letter.letter_id, subject_kind=kind, subject_id=subject_id,
            purpose=letter.purpose,
        )  # fmt: skip
        language = letter.language = rules.language_of(to["language"])
        return self.outside.letters.print(
            Sheet(
                letter_id=letter.letter_id,
                occasion=letter.occasion,
                language=language,
                name_lines=tuple(to["name_lines"]),
                address_lines=tuple(to["address_lines"]),
                activation_code=issued["code"],
                activation_expires_at=datetime.fromisoformat(issued["expires_at"]),
                presence_code=presence,
                portal=self.outside.portal,
                reference=letter.reference,
                at=now(),
            )
        )

    def _addressee(self, letter: Letter) -> dict[str, Any]:
        """Whom a letter is addressed to: of a record whose holder is represented, those who represent them.

        Judged when it is printed: a parent recorded while it waited gets it [RGD 2].
        """
        own = self._address(letter.recipient_kind, letter.recipient_id, _context(letter))
        if letter.record_id is None:
            return own
        reached = self.dossier.letter_recipients(_context(letter), record_id=letter.record_id)
        if reached["patient_ids"] == [reached["holder_id"]]:
            return own
        theirs = [self._address("patient", each, _context(letter)) for each in reached["patient_ids"]]
        words = catalogue(rules.language_of(theirs[0]["language"]))["letter"]["represents"]
        return rules.addressed_to(theirs, own["name_lines"], words)

    def _address(self, kind: str, subject_id: str, context: Context) -> dict[str, Any]:
        """Where a letter goes. An agent's is handed over at the agency: the directory knows no address of theirs."""
        if kind == "agent":
            in_person = catalogue(rules.DEFAULT_LANGUAGE)["letter"]["in_person"]
            return {"name_lines": in_person, "address_lines": [], "language": rules.DEFAULT_LANGUAGE}
        whose = {f"{each}_id": subject_id if each == kind else None for each in RECEIVE_LETTERS}
        address: dict[str, Any] = self.directory.letter_address(context, **whose)
        return address


def _context(letter: Letter) -> Context:
    """The context of the letter's event, with the full time for one question."""
    return fresh_context(letter.request_id)


def _put_off(letter: Letter, failure: Exception, outage: bool) -> None:
    letter.attempts += 1
    wait = rules.wait_before_print(letter.attempts, outage)
    letter.retry_at = now() + wait
    log.warning("letter put off", exc_info=failure, extra={
        "object_id": letter.letter_id, "attempts": letter.attempts, "retry_in": wait.total_seconds(),
        "code": failure.code if isinstance(failure, Refusal) else type(failure).__name__})  # fmt: skip
