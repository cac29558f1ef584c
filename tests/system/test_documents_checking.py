"""The close look as people meet it: they wait for it or not, hear of what did not pass, and lose nothing."""

from __future__ import annotations

import pytest

from deploy.visitors import Visitor, mail_text, wait_for
from tests.builders import pdf
from tests.system.conftest import Village

BROKEN = b"%PDF-1.4\nlooks like one, and is none\nstartxref\n0\n%%EOF\n"
TITLE = "Un titre qui ne voyage pas"


@pytest.fixture(scope="module")
def doctor(village: Village) -> Visitor:
    return village.professional("doctor checked")


@pytest.fixture(scope="module")
def patient(village: Village, doctor: Visitor) -> Visitor:
    patient = village.patient()
    village.mandate(doctor, patient)
    return patient


def deposit(
    who: Visitor, patient: Visitor, data: bytes, prefer: str | None = None
) -> tuple[dict[str, str], str | None]:
    """A deposit in one request; its answer, and the wait that was honoured."""
    metadata = f'{{"type": "medical_report", "title": "{TITLE}"}}'
    parts = [("metadata", (None, metadata, "application/json")), ("file", ("x.pdf", data, "application/pdf"))]
    path = f"/records/{patient.ids['record_id']}/documents"
    answer = who.raw("POST", path, files=parts, headers={} if prefer is None else {"Prefer": prefer})
    assert answer.status_code == 201, answer.text
    return answer.json(), answer.headers.get("Preference-Applied")


def read(who: Visitor, made: dict[str, str], expect: int = 200) -> dict[str, str]:
    found: dict[str, str] = who.ask("GET", f"/documents/{made['document_id']}", expect=expect)
    return found


def test_who_waits_hears_that_it_is_there_and_who_does_not_is_not_kept(doctor: Visitor, patient: Visitor) -> None:
    made, applied = deposit(doctor, patient, pdf("Attendu"), "wait=30")
    assert (made["state"], made["reason"], applied) == ("available", None, "wait=30")
    assert read(patient, made)["state"] == "available"
    made, applied = deposit(doctor, patient, pdf("Pas attendu"))
    assert (made["state"], applied) == ("checking", None)
    assert wait_for(lambda: read(doctor, made)["state"] == "available" or None, "the close look", patience=120)


def test_what_did_not_pass_is_told_to_its_depositor_alone(village: Village, doctor: Visitor, patient: Visitor) -> None:
    seen = len(village.town.mails(doctor.email))
    made, _ = deposit(doctor, patient, BROKEN, "wait=30")
    assert (made["state"], made["reason"]) == ("rejected", "broken")
    assert (read(doctor, made)["state"], read(doctor, made)["reason"]) == ("rejected", "broken")
    read(patient, made, expect=404)
    mail = village.town.mail(
        doctor.email, lambda one: one if one["Subject"] == "Un dépôt n'a pas été accepté" else None, seen, "the notice"
    )
    text = mail.as_string() + mail_text(mail)
    assert not [word for word in (TITLE, patient.name, made["document_id"], made["record_id"]) if word in text]
    told = patient.ask("GET", "/notifications?limit=100")["notifications"]
    assert told and made["document_id"] not in [one["object_id"] for one in told], "nor is its patient"


def test_while_nobody_looks_deposits_are_taken_and_seen_by_their_depositor(
    village: Village, doctor: Visitor, patient: Visitor
) -> None:
    village.platform.stop("examiner")
    try:
        made, applied = deposit(doctor, patient, pdf("Sans personne"), "wait=1")
        assert (made["state"], applied) == ("checking", "wait=1")
        assert read(doctor, made)["state"] == "checking"
        read(patient, made, expect=404)
    finally:
        village.platform.start("examiner")
    assert wait_for(lambda: read(doctor, made)["state"] == "available" or None, "the close look", patience=120)
    assert read(patient, made)["title"] == TITLE


def test_an_examiner_that_is_killed_is_there_again_and_goes_on(
    village: Village, doctor: Visitor, patient: Visitor
) -> None:
    killed = village.platform.kill("examiner")
    made, _ = deposit(doctor, patient, pdf("Après"), "wait=30")
    state = wait_for(lambda: read(doctor, made)["state"] == "available" or None, "the close look", patience=120)
    assert state and village.platform.pid("examiner") not in (0, killed)


def test_examiners_work_side_by_side(village: Village, doctor: Visitor, patient: Visitor) -> None:
    village.platform.stack.scale("examiner", 2)
    try:
        village.platform.wait_ready(180)
        assert village.platform.pid("examiner-2") not in (0, village.platform.pid("examiner"))
        made = [deposit(doctor, patient, pdf(f"Côte à côte {number}"))[0] for number in range(6)]
        for one in made:
            assert wait_for(
                lambda one=one: read(doctor, one)["state"] == "available" or None, "the close look", patience=120
            )
    finally:
        village.platform.stack.scale("examiner", 1)
        village.platform.wait_ready(180)
