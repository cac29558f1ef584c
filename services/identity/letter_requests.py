"""Lost letters: whoever has none asks for a new one, and nobody learns from the answer who got one."""

from typing import Any

from services.audit.contract import traced
from services.bus import emit, rpc_public
from services.db import now, once, remember
from services.identity import rules, store, store_letters
from services.identity import rules_activation as letters
from services.identity.desk import Desk
from services.refusals import TooManyTries
from services.tokens import Context


class LetterRequests(Desk):
    """The entrypoint for lost letters."""

    @rpc_public
    def request_letter(self, context: Context, *, matricule: str, kind: str) -> Any:
        """Sends a new activation letter to the registered address of somebody who had one and has not activated yet.

        kind: patient or professional. The answer is the same for everybody: unknown, active already, asked too soon.
        Refuses: InvalidInput (not 13 digits, kind), TooManyTries. [seed 001, 2; domain.md, Accounts]
        """
        digits, kind = rules.normal_matricule(matricule), letters.require_addressee(kind)
        name = self.key.log_in_name(digits)
        person = self.directory.person_of_matricule(context.without_token(), matricule=digits)
        throttle, at = self._throttle("letter", name, context), now()
        body = {"name": name.hex(), "kind": kind}  # the keyed name: no bare digest of a matricule lies in a table
        known = {"patient_id": person["patient_id"], "professional_id": person["professional_id"]}
        with self.db.transaction(context) as session:
            if answered := once(session, context, "request_letter", body):
                return answered
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, context, "letter.requested", TooManyTries(retry_after=wait), **known)
            store_letters.lock_requests_of(session, name)
            subject_id = known[f"{kind}_id"]
            sent = store_letters.letters_sent(session, kind, subject_id, at - letters.LETTERS_COUNTED)
            if subject_id is not None and letters.another_letter_is_due(sent, at):
                self._reissue(session, context, kind, subject_id, "activation", at)
            emit(session, traced(context, "letter.requested", at=at, purpose=kind, **known))
            answer = {"again_after": int(letters.LETTER_PAUSE.total_seconds())}
            return remember(session, context, "request_letter", body, answer)
