"""notifications tells people and foreign systems: letters, mail, and events on queues of their own.

It owns the letters and messages that went out (what was said to whom because of which event), the subscriptions of
foreign systems and their deliveries. It never decides who may see what (dossier is asked at the moment of sending),
never keeps a code, an address or a text, and never puts a name, a title or anything about health into a mail or event.

The handlers talk to the outside inside their event's transaction: a crash in between repeats the whole, under the same
letter id, Message-ID or event id, so that nobody can take the second for something new.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nameko.extensions import DependencyProvider
from nameko.timer import timer
from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, Remote, Service, emit, fresh_context, on, rpc
from services.db import new_id, now, rfc3339
from services.documents.contract import ConfidentialityChanged, DocumentDeposited
from services.dossier.contract import RecordFirstAccessedBy, RecordOpened
from services.identity.contract import AccountInvited, OneTimeCodeRequested
from services.notifications import contract, rules, store
from services.notifications.contract import (
    CreatedSubscription,
    EndedSubscription,
    SubscriptionCreated,
    SubscriptionEnded,
    SubscriptionNotFound,
    SubscriptionPage,
)
from services.notifications.ports.letters import Letters, Sheet
from services.notifications.ports.mail import Mailer, MailRefused
from services.notifications.ports.subscriber_broker import SubscriberBroker
from services.notifications.ports.texts import catalogue, date_text, mail_text, time_text
from services.notifications.rules import ForeignEvent, KnownDocument
from services.refusals import InvalidInput, NotAllowed, Refusal, Unavailable
from services.settings import Settings, load
from services.tokens import Caller, Context

EMAIL = "email"
SEND_EVERY = 2  # seconds
CLEAR_EVERY = 10  # seconds
SENT_AT_ONCE = 200
PAGE_LIMIT = 100

log = logging.getLogger(__name__)


class DepositNotYetKnown(Exception):
    """A document's level changed before its deposit arrived here: the event is tried again after it."""


@dataclass(frozen=True)
class Outside:
    """The outside world of this service."""

    mailer: Mailer
    letters: Letters
    subscribers: SubscriberBroker
    settings: Settings

    @staticmethod
    def of(settings: Settings) -> Outside:
        """The ports these settings lead to; nothing is connected yet."""
        return Outside(Mailer(settings), Letters(settings.letters_folder), SubscriberBroker(settings), settings)


class Ports(DependencyProvider):  # type: ignore[misc]
    """Gives each worker the way outside, one for the whole process."""

    def setup(self) -> None:
        self.outside = Outside.of(load())

    def stop(self) -> None:
        self.outside.subscribers.close()

    def get_dependency(self, worker_ctx: Any) -> Outside:
        return self.outside


class Notifications(Service):
    """Letters, mail, subscriptions."""

    name = contract.NAME
    identity = Remote("identity")
    dossier = Remote("dossier")
    directory = Remote("directory")
    outside = Ports()

    # --- letters ------------------------------------------------------------------------------------------------------

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
        """Prints the letter with which a professional or an agent activates an account.

        An agent's letter is handed over at the agency: the directory knows no address of theirs.
        """
        invited: AccountInvited = event.data
        letter_id = rules.letter_id_for(event.id, invited.subject_id)
        if store.letter_printed(session, letter_id):
            return
        to = self._address_of_invited(event.context, invited)
        occasion = rules.LETTER_OF_INVITED[invited.subject_kind]
        self._print(
            session, event, letter_id, occasion, (invited.subject_kind, invited.subject_id), to,
            reference=invited.invitation_id,
        )  # fmt: skip

    def _address_of_invited(self, context: Context, invited: AccountInvited) -> dict[str, Any]:
        if invited.subject_kind == "professional":
            address: dict[str, Any] = self.directory.letter_address(
                context, patient_id=None, professional_id=invited.subject_id
            )
            return address
        in_person = catalogue(rules.DEFAULT_LANGUAGE)["letter"]["in_person"]
        return {"name_lines": in_person, "address_lines": [], "language": rules.DEFAULT_LANGUAGE}

    def _print(
        self, session: Session, event: Received, letter_id: str, occasion: str, subject: tuple[str, str],
        to: dict[str, Any], *, record_id: str | None = None, presence_code: str | None = None, reference: str = "",
    ) -> None:  # fmt: skip
        kind, subject_id = subject
        issued = self.identity.issue_activation_code(
            event.context, letter_id=letter_id, subject_kind=kind, subject_id=subject_id
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
                portal=self.outside.settings.public_url,
                reference=reference,
                at=at,
            )
        )
        store.keep_letter(
            session, letter_id=letter_id, event_id=event.id, occasion=occasion, recipient_kind=kind,
            recipient_id=subject_id, record_id=record_id, language=language, printed_at=at,
        )  # fmt: skip

    # --- mail ---------------------------------------------------------------------------------------------------------

    @on("identity", OneTimeCodeRequested)
    def on_one_time_code_requested(self, session: Session, event: Received) -> None:
        """Mails a one-time code to the address it shall prove or to the account's own; one already over is not sent."""
        requested: OneTimeCodeRequested = event.data
        if store.message_settled(session, event.id, requested.challenge_id, EMAIL):
            return
        told = self.identity.one_time_code(event.context, challenge_id=requested.challenge_id)
        occasion = rules.MAIL_OF_PURPOSE[requested.purpose]
        spent = bool(told.get("spent"))
        values = {} if spent else {"code": told["code"], "minutes": str(rules.ONE_TIME_CODE_MINUTES)}
        self._mail(
            session, event, occasion, ("challenge", requested.challenge_id), told.get("language"),
            to=told.get("address"), values=values, instead="spent",
        )  # fmt: skip

    @on("dossier", RecordFirstAccessedBy)
    def on_record_first_accessed_by(self, session: Session, event: Received) -> None:
        """Tells the holder that a professional may read the record for the first time; no setting stops it [RGD 3(3)].

        Who it was stands in the access history, behind the log-in. A holder without an account cannot be reached yet.
        """
        accessed: RecordFirstAccessedBy = event.data
        if store.message_settled(session, event.id, accessed.patient_id, EMAIL):
            return
        known = self.identity.contacts_of(event.context, patient_id=accessed.patient_id, professional_id=None)
        at, language = datetime.fromisoformat(accessed.at), rules.language_of(known["language"])
        self._mail(
            session, event, "record_first_accessed_by", ("patient", accessed.patient_id), known["language"],
            to=rules.mail_address(known["contacts"]), instead="no_channel",
            values={"date": date_text(at, language), "time": time_text(at, language)},
        )  # fmt: skip

    def _mail(
        self, session: Session, event: Received, occasion: str, recipient: tuple[str, str], language: str | None,
        *, to: str | None, values: dict[str, str], instead: str,
    ) -> None:  # fmt: skip
        """Sends one mail, at least once, and notes what became of it; without an address the state is `instead`."""
        kind, recipient_id = recipient
        language, at = rules.language_of(language), now()
        state = instead
        if to is not None:
            text = mail_text(occasion, language, {"portal": self.outside.settings.public_url, **values})
            message_id = rules.message_id_for(event.id, recipient_id, EMAIL)
            try:
                self.outside.mailer.send(text, to=to, message_id=message_id, language=language, at=at)
                state = "sent"
            except MailRefused:
                state = "refused"
        store.keep_message(
            session, message_id=new_id(), event_id=event.id, recipient_kind=kind, recipient_id=recipient_id,
            channel=EMAIL, occasion=occasion, language=language, state=state, settled_at=at,
        )  # fmt: skip

    # --- subscriptions of foreign systems -----------------------------------------------------------------------------

    @rpc
    def create_subscription(
        self, caller: Caller, *, establishment_id: str, event_types: list[str]
    ) -> CreatedSubscription | Refusal:
        """Opens a foreign system's own queue and gives its credential, whose password is in no later answer.

        establishment_id: whose professionals must be able to read a document for its events to go out.
        event_types: CloudEvents types (contract.FOREIGN_EVENT_TYPES). No Idempotency-Key is honoured: a kept answer
        would keep the password; a repeat opens a second subscription, which can be ended.

        Refuses: NotAllowed (agents only), InvalidInput (an establishment or type that does not exist), Unavailable (no
        half-made subscription stays: it cannot be used, and is cleared away). [interfaces.md; decisions.md]
        """
        if not rules.may_manage_subscriptions(caller.capacity):
            return self._refused(caller, "subscription.created", NotAllowed())
        self._require_subscribable(caller, establishment_id, event_types)
        subscription_id, at = new_id(), now()
        credential = rules.credential_from(secrets.token_bytes(64))
        with self.db.transaction(caller) as session:
            store.add_subscription(
                session, subscription_id=subscription_id, establishment_id=establishment_id,
                event_types=sorted(set(event_types)), queue=credential.queue, username=credential.username,
                password_digest=rules.password_digest(credential.password), created_by=caller.account_id, created_at=at,
            )  # fmt: skip
        self.outside.subscribers.declare(credential.queue)
        with self.db.transaction(caller) as session:
            if not store.activate_subscription(session, subscription_id):
                raise Unavailable(service="subscribers")
            emit(session, SubscriptionCreated(
                subscription_id=subscription_id, establishment_id=establishment_id,
                event_types=sorted(set(event_types)), created_at=rfc3339(at),
            ))  # fmt: skip
            emit(session, traced(caller, "subscription.created", at=at, object_id=subscription_id,
                                 object_type="subscription"))  # fmt: skip
        settings = self.outside.settings
        return {
            "subscription_id": subscription_id,
            "vhost": settings.subscriber_vhost,
            "queue": credential.queue,
            "username": credential.username,
            "password": credential.password,
            "host": settings.subscriber_broker_host,
            "port": settings.subscriber_broker_port,
        }

    @rpc
    def list_subscriptions(
        self, caller: Caller, *, establishment_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> SubscriptionPage | Refusal:
        """The subscriptions, ended ones too, newest first, without their passwords; one trace.

        Refuses: NotAllowed (agents only), InvalidInput.
        """
        if not rules.may_manage_subscriptions(caller.capacity):
            return self._refused(caller, "subscription.searched", NotAllowed())
        errors = rules.wrong_page(establishment_id, limit, cursor, PAGE_LIMIT)
        if errors:
            raise InvalidInput(errors=errors)
        with self.db.transaction(caller) as session:
            found = store.subscriptions(session, establishment_id, cursor, limit + 1)
            page = found[:limit]
            emit(session, traced(caller, "subscription.searched", at=now(), count=len(page)))
        return {
            "subscriptions": [rules.shown(one, rfc3339) for one in page],
            "next_cursor": page[-1]["subscription_id"] if len(found) > limit else None,
        }

    @rpc
    def end_subscription(self, caller: Caller, *, subscription_id: str) -> EndedSubscription | Refusal:
        """Ends a subscription: its credential is refused from now on, its queue is deleted with what lies in it.

        Who is consuming at that moment is cut off by the deletion. Ending it again gives the first answer.
        Refuses: NotAllowed (agents only), SubscriptionNotFound.
        """
        if not rules.may_manage_subscriptions(caller.capacity):
            return self._refused(caller, "subscription.ended", NotAllowed())
        at = now()
        with self.db.transaction(caller) as session:
            found = store.subscription(session, subscription_id) if rules.is_id(subscription_id) else None
            if found is None:
                emit(session, traced(caller, "subscription.ended", at=at, outcome="refused",
                                     reason=SubscriptionNotFound.code))  # fmt: skip
                return SubscriptionNotFound()
            if store.end_subscription(session, subscription_id, at):
                emit(session, SubscriptionEnded(subscription_id, found["establishment_id"], rfc3339(at)))
                emit(session, traced(caller, "subscription.ended", at=at, object_id=subscription_id,
                                     object_type="subscription"))  # fmt: skip
            else:
                at = found["ended_at"] or at
        self.clear_queues()
        return {"subscription_id": subscription_id, "ended_at": rfc3339(at)}

    def _require_subscribable(self, caller: Caller, establishment_id: str, event_types: list[str]) -> None:
        errors = rules.wrong_event_types(event_types)
        if not rules.is_id(establishment_id):
            errors.append({"pointer": "/establishment_id", "message": "id"})
        elif establishment_id not in self.directory.names(
            caller, patient_ids=[], professional_ids=[], establishment_ids=[establishment_id]
        )["establishments"]:
            errors.append({"pointer": "/establishment_id", "message": "unknown"})
        if errors:
            raise InvalidInput(errors=errors)

    def _refused(self, caller: Caller, action: str, refusal: Refusal) -> Refusal:
        with self.db.transaction(caller) as session:
            emit(session, traced(caller, action, at=now(), outcome="refused", reason=refusal.code))
        return refusal

    @timer(interval=CLEAR_EVERY)
    def clear_queues(self) -> None:
        """Deletes the queues of subscriptions that ended, or that were cut short while being made."""
        at = now()
        with self.db.transaction() as session:
            for one in store.claim_queues_to_remove(session, at - rules.UNFINISHED_AFTER):
                try:
                    self.outside.subscribers.remove(one["queue"])
                except Unavailable:
                    log.warning("subscriber queue not yet removed", extra={"object_id": one["subscription_id"]})
                    return
                if rules.queue_stays_removed(one["ended_at"], at):
                    store.note_queue_removed(session, one["subscription_id"], at)

    # --- events for foreign systems -----------------------------------------------------------------------------------

    @on("documents", DocumentDeposited)
    def on_document_deposited(self, session: Session, event: Received) -> None:
        """Tells of a deposit, ids and codes only, to the subscribers whose professionals may read the document now."""
        told: DocumentDeposited = event.data
        deposited = KnownDocument(
            document_id=told.document_id, record_id=told.record_id, version_id=told.version_id,
            document_type=told.document_type, category=told.category, author_id=told.author_id, level=told.level,
        )  # fmt: skip
        document = store.keep_document(session, deposited, datetime.fromisoformat(told.deposited_at))
        self._tell(session, event.context, rules.deposited_event(event.id, document, told.deposited_at), document)

    @on("documents", ConfidentialityChanged)
    def on_confidentiality_changed(self, session: Session, event: Received) -> None:
        """Tells of a new level to those who may read the document at that level; nobody learns the level before."""
        told: ConfidentialityChanged = event.data
        document = store.keep_level(session, told.document_id, told.level, datetime.fromisoformat(told.changed_at))
        if document is None:
            raise DepositNotYetKnown()
        foreign = rules.confidentiality_changed_event(event.id, document, told.changed_at)
        self._tell(session, event.context, foreign, document)

    def _tell(self, session: Session, context: Context, event: ForeignEvent, document: KnownDocument) -> None:
        """Puts an event down for each subscription that may have it and tries to send it at once.

        What cannot be sent (the queue is full, the broker away) waits for `send_waiting`: a dead subscriber holds up
        neither this event's other readers nor the events behind it.
        """
        wishing = store.subscriptions_to(session, event.type)
        reading = self._reading(context, rules.establishments_of(wishing), document)
        reachable = True
        for one in wishing:
            if one["establishment_id"] not in reading:
                continue
            delivery = store.add_delivery(session, event, one["subscription_id"], document.document_id, now())
            if delivery is None or not reachable or store.waits_behind(session, one["subscription_id"], delivery):
                continue
            try:
                sent = self.outside.subscribers.publish(one["queue"], event)
            except Unavailable:
                reachable = False
                continue
            if sent:
                store.settle_delivery(session, delivery, "published", now())

    def _reading(self, context: Context, establishments: list[str], document: KnownDocument) -> set[str]:
        """The establishments of whose professionals one may read the document now; mostly one question: nobody."""
        facts = rules.facts_for_readers(document)
        if not establishments or not self._may_read(context, establishments, facts):
            return set()
        if len(establishments) == 1:
            return set(establishments)
        return {one for one in establishments if self._may_read(context, [one], facts)}

    def _may_read(self, context: Context, establishments: list[str], facts: dict[str, Any]) -> bool:
        # Each question gets the full time: a long row of them must not run out of the first one's.
        context = fresh_context(context.request_id, context.traceparent)
        answer = self.dossier.readers_at(context, establishment_ids=establishments, facts=facts)
        return bool(answer["may_read"])

    @timer(interval=SEND_EVERY)
    def send_waiting(self) -> None:
        """Sends what waits, oldest first and one replica per subscription, asking again who may read it by now."""
        with self.db.transaction() as session:
            behind = store.behind(session)
        try:
            for subscription_id in behind:
                with self.db.transaction() as session:
                    self._send_waiting_of(session, subscription_id)
        except Unavailable as unavailable:
            log.warning("deliveries wait", extra={"service": unavailable.detail.get("service"), "count": len(behind)})

    def _send_waiting_of(self, session: Session, subscription_id: str) -> None:
        one = store.claim_subscription(session, subscription_id)
        if one is None:
            return
        for delivery, document_id, event in store.waiting(session, subscription_id, SENT_AT_ONCE):
            document = store.known_document(session, document_id)
            if document is None or not self._reading(fresh_context(), [one["establishment_id"]], document):
                store.settle_delivery(session, delivery, "withheld", now())
                continue
            if not self.outside.subscribers.publish(one["queue"], event):
                return  # full: the rest keeps its place
            store.settle_delivery(session, delivery, "published", now())
