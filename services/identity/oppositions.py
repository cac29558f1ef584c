"""Oppositions: whoever got a letter and wants no record shows its code for that, instead of activating [RGD 3]."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit, on, rpc_public
from services.db import now, rfc3339
from services.dossier.contract import RecordStateChanged
from services.identity import rules, store_activation, store_letters
from services.identity import rules_activation as steps
from services.identity.activation import OPPOSED, Activations
from services.identity.contract import RecordOpposed
from services.identity.models import ActivationLetter
from services.tokens import Context


class Oppositions(Activations):
    """The entrypoint of an opposition, and what one at the agency means for a letter that is out."""

    @rpc_public
    def oppose_record(self, context: Context, *, matricule: str, activation_code: str) -> Any:
        """Uses up the letter's code to have no record: it is deleted before it is active; its activation ends.

        As dear, slow and silent as beginning an activation, and counted with it; a repeat gets the first answer.
        Refuses: InvalidInput (not 13 digits), TooManyTries, ActivationRefused: one and the same for an unknown
        matricule, a wrong, used, replaced or expired code, and for who has an account. [RGD 3; domain: Life]
        """
        digits = rules.normal_matricule(matricule)

        def oppose(session: Session, letter: ActivationLetter, _name: bytes) -> Any:
            at, patient_id = now(), letter.subject_id
            received_at = store_letters.oppose_with_letter(session, letter.letter_id, at)
            if received_at == at:
                _end_activation(session, patient_id, at)
                emit(session, RecordOpposed(patient_id, rfc3339(at)))
            emit(session, traced(context, OPPOSED, at=at, purpose="online", patient_id=patient_id))
            return {"received_at": rfc3339(received_at)}

        return self._shown_letter(context, digits, activation_code, steps.opposes, oppose, action=OPPOSED)

    @on("dossier", RecordStateChanged)
    def on_record_state_changed(self, session: Session, event: Received) -> None:
        """A record was opposed, perhaps by post or at the helpdesk: its letter leads nowhere any more.

        A letter sent after that is of another record.
        """
        told: RecordStateChanged = event.data
        if (told.state, told.cause) == ("deleted", "opposition") and told.patient_id is not None:
            _end_activation(session, told.patient_id, datetime.fromisoformat(event.time))


def _end_activation(session: Session, patient_id: str, until: datetime) -> None:
    """Nobody activates any more with a letter that a patient got until then, nor goes on with what was begun."""
    store_letters.void_letters(session, "patient", patient_id, until, now())
    store_activation.void_unfinished(session, "patient", patient_id, until)
