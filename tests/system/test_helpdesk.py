"""The helpdesk on the whole platform: a form, an agent, a letter that is printed, a code and an answer that arrive."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import pytest

from deploy.agency import newcomer, open_record
from deploy.visitors import Letter, Visitor, mail_text, wait_for
from tests.system.conftest import Village

SAID = "Je ne peux plus lire mon ancienne adresse depuis hier"
ANSWER = "Votre nouvelle adresse est en place, à bientôt"


@dataclass
class Ticket:
    """A request at the helpdesk, and whoever follows it with its token."""

    village: Village
    who: Visitor
    request_id: str
    token: str

    def follow(self, token: str | None = None, **expect: Any) -> Any:
        headers = {"Tracking-Token": token or self.token}
        return self.who.ask("GET", f"/helpdesk-requests/{self.request_id}", headers=headers, **expect)

    def prove(self, code: str, **expect: Any) -> Any:
        path, headers = f"/helpdesk-requests/{self.request_id}/contact-proof", {"Tracking-Token": self.token}
        return self.who.ask("POST", path, headers=headers, json={"code": code}, **expect)

    def act(self, step: str, who: Visitor | None = None, expect: Any = None, **body: Any) -> Any:
        given = {"json": body} if body else {}
        path = f"/agency/helpdesk-requests/{self.request_id}/{step}"
        return (who or self.village.agent).ask("POST", path, expect=expect, **given)

    def checked(self) -> Ticket:
        self.act("take")
        self.act("identity-check", matricule=self.who.matricule, kind="patient", method="identity_card")
        return self


def ask_helpdesk(village: Village, who: Visitor, topic: str, reply_to: str) -> Ticket:
    """Fills in the public form, as somebody who is not logged in."""
    stranger = Visitor(village.town, who.name, who.matricule, who.email)
    form = {"topic": topic, "name": who.name, "reply_kind": "email", "reply_value": reply_to, "message": SAID}
    made = stranger.ask("POST", "/helpdesk-requests", expect=201, json=form)
    who.secrets.add(made["tracking_token"])
    return Ticket(village, who, made["request_id"], made["tracking_token"])


def new_address(who: Visitor) -> str:
    return f"new.{who.email}"


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


def test_help_names_phone_mail_hours_and_the_topics_of_the_form(village: Village, patient: Visitor) -> None:
    found = Visitor(village.town, "x", "", "").ask("GET", "/help")
    assert found["phone"] and "@" in found["mail"] and "lundi" in found["hours"]
    assert {"activation", "contact", "personal_data"} <= {topic["topic"] for topic in found["topics"]}


def test_a_lost_mailbox_is_replaced_and_the_answer_is_read_where_it_was_asked(
    village: Village, patient: Visitor
) -> None:
    old, new, reply = patient.email, new_address(patient), f"reply.{patient.email}"
    ticket = ask_helpdesk(village, patient, "contact", reply)
    listed = village.agent.ask("GET", "/agency/helpdesk-requests?state=open&limit=100")["requests"]
    assert ticket.request_id in {request["request_id"] for request in listed}
    sheet = village.agent.ask("GET", f"/agency/helpdesk-requests/{ticket.request_id}")
    assert (sheet["message"], sheet["name"], sheet["language"]) == (SAID, patient.name, "fr")
    ticket.checked()
    ticket.act("contact", kind="email", value=new, expect=202)
    assert ticket.follow()["code_expires_at"] is not None
    ticket.prove("aaaaaa", expect=403)
    told = len(village.town.mails(old))
    patient.email = new
    ticket.prove(patient.one_time_code(0), expect=204)
    notice = village.town.mail(old, lambda mail: mail, told, "the notice to the old address")
    assert new not in mail_text(notice) and patient.name not in mail_text(notice)
    patient.log_in()
    ticket.act("answer", text=ANSWER)
    answered = village.town.mail(reply, lambda mail: mail, 0, "the mail that there is an answer")
    assert ANSWER not in _all_of(answered) and SAID not in _all_of(answered) and patient.name not in _all_of(answered)
    followed = ticket.follow()
    assert (followed["state"], followed["answer"]) == ("answered", ANSWER)
    ticket.act("close")
    assert ticket.follow()["state"] == "closed"
    village.agent.ask("POST", f"/agency/helpdesk-requests/{ticket.request_id}/answer", expect=409, json={"text": "!"})


def test_somebody_who_lost_everything_gets_a_letter_that_leads_back_in(village: Village) -> None:
    person = village.patient()
    first = village.town.letter(person.name)
    ticket = ask_helpdesk(village, person, "log_in", person.email)
    ticket.act("letter", purpose="recovery", expect=409)
    ticket.act("take")
    refused = ticket.act("letter", purpose="recovery", expect=409)
    assert refused["type"] == "urn:dsp:problem:identity_check_due"
    ticket.checked().act("letter", purpose="recovery", expect=202)
    second = wait_for(lambda: _newer(village, person, first), "the new letter")
    assert second.activation_code != first.activation_code
    assert person.matricule not in second.text.replace(" ", "")
    person.secrets.add(second.activation_code)
    begun = person.ask(
        "POST", "/activations", json={"matricule": person.matricule, "activation_code": second.activation_code}
    )
    assert begun["flow"] == "recovery"
    person.secrets.add(begun["activation_token"])


def test_a_first_letter_that_never_arrived_is_printed_again(village: Village) -> None:
    person = village.remember(newcomer(village.town, "patient"))
    open_record(village.agent, person)
    first = village.town.letter(person.name)
    ticket = ask_helpdesk(village, person, "activation", person.email).checked()
    ticket.act("letter", purpose="recovery", expect=409)
    ticket.act("letter", purpose="activation", expect=202)
    second = wait_for(lambda: _newer(village, person, first), "the new letter")
    old = {"matricule": person.matricule, "activation_code": first.activation_code}
    assert person.ask("POST", "/activations", expect=403, json=old)["type"] == "urn:dsp:problem:activation_refused"
    person.activate(second.activation_code)
    person.log_in()


def test_nobody_follows_a_request_by_a_foreign_token_or_works_at_the_desk_without_being_its_agent(
    village: Village, patient: Visitor
) -> None:
    ticket = ask_helpdesk(village, patient, "other", patient.email)
    refused = ticket.follow("b7c1Zk", expect=404)
    unknown = Ticket(village, patient, patient.ids["record_id"], ticket.token).follow(expect=404)
    assert refused["type"] == unknown["type"] == "urn:dsp:problem:helpdesk_request_not_found"
    assert patient.raw("GET", f"/helpdesk-requests/{ticket.request_id}").status_code == 422
    stranger = Visitor(village.town, "x", "", "")
    for who, status in ((patient, 403), (stranger, 401)):
        who.ask("GET", "/agency/helpdesk-requests", expect=status)
        who.ask("GET", f"/agency/helpdesk-requests/{ticket.request_id}", expect=status)
        ticket.act("take", who, expect=status)
        ticket.act("answer", who, expect=status, text="!")
    assert ticket.follow()["state"] == "open"


def _newer(village: Village, person: Visitor, than: Letter) -> Letter | None:
    newest = village.town.letter(person.name)
    return newest if newest.file != than.file else None


def _all_of(mail: EmailMessage) -> str:
    return mail_text(mail) + str(mail["Subject"])
