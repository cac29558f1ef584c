"""notifications over a real database, broker and mail server, with the real identity, dossier and directory."""

from __future__ import annotations

import email.policy
import importlib
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pika
import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError
from pypdf import PdfReader
from sqlalchemy.exc import IntegrityError

from deploy.local import mailbox, processes
from deploy.local.stack import Stack
from services.bus import Received
from services.db import new_id, now, plumbing, rfc3339
from services.directory.contract import ProfessionalUpdated
from services.documents.contract import (
    ConfidentialityChanged,
    DocumentBlocked,
    DocumentCorrected,
    DocumentDeposited,
    DocumentReleased,
    DocumentRestricted,
    DocumentVersioned,
)
from services.dossier.contract import DECLARATION_WORDINGS, RecordFirstAccessedBy, RecordOpened
from services.identity.contract import (
    CONDITIONS_VERSION,
    AccountActivated,
    AccountInvited,
    ActivationRefused,
    OneTimeCodeRequested,
)
from services.identity.models import Account, Activation, ActivationLetter, Capacity
from services.identity.ports.codes import IdentityKey
from services.notifications import models, reference_subscriber
from services.notifications import rules_subscriptions as systems
from services.notifications.contract import (
    DOCUMENT_BLOCKED,
    DOCUMENT_CONFIDENTIALITY_CHANGED,
    DOCUMENT_DEPOSITED,
    DOCUMENT_RELEASED,
    LANGUAGES,
    SubscriptionNotFound,
)
from services.notifications.desk import Outside
from services.notifications.dispatching import Away
from services.notifications.document_news import DepositNotYetKnown
from services.notifications.models import Letter
from services.notifications.models_deliveries import Delivery, Outlet
from services.notifications.models_messages import Message
from services.notifications.models_subscriptions import Document, Subscription
from services.notifications.ports.broker_auth import BrokerAuth, create_app
from services.notifications.ports.press import Press, Sheet
from services.notifications.ports.texts import catalogue
from services.notifications.rules_occasions import EMAIL, SMS
from services.notifications.rules_sending import FRESH, LONGEST_WAIT
from services.refusals import InvalidInput, NotAllowed, Unavailable
from services.settings import Settings
from services.tokens import Caller
from tests.builders import House, any_matricule, birth_date, caller, context

AGENT = caller("agent")
HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
VHOST = "opendsp-subscribers"


class Town(House):
    """The house as it is; a Remote of a service is no handler of events. What was delivered has its letters printed."""

    def deliver(self) -> int:
        count = super().deliver()
        self.notifications._print_waiting(100)
        return count

    def _handle(self, name: str, sessions: Any, source: str, envelope: dict[str, Any]) -> None:
        handlers = importlib.import_module(f"services.{name}.contract").SUBSCRIPTIONS
        handler = handlers.get((source, envelope["type"]))
        if handler is not None:
            service = getattr(self, name)
            [entry] = getattr(getattr(service, handler), ENTRYPOINT_EXTENSIONS_ATTR)
            event = entry.event(envelope)
            with sessions.transaction() as session:
                session.info["context"] = event.context
                getattr(service, handler)(session, [event] if entry.together else event)


class DeadlyPress(Press):
    """The real press; whoever waits for it is killed as soon as the file is there."""

    def print(self, sheet: Sheet) -> None:
        super().print(sheet)
        raise KeyboardInterrupt


class Office:
    """Notifications and the services it asks, with the letters, the mail and the queues they make."""

    def __init__(self, house: House, settings: Settings, mail: Path) -> None:
        self.house, self.settings, self.mail = house, settings, mail
        self.letters = Path(settings.letters_folder)
        house.identity.__dict__["key"] = IdentityKey(bytes(range(32)))
        self.service = house.notifications
        self.app: BrokerAuth = create_app.__wrapped__(settings)
        self.go_out(settings)

    def go_out(self, settings: Settings) -> None:
        """From now on the service goes out by these settings."""
        self.service.outside = Outside.of(settings)

    # events

    def happen(self, source: str, data: Any, event_id: str | None = None) -> str:
        """One event reaches its handler in notifications, in one transaction as the inbox gives it; what it put down
        goes out, and letters follow."""
        event_id = event_id or new_id()
        with self.house.sessions["notifications"].transaction() as session:
            self._handle(session, source, data, event_id)
        self.send()
        self.service._print_waiting(100)
        return event_id

    def post(self, at: datetime | None = None) -> None:
        """What was put down for people goes out, as far as it is due at a moment."""
        if at is not None:
            with self.house.sessions["notifications"].transaction() as session:
                due = sa.update(Message).where(Message.state == "queued", Message.due_at <= at)
                session.execute(due.values(due_at=now()))
        for channel in (EMAIL, SMS):
            while self._sends(channel):
                pass

    def _sends(self, channel: str) -> bool:
        try:
            return bool(self.service._send_next(channel))
        except Away:
            return True  # it is due later: the next one has its turn

    def send(self) -> None:
        """What was put down for foreign systems goes out, as far as it can."""
        while self.service._send_deliveries():
            pass

    def happen_and_die_printing(self, source: str, data: Any) -> None:
        """The same, killed between a letter's file and the commit of its row."""
        with self.house.sessions["notifications"].transaction() as session:
            self._handle(session, source, data, new_id())
        with pytest.raises(KeyboardInterrupt):
            self.service.outside = replace(self.service.outside, letters=DeadlyPress(self.settings.letters_folder))
            self.service._print_waiting()
        self.go_out(self.settings)

    def happen_and_die(self, source: str, data: Any, event_id: str) -> None:
        """The same, killed between the work and the commit."""
        with (
            pytest.raises(KeyboardInterrupt),
            self.house.sessions["notifications"].transaction() as session,
        ):
            self._handle(session, source, data, event_id)
            raise KeyboardInterrupt

    def happen_and_die_sending(self, source: str, data: Any, event_id: str) -> None:
        """An event is put down and goes out; the sender is killed between the broker's confirm and its own commit."""
        subscribers = self.service.outside.subscribers
        publish = subscribers.publish

        def publish_and_die(outgoing: Any) -> None:
            publish(outgoing)
            raise KeyboardInterrupt

        subscribers.publish = publish_and_die
        with pytest.raises(KeyboardInterrupt):
            self.happen(source, data, event_id)
        del subscribers.publish

    def _handle(self, session: Any, source: str, data: Any, event_id: str) -> None:
        self._call(self.service, session, source, data, event_id)

    def tell_dossier(self, source: str, data: Any) -> None:
        """One event reaches its handler in dossier."""
        with self.house.sessions["dossier"].transaction() as session:
            self._call(self.house.dossier, session, source, data, new_id())

    @staticmethod
    def _call(service: Any, session: Any, source: str, data: Any, event_id: str) -> None:
        event = Received(event_id, source, data.type, rfc3339(now()), None, None, data, context(source))
        handler = getattr(service, "on_" + data.type.removesuffix(".v1"))
        [entry] = getattr(handler, ENTRYPOINT_EXTENSIONS_ATTR)
        handler(session, [event] if entry.together else event)

    # people

    def patient(self, **changes: Any) -> tuple[str, str]:
        """(matricule, patient id) of somebody the directory knows."""
        number = any_matricule()
        sheet = {
            "matricule": number, "birth_name": "Weber-Šimková", "usual_name": None, "first_names": "Zoé", "sex": "F",
            "birth_date": birth_date(number), "language": "fr", "address": HOME, **changes,
        }  # fmt: skip
        return number, self.house.ask("directory", "register_patient", AGENT, **sheet)["patient_id"]

    def record(self, patient_id: str) -> str:
        return str(self.house.ask("dossier", "open_record", AGENT, patient_id=patient_id)["record_id"])

    def activate(self, matricule: str, code: str, address: str = "zoe@example.lu") -> dict[str, Any]:
        """As far as the contact: a one-time code is on its way."""
        begun = self.start(matricule, code)
        known = {"activation_id": begun["activation_id"], "activation_token": begun["activation_token"]}
        self.public("confirm_person", **known, correct=True)
        self.public("accept_conditions", **known, version=CONDITIONS_VERSION, language="fr")
        added = self.public("add_contact", **known, kind="email", value=address)
        return {**known, "challenge_id": added["challenge_id"]}

    def start(self, matricule: str, code: str) -> Any:
        return self.public("start_activation", matricule=matricule, activation_code=code)

    def show_letter(self, matricule: str, code: str) -> Any:
        """A professional's letter, shown once LuxTrust has answered for them."""
        begun = self.public("start_professional_activation", version=CONDITIONS_VERSION, language="fr")
        known = {name: begun[name] for name in ("activation_id", "activation_token")}
        with self.house.sessions["identity"].transaction() as session:
            session.execute(sa.update(Activation).values(luxtrust_subject=new_id().encode(), luxtrust_product="Card"))
        return self.public("enter_letter_code", **known, matricule=matricule, activation_code=code)

    def public(self, method: str, **kwargs: Any) -> Any:
        return self.house.ask("identity", method, context(), **kwargs)

    # what came of it

    def rows(self, table: Any) -> list[Any]:
        with self.house.sessions["notifications"].transaction() as session:
            return list(session.scalars(sa.select(table)))

    def printed(self) -> list[str]:
        """The text of every letter in the folder."""
        files = sorted(self.letters.iterdir()) if self.letters.exists() else []
        return ["\n".join(p.extract_text() for p in PdfReader(io.BytesIO(f.read_bytes())).pages) for f in files]

    def mails(self) -> list[Any]:
        kept = mailbox.messages(self.mail)
        return [email.message_from_bytes(one.as_bytes(), policy=email.policy.default) for one in kept]

    def traces(self, action: str) -> list[dict[str, Any]]:
        told = [e["data"] for e in self.house.events("notifications") if e["type"] == "access_traced.v1"]
        return [trace for trace in told if trace["action"] == action]

    # foreign systems

    def establishment(self) -> str:
        answer = self.house.ask("directory", "register_establishment", AGENT, name="Cabinet", kind="practice")
        return str(answer["establishment_id"])

    def subscribe(self, establishment_id: str | None = None, *types: str) -> dict[str, Any]:
        wished = {"establishment_id": establishment_id or self.establishment(),
                  "event_types": list(types) or [DOCUMENT_DEPOSITED]}  # fmt: skip
        given: dict[str, Any] = self.house.ask("notifications", "create_subscription", AGENT, **wished)
        return given

    def reader(self, establishment_id: str, record_id: str, holder: Caller) -> Caller:
        """A physician of the establishment, in the record's circle of trust."""
        who = caller("professional", establishment_id=establishment_id)
        told = ProfessionalUpdated(who.professional_id or "", "physician", "valid", [establishment_id], 1)
        self.tell_dossier("directory", told)
        self.house.ask("dossier", "add_to_circle", holder, record_id=record_id, professional_id=who.professional_id)
        return who

    def active_record(self) -> tuple[str, Caller]:
        """(record id, holder) of a record that its holder has activated."""
        holder = caller("patient")
        record_id = self.record(holder.patient_id or "")
        self.tell_dossier("identity", AccountActivated(new_id(), "patient", holder.patient_id, None))
        return record_id, holder

    def record_with_reader(self) -> tuple[str, str]:
        """(record id, establishment id): a physician of the establishment is in the record's circle of trust."""
        record_id, holder = self.active_record()
        establishment_id = self.establishment()
        self.reader(establishment_id, record_id, holder)
        return record_id, establishment_id

    def broker(self) -> pika.BlockingConnection:
        """As notifications itself, to look into queues."""
        login = pika.PlainCredentials(self.settings.subscriber_broker_user, self.settings.subscriber_broker_password)
        return pika.BlockingConnection(
            pika.ConnectionParameters("127.0.0.1", self.settings.subscriber_broker_port, VHOST, login)
        )

    def depth(self, queue: str) -> int | None:
        """How many messages lie in a queue; None when there is no such queue."""
        with self.broker() as connection:
            try:
                return int(connection.channel().queue_declare(queue, passive=True).method.message_count)
            except ChannelClosedByBroker as closed:
                assert closed.reply_code == 404
                return None


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[Town]:
    """One house for the whole file: what the other services know from earlier tests does not matter here."""
    made = Town(database, services=("identity", "directory", "dossier", "notifications"))
    yield made
    made.close()


@pytest.fixture
def office(house: Town, infra: Stack, tmp_path: Path) -> Iterator[Office]:
    """Notifications as new, with the broker of the stack asking this database about foreign systems."""
    _empty(house)
    for file in (infra.layout.mail / "new").glob("*"):
        file.unlink()
    url = house.sessions["notifications"].engine.url.render_as_string(hide_password=False)
    settings = replace(
        processes.load_settings(infra.layout, "notifications"),
        letters_folder=str(tmp_path / "letters"), database_url=url,
    )  # fmt: skip
    made = Office(house, settings, infra.layout.mail)
    server = make_server("127.0.0.1", infra.layout.ports["broker_auth"], made.app, handler_class=_Silent)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()
    made.service.outside.subscribers.close()


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """The test's output stays readable."""


def _empty(house: Town) -> None:
    for name, sessions in house.sessions.items():
        ours = models.metadata.tables if name == "notifications" else ()
        with sessions.transaction() as session:
            session.execute(sa.text(f"truncate {', '.join(['outbox', *ours])} cascade"))


def a_deposit(record_id: str, author_id: str | None = None, **changes: Any) -> DocumentDeposited:
    facts: dict[str, Any] = {
        "record_id": record_id, "document_id": new_id(), "version_id": new_id(), "document_type": "medical_report",
        "category": "care_reports", "level": "standard", "author_id": author_id, "media_type": "application/pdf",
        "size": 10, "deposited_at": rfc3339(now()), **changes,
    }  # fmt: skip
    return DocumentDeposited(**facts)


def levelled(of: DocumentDeposited, level: str) -> ConfidentialityChanged:
    return ConfidentialityChanged(of.record_id, of.document_id, level, of.level, rfc3339(now()))


def code(label: str, text: str) -> str:
    found = re.search(rf"^{re.escape(label)}(\S+)$", text, re.MULTILINE)
    assert found is not None
    return found[1]


def activation_code(text: str) -> str:
    return code("Code d'activation : ", text)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_migration_makes_what_the_models_say(database: Callable[[str], str]) -> None:
    engine = sa.create_engine(database("notifications"))
    ours = {"include_object": lambda _o, name, kind, _r, _c: kind != "table" or name in models.metadata.tables}
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts=ours), models.metadata)
        assert differences == []
        there = set(sa.inspect(connection).get_table_names())
        assert there == {*models.metadata.tables, *plumbing.tables, "alembic_version"} - (
            set() if "alembic_version" in there else {"alembic_version"}
        )
    engine.dispose()


# --- letters ----------------------------------------------------------------------------------------------------------


def test_the_letter_of_a_new_record_activates_the_account_and_opens_a_mandate(office: Office) -> None:
    matricule, patient_id = office.patient()
    record_id = office.record(patient_id)
    office.house.deliver()
    [text] = office.printed()
    assert "Zoé" in text and "ŠIMKOVÁ" in text.upper() and HOME["line"] in text
    assert matricule not in text.replace(" ", "")
    assert office.start(matricule, activation_code(text))["subject_kind"] == "patient"
    office.tell_dossier("identity", AccountActivated(new_id(), "patient", patient_id, None))
    doctor = office.reader(office.establishment(), record_id, caller("patient", patient_id=patient_id))
    mandate = office.house.ask(
        "dossier", "open_mandate", doctor, record_id=record_id, presence_code=code("Code de présence : ", text),
        declaration_accepted=True, wording_version=next(iter(DECLARATION_WORDINGS)),
    )  # fmt: skip
    assert mandate["kind"] == "presence"
    [row] = office.rows(Letter)
    assert (row.recipient_kind, row.recipient_id, row.record_id) == ("patient", patient_id, record_id)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_letter_is_in_the_patients_language(office: Office, language: str) -> None:
    _, patient_id = office.patient(language=language)
    office.record(patient_id)
    office.house.deliver()
    [text] = office.printed()
    assert catalogue(language)["letter"]["record_opened"]["subject"] in text
    assert code(catalogue(language)["letter"]["activation_code"], text)


def test_a_redelivered_opening_prints_nothing_again(office: Office) -> None:
    _, patient_id = office.patient()
    opened = RecordOpened(office.record(patient_id), patient_id)
    event_id = office.happen("dossier", opened)
    [file] = office.letters.iterdir()
    before = file.read_bytes()
    office.happen("dossier", opened, event_id)
    assert [f.read_bytes() for f in office.letters.iterdir()] == [before]
    assert len(office.rows(Letter)) == 1


def test_killed_between_file_and_commit_the_retry_yields_one_valid_letter(office: Office) -> None:
    matricule, patient_id = office.patient()
    office.happen_and_die_printing("dossier", RecordOpened(office.record(patient_id), patient_id))
    [void] = office.printed()
    assert [(row.state, row.printed_at) for row in office.rows(Letter)] == [("waiting", None)]
    office.service._print_waiting()
    [valid] = office.printed()
    assert [row.state for row in office.rows(Letter)] == ["printed"]
    with pytest.raises(ActivationRefused):
        office.start(matricule, activation_code(void))
    assert office.start(matricule, activation_code(valid))["activation_id"]


def test_one_event_never_has_two_letters_for_one_person(office: Office) -> None:
    row = {"event_id": new_id(), "occasion": "record_opened", "recipient_kind": "patient", "recipient_id": "p",
           "record_id": None, "language": "fr", "printed_at": now(), "state": "printed", "due_by": now(),
           "purpose": "activation", "reference": "", "attempts": 0}  # fmt: skip
    with pytest.raises(IntegrityError), office.house.sessions["notifications"].transaction() as session:
        session.add(Letter(letter_id=new_id(), **row))
        session.flush()
        session.add(Letter(letter_id=new_id(), **row))
        session.flush()


def test_an_invited_professional_gets_a_letter_with_one_code(office: Office) -> None:
    number = any_matricule()
    professional_id = office.house.ask(
        "directory", "register_professional", AGENT, matricule=number, family_name="Schmit", first_name="Léa",
        profession="physician", specialities=[], establishment_ids=[office.establishment()], language="fr",
        address=HOME,
    )["professional_id"]  # fmt: skip
    office.house.ask("identity", "invite_professional", AGENT, professional_id=professional_id)
    office.house.deliver()
    [text] = office.printed()
    assert "SCHMIT" in text.upper() and "Code de présence" not in text and number not in text
    assert office.show_letter(number, activation_code(text))["next"] == "personal_data"


def test_an_invited_agents_letter_is_handed_over_in_person(office: Office) -> None:
    number, administrator = any_matricule(), caller("agent", role="administrator")
    invited = office.house.ask("identity", "invite_agent", administrator, matricule=number, role="agent")
    office.house.deliver()
    [text] = office.printed()
    assert "Remise en main propre" in text and invited["invitation_id"] in text
    assert office.start(number, activation_code(text))["subject_kind"] == "agent"


def test_a_patient_who_lost_the_letter_gets_one_without_a_presence_code(office: Office) -> None:
    matricule, patient_id = office.patient()
    office.record(patient_id)
    office.house.deliver()
    [first] = office.printed()
    with office.house.sessions["identity"].transaction() as session:
        session.execute(sa.update(ActivationLetter).values(issued_at=now() - timedelta(days=2)))
    assert office.public("request_letter", matricule=matricule, kind="patient") == {"again_after": 86400}
    office.house.deliver()
    [second] = [text for text in office.printed() if text != first]
    assert "Code de présence : " not in second and "Votre nouveau code" in second
    assert matricule not in second.replace(" ", "") and HOME["line"] in second
    with pytest.raises(ActivationRefused):
        office.start(matricule, activation_code(first))
    assert office.start(matricule, activation_code(second))["flow"] == "patient"
    assert {row.occasion for row in office.rows(Letter)} == {"record_opened", "letter_activation"}


def test_who_has_an_account_gets_a_letter_that_leads_back_into_it(office: Office) -> None:
    matricule, patient_id = office.patient()
    office.record(patient_id)
    office.house.deliver()
    [first] = office.printed()
    with office.house.sessions["identity"].transaction() as session:
        account = Account(account_id=new_id(), log_in_name=office.house.identity.key.log_in_name(matricule),
                          password_hash="-", password_changed_at=now(), language="fr", created_at=now())  # fmt: skip
        session.add(account)
        session.flush()
        session.add(Capacity(account_id=account.account_id, kind="patient", subject_id=patient_id, activated_at=now()))
    office.happen("identity", AccountInvited(new_id(), "patient", patient_id, "recovery"))
    [second] = [text for text in office.printed() if text != first]
    assert "Code de présence : " not in second
    assert office.start(matricule, activation_code(second))["flow"] == "recovery"
    with pytest.raises(ActivationRefused):
        office.start(matricule, activation_code(first))


def test_somebody_the_directory_does_not_know_gets_no_letter_and_holds_up_nobodys(office: Office) -> None:
    office.happen("dossier", RecordOpened(new_id(), new_id()))
    assert office.printed() == []
    [waiting] = office.rows(Letter)
    assert (waiting.state, waiting.attempts) == ("waiting", 1) and waiting.retry_at is not None
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(sa.update(Letter).values(retry_at=now() + timedelta(hours=1)))
    _, patient_id = office.patient()
    office.record(patient_id)
    office.house.deliver()
    assert len(office.printed()) == 1
    [still] = [row for row in office.rows(Letter) if row.state == "waiting"]
    assert still.attempts == 1  # not tried again before its time


def test_the_database_holds_no_code_of_a_letter(office: Office) -> None:
    _, patient_id = office.patient()
    office.record(patient_id)
    office.house.deliver()
    [text] = office.printed()
    codes = (activation_code(text), code("Code de présence : ", text))
    [row] = office.rows(Letter)
    assert not any(secret in str(vars(row)) for secret in (*codes, "Zoé", "Weber", HOME["line"]))


# --- mail -------------------------------------------------------------------------------------------------------------


def a_code_on_its_way(office: Office) -> dict[str, Any]:
    """An activation whose contact waits for its code: the event is still in identity's outbox."""
    matricule, patient_id = office.patient()
    office.record(patient_id)
    office.house.deliver()
    return {"matricule": matricule, **office.activate(matricule, activation_code(office.printed()[0]))}


def test_a_one_time_code_arrives_by_mail_and_proves_the_address(office: Office) -> None:
    begun = a_code_on_its_way(office)
    office.house.deliver()
    [mail] = office.mails()
    plain = mail.get_body(("plain",)).get_content()
    [sent] = [line.strip() for line in plain.splitlines() if re.fullmatch(r"\s*[A-Za-z0-9]{6}\s*", line)]
    assert mail["To"] == "zoe@example.lu" and "5 minutes" in plain
    assert begun["matricule"] not in mail.as_string() and "Weber" not in mail.as_string()
    known = {name: begun[name] for name in ("activation_id", "activation_token")}
    assert {"step": "contact", "state": "done"} in office.public("prove_contact", **known, code=sent)["steps"]
    [row] = office.rows(Message)
    assert (row.state, row.occasion, row.recipient_kind) == ("sent", "one_time_code.contact", "challenge")


def test_a_redelivered_request_sends_no_second_mail(office: Office) -> None:
    begun = a_code_on_its_way(office)
    requested = OneTimeCodeRequested(begun["challenge_id"], "contact")
    event_id = office.happen("identity", requested)
    office.happen("identity", requested, event_id)
    assert len(office.mails()) == 1 and len(office.rows(Message)) == 1


def test_killed_between_mail_and_commit_the_second_mail_has_the_same_message_id_and_code(office: Office) -> None:
    begun = a_code_on_its_way(office)
    requested, event_id = OneTimeCodeRequested(begun["challenge_id"], "contact"), new_id()
    office.happen_and_die("identity", requested, event_id)
    office.happen("identity", requested, event_id)
    one, other = office.mails()
    assert one["Message-ID"] == other["Message-ID"] and event_id in one["Message-ID"]
    assert one.get_body(("plain",)).get_content() == other.get_body(("plain",)).get_content()
    assert len(office.rows(Message)) == 1


def test_a_code_that_is_over_is_not_mailed(office: Office) -> None:
    office.happen("identity", OneTimeCodeRequested(new_id(), "log_in"))
    assert office.mails() == []
    assert [(row.state, row.cause) for row in office.rows(Message)] == [("failed", "spent")]


def test_the_holder_is_told_of_a_first_access_without_a_word_about_whom_or_what(office: Office) -> None:
    begun = a_code_on_its_way(office)
    office.house.deliver()
    key = office.house.identity.key
    known = {name: begun[name] for name in ("activation_id", "activation_token")}
    office.public("prove_contact", **known, code=key.one_time_code(begun["challenge_id"]))
    office.public("set_password", **known, password="a rather long sentence of mine")
    patient_id = next(row.recipient_id for row in office.rows(Letter))
    professional_id = new_id()
    office.happen("dossier", RecordFirstAccessedBy(
        new_id(), patient_id, professional_id, "presence", "2026-11-21T09:15:00.000000Z"))  # fmt: skip
    office.post()
    mail = office.mails()[-1]
    whole = mail.as_string() + mail.get_body(("plain",)).get_content() + mail.get_body(("html",)).get_content()
    assert mail["To"] == "zoe@example.lu" and "10:15" in whole and "21 novembre 2026" in whole
    forbidden = (professional_id, patient_id, begun["matricule"], "Weber", "Zoé ", "presence", "care_reports")
    assert [word for word in forbidden if word in whole] == []
    assert {row.state for row in office.rows(Message) if row.recipient_id == patient_id} == {"sent", "delivered"}


def test_a_holder_without_an_account_cannot_be_mailed_yet(office: Office) -> None:
    _, patient_id = office.patient()
    office.happen("dossier", RecordFirstAccessedBy(new_id(), patient_id, new_id(), "presence", rfc3339(now())))
    office.post()
    assert office.mails() == []
    assert {(row.channel, row.state, row.cause, row.recipient_id) for row in office.rows(Message)} == {
        ("email", "failed", "no_channel", patient_id), ("inbox", "delivered", None, patient_id),
    }  # fmt: skip


def test_an_unreachable_mail_server_delays_and_loses_nothing(office: Office) -> None:
    begun = a_code_on_its_way(office)
    requested, event_id = OneTimeCodeRequested(begun["challenge_id"], "contact"), new_id()
    office.go_out(replace(office.settings, smtp_port=_free_port()))
    office.happen("identity", requested, event_id)
    assert [row.state for row in office.rows(Message)] == ["queued"] and office.mails() == []
    office.go_out(office.settings)
    office.post(now() + timedelta(minutes=1))
    assert [row.state for row in office.rows(Message)] == ["sent"] and len(office.mails()) == 1


class Grumpy:
    """A mail server that refuses each recipient in its own way."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    async def handle_RCPT(self, *_: Any) -> str:
        return self.answer


@pytest.mark.parametrize(("answer", "state"), [("550 no such user", "bounced"), ("450 try later", "queued")])
def test_an_address_refused_for_good_is_not_tried_again_and_one_refused_for_now_is(
    office: Office, answer: str, state: str
) -> None:
    begun = a_code_on_its_way(office)
    server = Controller(Grumpy(answer), hostname="127.0.0.1", port=_free_port())
    server.start()
    try:
        office.go_out(replace(office.settings, smtp_port=server.port))
        requested = OneTimeCodeRequested(begun["challenge_id"], "contact")
        office.happen("identity", requested)
    finally:
        server.stop()
    assert [row.state for row in office.rows(Message)] == [state]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- subscriptions ----------------------------------------------------------------------------------------------------


def test_an_agent_opens_a_subscription_whose_password_is_kept_nowhere(office: Office) -> None:
    establishment_id = office.establishment()
    given = office.subscribe(establishment_id)
    assert set(given) == {"subscription_id", "vhost", "queue", "username", "password", "host", "port"}
    assert office.depth(given["queue"]) == 0
    [row] = office.rows(Subscription)
    assert row.state == "active" and row.password_digest == systems.password_digest(given["password"])
    with office.house.sessions["notifications"].transaction() as session:
        everything = [str(session.execute(sa.text(f"select t::text from {t} t")).all())
                      for t in (*models.metadata.tables, *plumbing.tables)]  # fmt: skip
    assert given["password"] not in "".join(everything)
    [created] = [e["data"] for e in office.house.events("notifications") if e["type"] == "subscription_created.v1"]
    assert created["establishment_id"] == establishment_id and given["queue"] not in json.dumps(created)
    [trace] = office.traces("subscription.created")
    assert (trace["outcome"], trace["object_id"]) == ("allowed", given["subscription_id"])


@pytest.mark.parametrize("capacity", ["patient", "professional"])
@pytest.mark.parametrize(
    ("method", "asked", "action"),
    [
        ("create_subscription", {"establishment_id": new_id(), "event_types": [DOCUMENT_DEPOSITED]},
         "subscription.created"),
        ("list_subscriptions", {}, "subscription.searched"),
        ("end_subscription", {"subscription_id": new_id()}, "subscription.ended"),
    ],
)  # fmt: skip
def test_nobody_else_manages_subscriptions_and_the_try_is_traced(
    office: Office, capacity: str, method: str, asked: dict[str, Any], action: str
) -> None:
    with pytest.raises(NotAllowed):
        office.house.ask("notifications", method, caller(capacity), **asked)
    [trace] = office.traces(action)
    assert (trace["outcome"], trace["reason"]) == ("refused", "not_allowed")
    assert office.rows(Subscription) == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"establishment_id": new_id()}, "/establishment_id"),
        ({"establishment_id": "cabinet"}, "/establishment_id"),
        ({"event_types": ["access_traced.v1"]}, "/event_types/0"),
        ({"event_types": []}, "/event_types"),
    ],
)
def test_a_wish_for_what_does_not_exist_is_refused_where_it_stands(
    office: Office, changes: dict[str, Any], pointer: str
) -> None:
    wished = {"establishment_id": office.establishment(), "event_types": [DOCUMENT_DEPOSITED], **changes}
    with pytest.raises(InvalidInput) as refused:
        office.house.ask("notifications", "create_subscription", AGENT, **wished)
    assert [error["pointer"] for error in refused.value.detail["errors"]] == [pointer]
    assert office.rows(Subscription) == []


def test_with_the_broker_away_nothing_usable_is_left_and_the_rest_is_cleared(office: Office) -> None:
    office.go_out(replace(office.settings, subscriber_broker_port=_free_port()))
    with pytest.raises(Unavailable):
        office.subscribe()
    [row] = office.rows(Subscription)
    assert row.state == "preparing" and office.traces("subscription.created") == []
    assert office.house.ask("notifications", "list_subscriptions", AGENT)["subscriptions"] == []
    office.go_out(office.settings)
    office.service.clear_queues()
    assert office.rows(Subscription)[0].state == "preparing"  # it may still be on its way
    _age(office, Subscription.created_at, systems.UNFINISHED_AFTER)
    office.service.clear_queues()
    [row] = office.rows(Subscription)
    assert row.state == "ended" and row.queue_removed_at is not None


def test_subscriptions_are_listed_newest_first_by_pages_and_without_secrets(office: Office) -> None:
    one, other = office.establishment(), office.establishment()
    given = [office.subscribe(one), office.subscribe(other), office.subscribe(one)]
    ids = [each["subscription_id"] for each in given]
    page = office.house.ask("notifications", "list_subscriptions", AGENT, limit=2)
    rest = office.house.ask("notifications", "list_subscriptions", AGENT, limit=2, cursor=page["next_cursor"])
    assert [s["subscription_id"] for s in page["subscriptions"] + rest["subscriptions"]] == ids[::-1]
    assert rest["next_cursor"] is None
    of_one = office.house.ask("notifications", "list_subscriptions", AGENT, establishment_id=one)
    assert [s["subscription_id"] for s in of_one["subscriptions"]] == [ids[2], ids[0]]
    assert not any(each["password"] in json.dumps([page, rest]) for each in given)
    assert [trace["count"] for trace in office.traces("subscription.searched")] == [2, 1, 2]


def test_ending_a_subscription_deletes_its_queue_and_can_be_repeated(office: Office) -> None:
    given = office.subscribe()
    asked = {"subscription_id": given["subscription_id"]}
    first = office.house.ask("notifications", "end_subscription", AGENT, **asked)
    assert office.depth(given["queue"]) is None
    assert office.house.ask("notifications", "end_subscription", AGENT, **asked) == first
    assert len(office.traces("subscription.ended")) == 1
    _age(office, Subscription.ended_at, systems.QUEUE_REMOVED_FOR_GOOD)
    office.service.clear_queues()
    assert office.rows(Subscription)[0].queue_removed_at is not None


def test_an_end_while_the_broker_is_away_holds_and_the_queue_goes_later(office: Office) -> None:
    given = office.subscribe()
    office.go_out(replace(office.settings, subscriber_broker_port=_free_port()))
    office.house.ask("notifications", "end_subscription", AGENT, subscription_id=given["subscription_id"])
    assert office.rows(Subscription)[0].state == "ended"
    assert office.depth(given["queue"]) == 0
    office.go_out(office.settings)
    office.service.clear_queues()
    assert office.depth(given["queue"]) is None


@pytest.mark.parametrize("unknown", [new_id(), "sub", "' or 1=1"])
def test_an_unknown_subscription_cannot_be_ended(office: Office, unknown: str) -> None:
    with pytest.raises(SubscriptionNotFound):
        office.house.ask("notifications", "end_subscription", AGENT, subscription_id=unknown)
    assert [trace["reason"] for trace in office.traces("subscription.ended")] == ["subscription_not_found"]


def _age(office: Office, column: Any, by: timedelta) -> None:
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(sa.update(column.class_).values({column: column - by}))


# --- events for foreign systems ---------------------------------------------------------------------------------------


def test_a_deposit_goes_out_to_the_establishment_whose_physician_may_read_it_and_to_no_other(office: Office) -> None:
    record_id, holder = office.active_record()
    near, far = office.establishment(), office.establishment()
    office.reader(near, record_id, holder)
    hearing, deaf, other_type = office.subscribe(near), office.subscribe(far), office.subscribe(
        near, DOCUMENT_CONFIDENTIALITY_CHANGED)  # fmt: skip
    deposit = a_deposit(record_id)
    event_id = office.happen("documents", deposit)
    [(body, properties)] = drain(hearing)
    told = json.loads(body)
    assert (told["id"], told["type"], told["subject"]) == (event_id, DOCUMENT_DEPOSITED, record_id)
    assert told["data"] == {
        "record_id": record_id, "document_id": deposit.document_id, "version_id": deposit.version_id,
        "type": "medical_report", "category": "care_reports", "level": "standard",
        "deposited_at": deposit.deposited_at,
    }  # fmt: skip
    assert properties.content_type == "application/cloudevents+json"
    assert (properties.delivery_mode, properties.message_id) == (2, event_id)
    assert office.depth(deaf["queue"]) == 0 and office.depth(other_type["queue"]) == 0
    assert [row.state for row in office.rows(Delivery)] == ["published"]


@pytest.mark.parametrize(("level", "heard"), [("standard", 1), ("confidential", 1), ("private", 0)])
def test_the_level_decides_what_the_circle_hears_of(office: Office, level: str, heard: int) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    office.happen("documents", a_deposit(record_id, level=level))
    assert office.depth(given["queue"]) == heard


def test_a_redelivered_deposit_goes_out_once(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given, deposit = office.subscribe(near), a_deposit(record_id)
    event_id = office.happen("documents", deposit)
    office.happen("documents", deposit, event_id)
    assert office.depth(given["queue"]) == 1


def test_killed_between_confirm_and_commit_it_goes_out_twice_under_one_id(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given, deposit, event_id = office.subscribe(near), a_deposit(record_id), new_id()
    office.happen_and_die("documents", deposit, event_id)
    assert office.rows(Delivery) == []
    office.happen_and_die_sending("documents", deposit, event_id)
    office.send()
    one, other = drain(given)
    assert one[0] == other[0] and json.loads(one[0])["id"] == event_id


def test_a_new_level_is_told_to_those_who_still_read_and_to_nobody_else(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given, deposit = office.subscribe(near, DOCUMENT_CONFIDENTIALITY_CHANGED), a_deposit(record_id)
    office.happen("documents", deposit)
    office.happen("documents", levelled(deposit, "confidential"))
    office.happen("documents", levelled(deposit, "private"))
    [(body, _)] = drain(given)
    assert json.loads(body)["data"]["level"] == "confidential"
    [document] = office.rows(Document)
    assert document.level == "private"


def test_an_older_level_that_comes_late_changes_nothing(office: Office) -> None:
    record_id, _ = office.active_record()
    deposit = a_deposit(record_id)
    office.happen("documents", deposit)
    early = levelled(deposit, "confidential")
    office.happen("documents", levelled(deposit, "private"))
    office.happen("documents", early)
    assert office.rows(Document)[0].level == "private"


def test_a_level_that_overtakes_its_deposit_is_tried_again(office: Office) -> None:
    record_id, _ = office.active_record()
    deposit = a_deposit(record_id)
    with pytest.raises(DepositNotYetKnown):
        office.happen("documents", levelled(deposit, "private"))
    office.happen("documents", deposit)
    office.happen("documents", levelled(deposit, "private"))
    assert office.rows(Document)[0].level == "private"


def corrected(of: DocumentDeposited, category: str, number: int) -> DocumentCorrected:
    kind = "laboratory_results" if category == "laboratory" else "medical_report"
    return DocumentCorrected(of.record_id, of.document_id, number, kind, category, "x", rfc3339(now()))


def test_who_hears_of_a_document_follows_its_correction_and_an_older_one_that_comes_late_does_not(
    office: Office,
) -> None:
    record_id, near = office.record_with_reader()
    given, deposit = office.subscribe(near, DOCUMENT_CONFIDENTIALITY_CHANGED), a_deposit(record_id)
    with pytest.raises(DepositNotYetKnown):
        office.happen("documents", corrected(deposit, "laboratory", 2))
    office.happen("documents", deposit)
    office.happen("documents", corrected(deposit, "access_traces", 3))
    office.happen("documents", corrected(deposit, "laboratory", 2))
    office.happen("documents", levelled(deposit, "confidential"))
    assert office.depth(given["queue"]) == 0
    office.happen("documents", corrected(deposit, "laboratory", 4))
    office.happen("documents", levelled(deposit, "standard"))
    [(body, _)] = drain(given)
    assert json.loads(body)["data"]["type"] == "laboratory_results"


def versioned(of: DocumentDeposited, number: int) -> DocumentVersioned:
    return DocumentVersioned(of.record_id, of.document_id, new_id(), number, of.document_type, of.category, of.level,
                             None, of.media_type, of.size, None, rfc3339(now()))  # fmt: skip


def test_what_is_told_of_a_document_names_its_latest_version(office: Office) -> None:
    record_id, _ = office.active_record()
    deposit = a_deposit(record_id)
    office.happen("documents", deposit)
    late, last = versioned(deposit, 2), versioned(deposit, 3)
    office.happen("documents", last)
    office.happen("documents", late)
    assert [row.version_id for row in office.rows(Document)] == [last.version_id]


def restricted(of: DocumentDeposited, who: Caller, hidden: bool = True, late: float = 0) -> DocumentRestricted:
    at = rfc3339(now() + timedelta(seconds=late))
    return DocumentRestricted(of.record_id, of.document_id, who.professional_id or "", hidden, at)


def test_a_patient_block_and_its_end_are_told_to_whose_physician_reads_the_document_and_to_no_other(
    office: Office,
) -> None:
    record_id, holder = office.active_record()
    near, far = office.establishment(), office.establishment()
    office.reader(near, record_id, holder)
    types = (DOCUMENT_BLOCKED, DOCUMENT_RELEASED)
    hearing, deaf, other_types = office.subscribe(near, *types), office.subscribe(far, *types), office.subscribe(near)
    deposit, at, later = a_deposit(record_id), rfc3339(now()), rfc3339(now() + timedelta(days=3))
    office.happen("documents", deposit)
    sent = [office.happen("documents", DocumentBlocked(record_id, deposit.document_id, at)),
            office.happen("documents", DocumentReleased(record_id, deposit.document_id, later, at))]  # fmt: skip
    told = [json.loads(body) for body, _ in drain(hearing)]
    assert [one["id"] for one in told] == sent and [one["type"] for one in told] == list(types)
    facts = {"record_id": record_id, "document_id": deposit.document_id, "version_id": deposit.version_id,
             "type": "medical_report", "category": "care_reports", "level": "standard"}  # fmt: skip
    assert [one["data"] for one in told] == [{**facts, "blocked_at": at}, {**facts, "released_at": later}]
    assert office.depth(deaf["queue"]) == 0 and office.depth(other_types["queue"]) == 1, "the deposit alone"


def test_a_block_that_overtakes_its_deposit_is_tried_again(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given, deposit, at = office.subscribe(near, DOCUMENT_BLOCKED), a_deposit(record_id), rfc3339(now())
    blocked, released = (DocumentBlocked(record_id, deposit.document_id, at),
                         DocumentReleased(record_id, deposit.document_id, at, at))  # fmt: skip
    for data in (blocked, released):
        with pytest.raises(DepositNotYetKnown):
            office.happen("documents", data)
    office.happen("documents", deposit)
    office.happen("documents", blocked)
    assert office.depth(given["queue"]) == 1


def test_from_whom_a_document_is_hidden_their_system_hears_nothing_of_it_until_it_is_shown_again(
    office: Office,
) -> None:
    record_id, holder = office.active_record()
    near, far = office.establishment(), office.establishment()
    barred = office.reader(near, record_id, holder)
    office.reader(far, record_id, holder)
    deaf, hearing = (office.subscribe(place, DOCUMENT_CONFIDENTIALITY_CHANGED) for place in (near, far))
    deposit = a_deposit(record_id)
    office.happen("documents", deposit)
    office.happen("documents", restricted(deposit, barred))
    office.happen("documents", levelled(deposit, "confidential"))
    assert (office.depth(deaf["queue"]), office.depth(hearing["queue"])) == (0, 1)
    office.happen("documents", restricted(deposit, barred, hidden=False))
    office.happen("documents", levelled(deposit, "standard"))
    assert (office.depth(deaf["queue"]), office.depth(hearing["queue"])) == (1, 2)


def test_a_colleague_who_reads_it_still_has_their_common_system_hear(office: Office) -> None:
    record_id, holder = office.active_record()
    near = office.establishment()
    barred, _ = office.reader(near, record_id, holder), office.reader(near, record_id, holder)
    given, deposit = office.subscribe(near, DOCUMENT_CONFIDENTIALITY_CHANGED), a_deposit(record_id)
    office.happen("documents", deposit)
    office.happen("documents", restricted(deposit, barred))
    office.happen("documents", levelled(deposit, "confidential"))
    assert office.depth(given["queue"]) == 1


def test_an_author_hears_of_their_own_document_whatever_hides_it(office: Office) -> None:
    record_id, holder = office.active_record()
    near = office.establishment()
    author = office.reader(near, record_id, holder)
    given = office.subscribe(near, DOCUMENT_CONFIDENTIALITY_CHANGED)
    deposit = a_deposit(record_id, author_id=author.professional_id)
    office.happen("documents", deposit)
    office.happen("documents", restricted(deposit, author))
    office.happen("documents", levelled(deposit, "private"))
    assert office.depth(given["queue"]) == 1


def test_a_restriction_counts_by_its_own_time_in_whatever_order_it_comes(office: Office) -> None:
    record_id, holder = office.active_record()
    near = office.establishment()
    barred = office.reader(near, record_id, holder)
    given, deposit = office.subscribe(near), a_deposit(record_id)
    office.happen("documents", restricted(deposit, barred, late=2))
    office.happen("documents", restricted(deposit, barred, hidden=False, late=1))
    office.happen("documents", deposit)
    assert office.depth(given["queue"]) == 0, "it came before the deposit, and what was older came after it"


def test_what_waited_is_withheld_when_it_was_hidden_from_its_readers_by_then(office: Office) -> None:
    record_id, holder = office.active_record()
    near = office.establishment()
    barred = office.reader(near, record_id, holder)
    given, deposit = office.subscribe(near), a_deposit(record_id)
    office.go_out(replace(office.settings, subscriber_broker_port=_free_port()))
    office.happen("documents", deposit)
    office.go_out(office.settings)
    _age(office, Delivery.allowed_at, FRESH)
    office.happen("documents", restricted(deposit, barred))
    assert [row.state for row in office.rows(Delivery)] == ["withheld"] and office.depth(given["queue"]) == 0


def test_with_the_broker_away_events_wait_and_go_out_in_order(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    office.go_out(replace(office.settings, subscriber_broker_port=_free_port()))
    sent = [office.happen("documents", a_deposit(record_id)) for _ in range(3)]
    office.send()
    assert {row.state for row in office.rows(Delivery)} == {"waiting"}
    office.go_out(office.settings)
    # A later one does not overtake those that wait.
    sent.append(office.happen("documents", a_deposit(record_id)))
    bodies = [json.loads(body) for body, _ in drain(given)]
    assert [body["id"] for body in bodies] == sent
    assert {row.state for row in office.rows(Delivery)} == {"published"}


def test_what_waited_is_withheld_when_the_ground_is_gone_by_then(office: Office) -> None:
    record_id, holder = office.active_record()
    near = office.establishment()
    doctor = office.reader(near, record_id, holder)
    given = office.subscribe(near)
    office.go_out(replace(office.settings, subscriber_broker_port=_free_port()))
    office.happen("documents", a_deposit(record_id))
    office.go_out(office.settings)
    office.house.ask("dossier", "remove_from_circle", holder, record_id=record_id,
                     professional_id=doctor.professional_id)  # fmt: skip
    _age(office, Delivery.allowed_at, FRESH)
    office.send()
    assert [row.state for row in office.rows(Delivery)] == ["withheld"]
    assert office.depth(given["queue"]) == 0


def test_a_full_queue_holds_up_nobody_else(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    record_id, near = office.record_with_reader()
    # As the broker refuses a message to a queue that has reached its length.
    monkeypatch.setattr(
        "services.notifications.ports.subscriber_broker.queue_arguments",
        lambda: {**systems.queue_arguments(), "x-max-length-bytes": 1},
    )
    full = office.subscribe(near)
    monkeypatch.undo()
    well = office.subscribe(near)
    for _ in range(20):
        office.happen("documents", a_deposit(record_id))
    assert office.depth(well["queue"]) == 20
    lying = office.depth(full["queue"])
    assert lying is not None and 0 < lying < 20
    office.send()
    seen = []
    deadline = time.monotonic() + 120
    while len(seen) < 20 and time.monotonic() < deadline:
        seen += [json.loads(body)["id"] for body, _ in drain(full)]
        _age(office, Outlet.retry_at, LONGEST_WAIT["queue"])
        office.send()
    healthy = [json.loads(body)["id"] for body, _ in drain(well)]
    assert seen == healthy


def test_a_queue_that_went_missing_is_declared_anew(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    with office.broker() as connection:
        connection.channel().queue_delete(given["queue"])
    office.happen("documents", a_deposit(record_id))
    assert office.depth(given["queue"]) == 1


def test_an_ended_subscription_gets_nothing_any_more(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    office.house.ask("notifications", "end_subscription", AGENT, subscription_id=given["subscription_id"])
    office.happen("documents", a_deposit(record_id))
    assert office.rows(Delivery) == [] and office.depth(given["queue"]) is None


def drain(given: dict[str, Any]) -> list[tuple[bytes, Any]]:
    """Takes everything out of a subscriber's queue, as the subscriber."""
    taken = []
    with log_in(given) as connection:
        channel = connection.channel()
        while True:
            method, properties, body = channel.basic_get(given["queue"])
            if method is None:
                return taken
            channel.basic_ack(method.delivery_tag)
            taken.append((body, properties))


# --- the broker asks --------------------------------------------------------------------------------------------------


def asked(app: BrokerAuth, path: str, how: str = "POST", **fields: str) -> str:
    """The answer to one question of the broker."""
    from urllib.parse import urlencode

    text = urlencode(fields)
    environ = {
        "REQUEST_METHOD": how, "PATH_INFO": path, "QUERY_STRING": "" if how == "POST" else text,
        "CONTENT_LENGTH": str(len(text)) if how == "POST" else "", "wsgi.input": io.BytesIO(text.encode()),
    }  # fmt: skip
    statuses: list[str] = []
    body = b"".join(app(environ, lambda status, _headers: statuses.append(status)))
    assert statuses == ["200 OK"]
    return body.decode()


@pytest.mark.parametrize("how", ["POST", "GET"])
def test_the_credential_of_an_active_subscription_lets_in_and_no_other_does(office: Office, how: str) -> None:
    one, other = office.subscribe(), office.subscribe()
    assert asked(office.app, "/user", how, username=one["username"], password=one["password"]) == "allow"
    for username, password in (
        (one["username"], other["password"]), (one["username"], ""), (one["username"], one["password"] + "x"),
        ("foreign-nobody", one["password"]), ("", ""), ("notifications", one["password"]),
        (one["username"].upper(), one["password"]), (one["queue"], one["password"]),
    ):  # fmt: skip
        assert asked(office.app, "/user", how, username=username, password=password) == "deny"


def test_a_subscriber_may_consume_its_own_queue_and_nothing_else(office: Office) -> None:
    one, other = office.subscribe(), office.subscribe()
    mine = {"username": one["username"], "vhost": VHOST}
    own = {**mine, "resource": "queue", "name": one["queue"], "permission": "read"}
    assert asked(office.app, "/vhost", **mine, ip="127.0.0.1") == "allow"
    assert asked(office.app, "/resource", **own) == "allow"
    for changes in (
        {"permission": "write"}, {"permission": "configure"}, {"name": other["queue"]}, {"name": "subscriptions"},
        {"resource": "exchange"}, {"resource": "topic"}, {"vhost": "opendsp"}, {"username": other["username"]},
        {"username": "foreign-nobody"}, {"name": ""},
    ):  # fmt: skip
        assert asked(office.app, "/resource", **{**own, **changes}) == "deny", changes
    assert asked(office.app, "/vhost", username=one["username"], vhost="opendsp") == "deny"
    assert asked(office.app, "/vhost", username="foreign-nobody", vhost=VHOST) == "deny"
    assert asked(office.app, "/topic", **own, routing_key="x") == "deny"


@pytest.mark.parametrize(
    ("path", "fields"),
    [("/", {}), ("/users", {"username": "a", "password": "b"}), ("/user", {}), ("/user", {"username": "a"}),
     ("/resource", {"username": "a", "vhost": VHOST}), ("/user", {"username": "a\0b", "password": "x"}),
     ("/user", {"username": "a", "password": "x" * 20000})],
)  # fmt: skip
def test_an_unclear_question_is_denied(office: Office, path: str, fields: dict[str, str]) -> None:
    assert asked(office.app, path, **fields) == "deny"


def test_a_doubled_field_is_denied(office: Office) -> None:
    given = office.subscribe()
    text = f"username=x&username={given['username']}&password={given['password']}"
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/user", "CONTENT_LENGTH": str(len(text)),
               "wsgi.input": io.BytesIO(text.encode())}  # fmt: skip
    assert b"".join(office.app(environ, lambda *_: None)) == b"deny"


def test_an_ended_subscription_is_denied_at_once(office: Office) -> None:
    given = office.subscribe()
    login = {"username": given["username"], "password": given["password"]}
    assert asked(office.app, "/user", **login) == "allow"
    office.house.ask("notifications", "end_subscription", AGENT, subscription_id=given["subscription_id"])
    assert asked(office.app, "/user", **login) == "deny"
    assert asked(office.app, "/vhost", username=given["username"], vhost=VHOST) == "deny"
    own = {"resource": "queue", "name": given["queue"], "permission": "read"}
    assert asked(office.app, "/resource", username=given["username"], vhost=VHOST, **own) == "deny"


def test_with_its_database_away_everything_is_denied(office: Office) -> None:
    given = office.subscribe()
    port = f":{sa.make_url(office.settings.database_url).port}/"
    blind = create_app.__wrapped__(
        replace(office.settings, database_url=office.settings.database_url.replace(port, f":{_free_port()}/"))
    )
    assert asked(blind, "/user", username=given["username"], password=given["password"]) == "deny"


def test_questions_are_not_logged(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    asked(office.app, "/user", username="foreign-somebody", password="a-secret", vhost="\0")
    asked(office.app, "/nowhere", password="a-secret")
    assert "a-secret" not in caplog.text and "foreign-somebody" not in caplog.text


# --- a foreign system, from log-in to revocation ----------------------------------------------------------------------


def log_in(given: dict[str, Any], **changes: Any) -> pika.BlockingConnection:
    said = {**given, **changes}
    return pika.BlockingConnection(pika.ConnectionParameters(
        said["host"], said["port"], said["vhost"], pika.PlainCredentials(said["username"], said["password"])
    ))  # fmt: skip


def test_a_foreign_system_reaches_its_own_queue_and_nothing_else(office: Office) -> None:
    one, other = office.subscribe(), office.subscribe()
    with log_in(one) as connection:
        assert connection.channel().basic_get(one["queue"])[0] is None
    attempts: list[Callable[[Any], Any]] = [
        lambda channel: channel.basic_get(other["queue"]),
        lambda channel: channel.queue_declare("sub.mine-too"),
        lambda channel: channel.queue_delete(one["queue"]),
        lambda channel: channel.queue_bind(one["queue"], "subscriptions", other["queue"]),
        lambda channel: (channel.confirm_delivery(), channel.basic_publish("", one["queue"], b"{}")),
        lambda channel: (channel.confirm_delivery(), channel.basic_publish("subscriptions", other["queue"], b"{}")),
    ]
    for attempt in attempts:
        with log_in(one) as connection:
            with pytest.raises(ChannelClosedByBroker) as closed:
                attempt(connection.channel())
            assert closed.value.reply_code == 403
    for wrong in ({"vhost": "opendsp"}, {"password": other["password"]}, {"username": other["username"]}):
        with pytest.raises((ProbableAuthenticationError, ProbableAccessDeniedError)):
            log_in(one, **wrong)


def test_the_reference_subscriber_receives_once_resumes_and_ends_with_its_subscription(
    office: Office, tmp_path: Path
) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    secret = tmp_path / "password"
    secret.write_text(given["password"] + "\n")

    def run(*more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, reference_subscriber.__file__, "--host", given["host"], "--port", str(given["port"]),
             "--vhost", given["vhost"], "--queue", given["queue"], "--username", given["username"],
             "--password-file", str(secret), "--seen", str(tmp_path / "seen"), *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    deposit, event_id = a_deposit(record_id), new_id()
    office.happen_and_die_sending("documents", deposit, event_id)
    office.send()  # it lies in the queue twice
    second = office.happen("documents", a_deposit(record_id))
    out, _ = run("--count", "2").communicate(timeout=120)
    assert [json.loads(line)["id"] for line in out.splitlines()] == [event_id, second]

    third = office.happen("documents", a_deposit(record_id))
    running = run()
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())["id"] == third
    office.house.ask("notifications", "end_subscription", AGENT, subscription_id=given["subscription_id"])
    out, err = running.communicate(timeout=120)
    assert running.returncode == reference_subscriber.ENDED, err
    assert out == "" and "refused" in err


def test_the_reference_subscriber_comes_back_when_its_connection_is_cut(
    infra: Stack, office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from deploy.local import rabbitmq

    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    parameters = pika.ConnectionParameters(
        given["host"], given["port"], given["vhost"], pika.PlainCredentials(given["username"], given["password"])
    )
    subscriber = reference_subscriber.Subscriber(parameters, given["queue"], reference_subscriber.Seen(None), 2)
    running = threading.Thread(target=subscriber.run, daemon=True)
    running.start()
    first = office.happen("documents", a_deposit(record_id))
    deadline = time.monotonic() + 120
    while subscriber._left == 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    rabbitmq.control(infra.layout, "close_all_user_connections", given["username"], "cut by a test")
    second = office.happen("documents", a_deposit(record_id))
    running.join(timeout=120)
    assert not running.is_alive()
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [first, second]


def test_a_letter_event_of_an_unknown_kind_of_person_is_no_letter(office: Office) -> None:
    with pytest.raises(KeyError):
        office.happen("identity", AccountInvited(new_id(), "machine", new_id()))
    assert office.rows(Letter) == []
