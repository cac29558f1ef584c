"""What happens reaches those whom it concerns by real mail, and nobody beside them, on the whole platform."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from deploy.visitors import Visitor, mail_text, wait_for
from tests.builders import pdf
from tests.system.conftest import Village
from tests.system.test_record_news import says_nothing_of, times_told, told

TITLE = "Bilan du 20 novembre"


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


@pytest.fixture(scope="module")
def doctor(village: Village, patient: Visitor) -> Visitor:
    """Somebody whom the patient trusts."""
    who = village.professional("trusted doctor")
    path = f"/records/{patient.ids['record_id']}/circle/{who.ids['professional_id']}"
    wait_for(lambda: patient.raw("PUT", path, json={}).status_code == 204 or None, "the circle of trust")
    return who


def deposited(who: Visitor, patient: Visitor) -> str:
    made = who.deposit(patient.ids["record_id"], pdf(), type="medical_report", title=TITLE)
    return str(made["document_id"])


def quiet(mail: EmailMessage, *people: Visitor) -> bool:
    return says_nothing_of(mail, *people) and TITLE not in mail_text(mail)


def test_who_is_trusted_hears_of_it_and_the_holder_who_did_it_does_not(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    assert quiet(told(village, doctor, "ajouté à son cercle de confiance"), patient, doctor)
    assert times_told(village, patient, "cercle de confiance") == 0


def test_a_new_document_is_told_to_its_holder_and_to_neither_author_nor_stranger(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    stranger = village.patient()
    document_id = deposited(doctor, patient)
    mail = told(village, patient, "nouveau document")
    assert quiet(mail, patient, doctor) and document_id not in mail_text(mail)
    assert times_told(village, doctor, "nouveau document") == times_told(village, stranger, "nouveau document") == 0


def test_a_document_shown_after_a_block_is_told_then_and_the_block_is_not(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    document_id, seen = deposited(doctor, patient), times_told(village, patient, "document")
    block = f"/documents/{document_id}/patient-block"
    doctor.ask("POST", block, json={"reason": "à expliquer de vive voix"}, expect=(200, 201))
    assert times_told(village, patient, "devenu visible") == 0
    doctor.ask("DELETE", block, expect=204)
    assert quiet(told(village, patient, "devenu visible"), patient, doctor)
    assert times_told(village, patient, "document") <= seen + 2, "of its deposit at most, and that it is shown"


def test_a_log_in_from_a_new_kind_of_device_is_told_to_who_owns_the_account(village: Village) -> None:
    owner, other = village.patient(), village.patient()
    assert times_told(village, owner, "nouvel appareil") == 0
    owner.http.headers["User-Agent"] = "Mozilla/5.0 (X11 Linux x86_64 rv 128.0) Gecko"
    owner.log_in()
    assert says_nothing_of(told(village, owner, "nouvel appareil"), owner)
    assert times_told(village, other, "nouvel appareil") == 0


def test_what_reaches_the_helpdesk_is_told_to_the_agents(village: Village, patient: Visitor) -> None:
    form = {"topic": "contact", "name": patient.name, "reply_kind": "email", "reply_value": patient.email,
            "message": "Je ne peux plus lire mon ancienne adresse depuis hier"}  # fmt: skip
    stranger = Visitor(village.town, patient.name, patient.matricule, patient.email)
    stranger.ask("POST", "/helpdesk-requests", expect=201, json=form)
    mail = told(village, village.agent, "arrivée à l'assistance")
    assert says_nothing_of(mail, patient) and "adresse" not in mail_text(mail)
    assert times_told(village, patient, "arrivée à l'assistance") == 0
