"""Activation: from the code on a letter to an account, step by step.

Every refusal that follows a guess is returned, not raised: its try and its trace are committed.
"""

from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc_public
from services.db import now, rfc3339
from services.identity import contract, rules, store, store_activation
from services.identity import rules_passwords as passwords
from services.identity import rules_throttles as throttles
from services.identity.contract import (
    AccountActivated,
    ActivationComplete,
    ActivationNotFound,
    ActivationRefused,
    ContactFirst,
    ContactTaken,
    OneTimeCodeRefused,
    OneTimeCodeRequested,
)
from services.identity.desk import Desk, person_facts
from services.identity.models import Activation
from services.identity.ports import codes
from services.identity.ports.blocklist import common_passwords
from services.refusals import TooManyTries
from services.tokens import Context


class Activations(Desk):
    """The entrypoints of activation."""

    @rpc_public
    def start_activation(self, context: Context, *, matricule: str, activation_code: str) -> Any:
        """Begins an activation with matricule and the letter's code; gives a token for the steps to come.

        The code is used up when the activation is complete: whoever stops half-way may begin anew with the letter.
        Refuses: InvalidInput (not 13 digits), TooManyTries, ActivationRefused: one and the same, after the same
        work, for an unknown matricule and a wrong, used, replaced or expired code. [seed 001, 2; seed 003, step 2]
        """
        digits = rules.normal_matricule(matricule)
        kind, code = rules.normal_letter_code(activation_code)
        name = self.key.log_in_name(digits)
        # Asked before the try is counted: an outage of the directory is nobody's wrong try.
        person = self.directory.person_of_matricule(context.without_token(), matricule=digits)
        throttle, at = self._throttle("activation", name, context), now()
        known = {"patient_id": person["patient_id"], "professional_id": person["professional_id"]}
        with self.db.transaction(context) as session:
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, context, "account.activated", TooManyTries(retry_after=wait), **known)
            subjects = {"patient": person["patient_id"], "professional": person["professional_id"],
                        "agent": store_activation.agent_of_name(session, name)}  # fmt: skip
            letter = store_activation.newest_letter(session, kind, subjects.get(kind) if kind else None)
        usable = letter is not None and rules.letter_is_usable(letter.used_at, letter.expires_at, at)
        right = self.hashing.matches(letter.code_hash if letter is not None and usable else None, code)
        with self.db.transaction(context) as session:
            if letter is None or not right or not store_activation.letter_still_holds(session, letter):
                return self._refused(session, context, "account.activated", ActivationRefused(), **known)
            store.give_back_tries(session, throttle)
            token = codes.new_token()
            activation = store_activation.start_activation(session, letter, name, codes.token_hash(token), at)
            return {**self._state(session, activation), "activation_token": token}

    @rpc_public
    def activation_state(self, context: Context, *, activation_id: str, activation_token: str) -> Any:
        """How far the activation is. Refuses: ActivationNotFound."""
        with self.db.transaction(context) as session:
            return self._state(session, self._activation(session, activation_id, activation_token))

    @rpc_public
    def accept_conditions(
        self, context: Context, *, activation_id: str, activation_token: str, version: str, language: str
    ) -> Any:
        """Accepts the general conditions; version and language are kept. Completes the activation of somebody who
        has an account already.

        Refuses: ActivationNotFound, ActivationComplete, InvalidInput (version not in force, language). [seed 003, CGU]
        """
        rules.require_conditions(version, language)
        with self.db.transaction(context) as session:
            activation = self._activation(session, activation_id, activation_token, "conditions")
            store_activation.keep_conditions(activation, version, language, now())
            return self._after_step(session, context, activation)

    @rpc_public
    def add_contact(self, context: Context, *, activation_id: str, activation_token: str, kind: str, value: str) -> Any:
        """Takes an address and has a one-time code sent to it; an earlier address is dropped.

        Refuses: ActivationNotFound, ConditionsFirst, ActivationComplete, InvalidInput (address), TooManyTries.
        [seed 003, step 4; seed 004]
        """
        value = rules.require_contact(kind, value)
        at = now()
        with self.db.transaction(context) as session:
            activation = self._activation(session, activation_id, activation_token, "contact")
            # by person, not by activation: starting anew must not send mail without end to any address
            sending = self.key.throttle_key("contact", activation.subject_id)
            if wait := store.take_tries(session, [(sending, throttles.PER_CODES_SENT)], at):
                return self._refused(session, context, "account.activated", TooManyTries(retry_after=wait),
                                     **person_facts(activation.subject_kind, activation.subject_id))  # fmt: skip
            contact = store_activation.replace_contact(session, activation, kind, value, at)
            challenge = store.add_challenge(
                session, "contact", contact.contact_id, activation.conditions_language or "fr", at,
                activation_id=activation.activation_id,
            )  # fmt: skip
            emit(session, OneTimeCodeRequested(challenge_id=challenge.challenge_id, purpose="contact"))
            return {**self._state(session, activation), "challenge_id": challenge.challenge_id,
                    "code_expires_at": rfc3339(challenge.expires_at)}  # fmt: skip

    @rpc_public
    def prove_contact(self, context: Context, *, activation_id: str, activation_token: str, code: str) -> Any:
        """Proves the address with the code that was sent to it.

        Refuses: ActivationNotFound, ConditionsFirst, ContactFirst (no address yet), ActivationComplete,
        OneTimeCodeRefused, ContactTaken (a professional's address that another account has proved). [seed 003, step 4]
        """
        at = now()
        with self.db.transaction(context) as session:
            activation = self._activation(session, activation_id, activation_token, "contact_proof")
            person = person_facts(activation.subject_kind, activation.subject_id)
            challenge = store.newest_challenge(session, activation.activation_id)
            if challenge is None:
                raise ContactFirst()
            right = self.key.is_one_time_code(challenge.challenge_id, code)
            if not right:
                store.count_wrong_code(session, challenge.challenge_id, at)
            if not right or not store.use_challenge(session, challenge.challenge_id, at):
                return self._refused(session, context, "account.activated", OneTimeCodeRefused(), **person)
            if not store_activation.prove_contact(session, activation, challenge.contact_id, at):
                store_activation.drop_contacts(session, activation)
                return self._refused(session, context, "account.activated", ContactTaken(), **person)
            return self._after_step(session, context, activation)

    @rpc_public
    def set_password(self, context: Context, *, activation_id: str, activation_token: str, password: str) -> Any:
        """Chooses the password and completes the activation.

        Refuses: ActivationNotFound, ConditionsFirst, ContactFirst, ActivationComplete, PasswordTooShort,
        PasswordTooLong, PasswordTooCommon. [seed 004; NIST SP 800-63B-4 3.1.1.2]
        """
        password = passwords.normal_password(password)
        with self.db.transaction(context) as session:
            activation = self._activation(session, activation_id, activation_token, "password")
            name = activation.log_in_name
        own = [digits for digits in passwords.matricules_within(password) if self.key.log_in_name(digits) == name]
        passwords.require_password(password, common_passwords(), own)
        password_hash = self.hashing.hash(password)
        with self.db.transaction(context) as session:
            activation = self._activation(session, activation_id, activation_token, "password")
            return self._after_step(session, context, activation, password_hash)

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _activation(
        self, session: Session, activation_id: str, token: str, step: rules.Step | None = None
    ) -> Activation:
        """The activation with this id and token, locked, ready for the step."""
        found = store_activation.locked_activation(session, activation_id) if rules.is_id(activation_id) else None
        if found is None or not codes.same_token(found.token_hash, token) or found.expires_at <= now():
            raise ActivationNotFound()
        if step is not None:
            rules.require_step(store_activation.progress_of(session, found), step)
        return found

    def _state(self, session: Session, activation: Activation) -> dict[str, Any]:
        progress = store_activation.progress_of(session, activation)
        return {
            "activation_id": activation.activation_id, "subject_kind": activation.subject_kind,
            "conditions_version": contract.CONDITIONS_VERSION, "steps": rules.steps_of(progress),
            "next": rules.next_step(progress), "complete": progress.complete,
            "expires_at": rfc3339(activation.expires_at),
        }  # fmt: skip

    def _after_step(
        self, session: Session, context: Context, activation: Activation, password_hash: str | None = None
    ) -> dict[str, Any]:
        """The state after a step; completes the activation when nothing is left to do."""
        missing = rules.next_step(store_activation.progress_of(session, activation))
        if missing is None or (missing == "password" and password_hash is not None):
            at = now()
            account_id = store_activation.complete_activation(session, activation, password_hash, at)
            if account_id is None:
                raise ActivationComplete()
            person = person_facts(activation.subject_kind, activation.subject_id)
            emit(session, AccountActivated(
                account_id=account_id, subject_kind=activation.subject_kind, patient_id=person.get("patient_id"),
                professional_id=person.get("professional_id"),
            ))  # fmt: skip
            emit(session, traced(context, "account.activated", at=at, account_id=account_id,
                                 capacity=activation.subject_kind, **person))  # fmt: skip
        return self._state(session, activation)
