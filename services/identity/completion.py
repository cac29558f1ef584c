"""How far an activation is, and its end: the account, or the way back into one, made of what the steps gathered."""

from collections.abc import Callable
from typing import Any, cast

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit
from services.db import now, rfc3339
from services.identity import contract, store_account, store_activation
from services.identity import rules_activation as steps
from services.identity.contract import ActivationComplete, ContactTaken, LuxTrustTaken
from services.identity.desk import Desk, person_facts
from services.identity.models import Activation
from services.refusals import Refusal
from services.tokens import Context


class Completion(Desk):
    """What every step of an activation (activation.py) ends with."""

    def _state(self, session: Session, activation: Activation) -> dict[str, Any]:
        progress = store_activation.progress_of(session, activation)
        return {
            "activation_id": activation.activation_id, "flow": activation.flow,
            "subject_kind": activation.subject_kind, "conditions_version": contract.CONDITIONS_VERSION,
            "steps": steps.steps_of(progress), "next": steps.next_step(progress), "complete": progress.complete,
            "expires_at": rfc3339(activation.expires_at),
        }  # fmt: skip

    def _after_step(self, session: Session, context: Context, activation: Activation, step: str, **more: Any) -> Any:
        """The state after a step, traced; completes the activation when nothing is left to do.

        Refuses: ActivationComplete, and what opens a step again: ContactTaken, LuxTrustTaken.
        """
        if steps.next_step(store_activation.progress_of(session, activation)) is None:
            refusal = self._completed(session, context, activation)
            if refusal is not None:
                return self._refused(session, context, "account.activated", refusal, **about(activation))
        else:
            emit(session, traced(context, "activation.step", at=now(), purpose=step, **about(activation)))
        return {**self._state(session, activation), **more}

    def _completed(self, session: Session, context: Context, activation: Activation) -> Refusal | None:
        """Makes of the account what the steps have gathered.

        What has become somebody else's meanwhile is refused, and its step is open again.
        """
        if store_activation.luxtrust_is_taken(session, activation):
            store_activation.drop_luxtrust(activation)
            return LuxTrustTaken()
        complete = self._recovered if activation.flow == "recovery" else self._account_opened
        try:
            with session.begin_nested():
                tell = complete(session, context, activation)
        except ContactTaken:
            store_activation.reopen_contact(session, activation)
            return ContactTaken()
        except LuxTrustTaken:
            store_activation.drop_luxtrust(activation)
            return LuxTrustTaken()
        except ActivationComplete as quicker:
            return quicker
        tell()
        return None

    def _account_opened(self, session: Session, context: Context, activation: Activation) -> Callable[[], object]:
        """The account, new or with one capacity more; what is to be told of it."""
        at, kind = now(), activation.subject_kind
        account_id = store_activation.complete_activation(session, activation, steps.language_of(context.locale), at)
        if account_id is None:
            raise ActivationComplete()
        subject_id = cast(str, activation.subject_id)
        if activation.conditions_accepted_at is not None:
            return lambda: self._activated(session, context, account_id, kind, subject_id, at)
        return lambda: emit(session, traced(context, "account.activated", at=at, account_id=account_id, purpose="app",
                                            capacity=kind, **person_facts(kind, subject_id)))  # fmt: skip

    def _recovered(self, session: Session, context: Context, activation: Activation) -> Callable[[], object]:
        """The account with its new password and contact, every session ended; what is to be told of it."""
        at, account_id = now(), cast(str, activation.account_id)
        old = store_activation.complete_recovery(session, activation, at)
        if old is None:
            raise ActivationComplete()

        person = person_facts(activation.subject_kind, cast(str, activation.subject_id))

        def tell() -> None:
            store_account.void_resets(session, account_id, at)
            self._end_all(session, context, account_id, "password_reset", at)
            self._notice(session, account_id, "password_reset", at, also=old)
            emit(session, traced(context, "password.reset", at=at, account_id=account_id, purpose="letter",
                                 **person))  # fmt: skip

        return tell


def about(activation: Activation) -> dict[str, Any]:
    """The activation as traces name it, with the person it is for."""
    person = person_facts(activation.subject_kind, activation.subject_id or "")
    return {"object_id": activation.activation_id, "object_type": "activation", **person}
