"""Activation: from the code on a letter to an account, or back into one, step by step.

Every refusal that follows a guess is returned, not raised: its try and its trace are committed.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc_public
from services.db import now, once, remember, rfc3339
from services.identity import rules, store, store_activation, store_codes, store_letters
from services.identity import rules_activation as steps
from services.identity import rules_passwords as passwords
from services.identity import rules_throttles as throttles
from services.identity.completion import Completion, about
from services.identity.contract import (
    ActivationComplete,
    ActivationNotFound,
    ActivationRefused,
    ContactTaken,
    OneTimeCodeRefused,
    OneTimeCodeRequested,
    StepOutOfOrder,
)
from services.identity.desk import person_facts
from services.identity.models import Activation, ActivationLetter
from services.identity.ports import codes
from services.identity.ports.blocklist import common_passwords
from services.refusals import Refusal, TooManyTries
from services.tokens import Context

OPPOSED = "record.opposed"


class Activations(Completion):
    """The entrypoints of activation; their order is the table in rules_activation.py."""

    @rpc_public
    def start_activation(
        self, context: Context, *, matricule: str, activation_code: str, flow: str | None = None
    ) -> Any:
        """Begins an activation or a recovery with matricule and the letter's code; gives a token for the steps.

        The code is used up when the activation is complete: whoever stops half-way may begin anew with the letter.
        flow: `app` for the order of the app. Refuses: InvalidInput (not 13 digits, flow), TooManyTries,
        ActivationRefused: one and the same, after the same work, for an unknown matricule, a wrong, used, replaced or
        expired code, and one with which a professional begins elsewhere. [seed 001, 2; seed 003, step 2]
        """
        steps.require_flow(flow)
        digits = rules.normal_matricule(matricule)
        token = codes.new_token()

        def begin(session: Session, letter: ActivationLetter, name: bytes) -> Any:
            chosen, at = steps.flow_of(letter.subject_kind, letter.purpose, flow), now()
            activation = store_activation.start_activation(session, letter, chosen, name, codes.token_hash(token), at)
            return self._after_step(session, context, activation, "begun", activation_token=token)

        return self._shown_letter(context, digits, activation_code, steps.begins_activation, begin)

    @rpc_public
    def start_professional_activation(self, context: Context, *, version: str, language: str) -> Any:
        """Begins a professional's activation, whose first step is the conditions; gives a token for the steps.

        Refuses: InvalidInput (version not in force, language), TooManyTries. [seed 003, CGU and step 1]
        """
        rules.require_conditions(version, language)
        token, at = codes.new_token(), now()
        address = self.key.throttle_key("activation_begun", context.address or "")
        with self.db.transaction(context) as session:
            if wait := store.take_tries(session, [(address, throttles.PER_ADDRESS)], at):
                return self._refused(session, context, "account.activated", TooManyTries(retry_after=wait))
            activation = store_activation.start_activation_of_professional(session, codes.token_hash(token), at)
            store_activation.keep_conditions(activation, version, language, at)
            return self._after_step(session, context, activation, "begun", activation_token=token)

    @rpc_public
    def activation_state(self, context: Context, *, activation_id: str, activation_token: str) -> Any:
        """How far the activation is. Refuses: ActivationNotFound."""
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token)
            if isinstance(activation, Refusal):
                return activation
            emit(session, traced(context, "account.read", at=now(), purpose="steps", **about(activation)))
            return self._state(session, activation)

    @rpc_public
    def accept_conditions(
        self, context: Context, *, activation_id: str, activation_token: str, version: str, language: str
    ) -> Any:
        """Accepts the general conditions; version and language are kept.

        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder, InvalidInput (version not in force, language),
        ContactTaken. [seed 003, CGU]
        """
        rules.require_conditions(version, language)
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token, "conditions")
            if isinstance(activation, Refusal):
                return activation
            store_activation.keep_conditions(activation, version, language, now())
            return self._after_step(session, context, activation, "conditions")

    @rpc_public
    def enter_letter_code(
        self, context: Context, *, activation_id: str, activation_token: str, matricule: str, activation_code: str
    ) -> Any:
        """Shows a professional's letter within the activation: matricule with 11 or 13 digits, and the code.

        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder, InvalidInput (digits), TooManyTries,
        ActivationRefused (one and the same for all that is wrong). [seed 003, step 2]
        """
        digits = rules.normal_entry(matricule)
        with self.db.transaction(context) as session:
            found = self._activation(session, context, activation_id, activation_token, "code")
            if isinstance(found, Refusal):
                return found

        def bind(session: Session, letter: ActivationLetter, name: bytes) -> Any:
            activation = self._activation(session, context, activation_id, activation_token, "code")
            if isinstance(activation, Refusal):
                return activation
            store_activation.bind_letter(session, activation, letter, name)
            return self._after_step(session, context, activation, "code")

        return self._shown_letter(context, digits, activation_code, steps.continues_activation, bind)

    @rpc_public
    def activation_person(self, context: Context, *, activation_id: str, activation_token: str) -> Any:
        """Whom the letter is addressed to, as the directory knows them, to be confirmed; never a matricule.

        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder. [seed 003, step 3; domain.md, Accounts]
        """
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token, "personal_data")
            if isinstance(activation, Refusal):
                return activation
            person, facts = person_facts(activation.subject_kind, activation.subject_id or ""), about(activation)
        sheet = self.directory.person_sheet(
            context.without_token(), patient_id=person.get("patient_id"), professional_id=person.get("professional_id")
        )
        with self.db.transaction(context) as session:
            emit(session, traced(context, "account.read", at=now(), purpose="personal_data", **facts))
        return {"subject_kind": activation.subject_kind, **sheet}

    @rpc_public
    def confirm_person(
        self, context: Context, *, activation_id: str, activation_token: str, correct: bool,
        message: str | None = None, reply_kind: str | None = None, reply_value: str | None = None,
    ) -> Any:  # fmt: skip
        """Confirms the personal data; wrong ones open a case at the helpdesk and leave the step open.

        The case's tracking token is not kept with the answer: a repeat under the same Idempotency-Key makes it anew.
        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder, InvalidInput (message, reply address),
        ContactTaken, LuxTrustTaken. [seed 003, step 3; domain.md, Accounts]
        """
        body = {"activation_id": activation_id, "correct": correct, "message": message, "reply_kind": reply_kind,
                "reply_value": reply_value}  # fmt: skip
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token)
            if isinstance(activation, Refusal):
                return activation  # before the key is looked at: an answer is for whoever has the token
            if answered := once(session, context, "confirm_person", body):
                return self._with_tracking(answered)
            if refusal := self._out_of_turn(session, context, activation, "personal_data"):
                return refusal
            if correct is True:
                store_activation.confirm_person(activation, now())
                answer = self._after_step(session, context, activation, "personal_data", helpdesk=None)
                if isinstance(answer, Refusal):
                    return answer
                return remember(session, context, "confirm_person", body, answer)
            language = steps.language_of(activation.conditions_language or context.locale)
            opened = self._open_request(
                session, context, topic="personal_data", language=language, name=None,
                reply_kind=reply_kind, reply_value=reply_value, message=message, activation=activation,
            )  # fmt: skip
            store_activation.doubt_person(activation)
            known = {"request_id": opened["request_id"], "reference": opened["reference"]}
            answer = {**self._state(session, activation), "helpdesk": known}
            return self._with_tracking(remember(session, context, "confirm_person", body, answer))

    @rpc_public
    def add_contact(self, context: Context, *, activation_id: str, activation_token: str, kind: str, value: str) -> Any:
        """Takes an e-mail address or mobile number and has a one-time code sent to it; an earlier one is dropped.

        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder, InvalidInput (kind, address), TooManyTries.
        [seed 003, step 4; seed 004]
        """
        value = rules.require_contact(kind, value)
        at = now()
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token, "contact")
            if isinstance(activation, Refusal):
                return activation
            if refusal := self._sending_refused(session, context, activation):
                return refusal
            contact = store_activation.replace_contact(session, activation, kind, value, at)
            return self._code_sent(session, context, activation, contact.contact_id)

    @rpc_public
    def resend_contact_code(self, context: Context, *, activation_id: str, activation_token: str) -> Any:
        """Sends the one-time code once more: the same while it is good, else a new one, to the same address.

        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder, TooManyTries. [seed 003, step 4]
        """
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token, "contact_proof")
            if isinstance(activation, Refusal):
                return activation
            if refusal := self._sending_refused(session, context, activation):
                return refusal
            contact = store_activation.contact_of(session, activation)
            again = store_activation.resent_challenge(session, activation, now())
            return self._code_sent(session, context, activation, contact.contact_id if contact else "", again)

    @rpc_public
    def prove_contact(self, context: Context, *, activation_id: str, activation_token: str, code: str) -> Any:
        """Proves the address with the code that was sent to it.

        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder (also: no address yet), OneTimeCodeRefused,
        ContactTaken (a professional's e-mail that another account has proved), LuxTrustTaken. [seed 003, step 4]
        """
        at = now()
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token, "contact_proof")
            if isinstance(activation, Refusal):
                return activation
            person = person_facts(activation.subject_kind, activation.subject_id or "")
            challenge = store_codes.newest_challenge(session, activation.activation_id)
            if challenge is None or challenge.contact_id is None:
                return self._refused(session, context, "account.activated", OneTimeCodeRefused(), **person)
            right = self.key.is_one_time_code(challenge.challenge_id, code)
            if not right:
                store_codes.count_wrong_code(session, challenge.challenge_id, at)
            if not right or not store_codes.use_challenge(session, challenge.challenge_id, at):
                return self._refused(session, context, "account.activated", OneTimeCodeRefused(), **person)
            if not store_activation.prove_contact(session, activation, challenge.contact_id, at):
                store_activation.drop_contacts(session, activation)
                return self._refused(session, context, "account.activated", ContactTaken(), **person)
            return self._after_step(session, context, activation, "contact")

    @rpc_public
    def set_password(self, context: Context, *, activation_id: str, activation_token: str, password: str) -> Any:
        """Chooses the password.

        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder, PasswordTooShort, PasswordTooLong,
        PasswordTooCommon, ContactTaken, LuxTrustTaken. [seed 004; NIST SP 800-63B-4 3.1.1.2]
        """
        password = passwords.normal_password(password)
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token, "password")
            if isinstance(activation, Refusal):
                return activation
            name = activation.log_in_name
        own = [digits for digits in passwords.matricules_within(password) if self.key.log_in_name(digits) == name]
        passwords.require_password(password, common_passwords(), own)
        password_hash = self.hashing.hash(password)
        with self.db.transaction(context) as session:
            activation = self._activation(session, context, activation_id, activation_token, "password")
            if isinstance(activation, Refusal):
                return activation
            store_activation.keep_password(activation, password_hash)
            return self._after_step(session, context, activation, "password")

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _shown_letter(
        self, context: Context, digits: str, activation_code: str, is_meant: Callable[[str, str], bool],
        use: Callable[[Session, ActivationLetter, bytes], Any], *, action: str = "account.activated",
    ) -> Any:  # fmt: skip
        """Compares a letter's code, counted and slowed, and hands the letter to `use` when it is right and meant.

        is_meant(subject_kind, purpose): whether letters of this sort are shown here. action: what refusals are traced
        as. To oppose a record, a letter counts that was used for just that before.
        """
        opposing = action == OPPOSED
        kind, code = rules.normal_letter_code(activation_code)
        # Asked before the try is counted: an outage of the directory is nobody's wrong try.
        person = self.directory.person_of_matricule(context.without_token(), matricule=digits)
        name = self.key.log_in_name(person["matricule"] or digits)
        throttle, at = self._throttle("activation", name, context), now()
        known = {"patient_id": person["patient_id"], "professional_id": person["professional_id"]}
        with self.db.transaction(context) as session:
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, context, action, TooManyTries(retry_after=wait), **known)
            subjects = {"patient": person["patient_id"], "professional": person["professional_id"],
                        "agent": store_letters.agent_of_name(session, name)}  # fmt: skip
            letter = store_letters.newest_letter(session, kind, subjects.get(kind) if kind else None)
        usable = letter is not None and rules.letter_is_usable(
            None if opposing and letter.opposed_at else letter.used_at, letter.expires_at, at
        )
        right = self.hashing.matches(letter.code_hash if letter is not None and usable else None, code)
        with self.db.transaction(context) as session:
            meant = letter is not None and right and is_meant(letter.subject_kind, letter.purpose)
            if (
                letter is None or not meant
                or not store_letters.letter_still_holds(session, letter, opposed_too=opposing)
            ):  # fmt: skip
                return self._refused(session, context, action, ActivationRefused(), **known)
            store.give_back_tries(session, throttle)
            return use(session, letter, name)

    def _activation(
        self, session: Session, context: Context, activation_id: str, token: str, step: steps.Next | None = None
    ) -> Activation | Refusal:
        """The activation with this id and token, locked, ready for the step; or the refusal, traced.

        Refuses: ActivationNotFound (its trace names nothing: who asks has shown nothing), ActivationComplete,
        StepOutOfOrder.
        """
        found = store_activation.locked_activation(session, activation_id) if rules.is_id(activation_id) else None
        if found is None or not codes.same_token(found.token_hash, token) or found.expires_at <= now():
            return self._refused(session, context, "account.activated", ActivationNotFound())
        refusal = self._out_of_turn(session, context, found, step) if step is not None else None
        return refusal or found

    def _out_of_turn(
        self, session: Session, context: Context, activation: Activation, step: steps.Next
    ) -> Refusal | None:
        """The refusal of a step that may not be taken now, traced."""
        try:
            steps.require_step(store_activation.progress_of(session, activation), step)
        except (ActivationComplete, StepOutOfOrder) as refusal:
            return self._refused(session, context, "account.activated", refusal, **about(activation))
        return None

    def _sending_refused(self, session: Session, context: Context, activation: Activation) -> Refusal | None:
        """Counts one more code to be sent: by person, not by activation, or starting anew would send without end."""
        sending = self.key.throttle_key("contact", activation.subject_id or activation.activation_id)
        wait = store.take_tries(session, [(sending, throttles.PER_CODES_SENT)], now())
        if wait is None:
            return None
        person = person_facts(activation.subject_kind, activation.subject_id or "")
        return self._refused(session, context, "account.activated", TooManyTries(retry_after=wait), **person)

    def _code_sent(
        self, session: Session, context: Context, activation: Activation, contact_id: str, again: Any = None
    ) -> dict[str, Any]:
        """Has the code of a challenge sent, of a new one unless there is one to be sent again."""
        language = steps.language_of(activation.conditions_language or context.locale)
        challenge = again or store_codes.add_challenge(
            session, "contact", contact_id, language, now(), activation_id=activation.activation_id
        )
        emit(session, OneTimeCodeRequested(challenge_id=challenge.challenge_id, purpose="contact"))
        emit(session, traced(context, "activation.step", at=now(), purpose="contact_code", **about(activation)))
        return {**self._state(session, activation), "challenge_id": challenge.challenge_id,
                "code_expires_at": rfc3339(challenge.expires_at)}  # fmt: skip

    def _with_tracking(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer with the tracking token of the case it has opened, if any."""
        opened = answer["helpdesk"]
        return {**answer, "helpdesk": opened and self._request_opened(**opened)}
