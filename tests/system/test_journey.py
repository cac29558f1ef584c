"""One patient's journey on the whole platform, each permission with its forbidden twin."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import pika
import psycopg2
import pytest

from deploy.agency import establishment
from deploy.visitors import Visitor, mail_text, wait_for
from tests.builders import pdf
from tests.system.conftest import Village


def deposit(who: Visitor, patient: Visitor, body: bytes, kind: str = "medical_report", title: str = "Rapport") -> str:
    made = who.deposit(patient.ids["record_id"], body, type=kind, title=title)
    return str(made["document_id"])


def sees(who: Visitor, patient: Visitor, document_id: str) -> bool:
    """Whether the document is there for `who`; the list, the sheet and the content must agree."""
    listed = any(item["document_id"] == document_id for item in who.documents(patient.ids["record_id"]))
    sheet = who.raw("GET", f"/documents/{document_id}").status_code
    content = who.raw("GET", f"/documents/{document_id}/content").status_code
    assert (sheet, content) == ((200, 200) if listed else (404, 404))
    return listed


def set_level(who: Visitor, document_id: str, level: str, **expect: Any) -> Any:
    body = {"level": level, "risk_accepted": True}
    return who.ask("PUT", f"/documents/{document_id}/confidentiality", json=body, **expect)


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


def test_the_letter_carries_both_codes_and_no_matricule(village: Village, patient: Visitor) -> None:
    letter = village.town.letter(patient.name)
    assert letter.activation_code and letter.presence_code
    assert patient.matricule not in letter.text.replace(" ", "")


def test_an_activation_code_opens_one_account_once(village: Village, patient: Visitor) -> None:
    again = {"matricule": patient.matricule, "activation_code": village.town.letter(patient.name).activation_code}
    stranger = Visitor(village.town, "x", patient.matricule, "x@example.lu")
    used = stranger.ask("POST", "/activations", expect=403, json=again)
    wrong = stranger.ask("POST", "/activations", expect=403, json=again | {"activation_code": "ABCDEFGHJKLM"})
    assert used["type"] == wrong["type"] == "urn:dsp:problem:activation_refused"


def test_a_log_in_needs_password_and_code(village: Village, patient: Visitor) -> None:
    stranger = Visitor(village.town, "x", patient.matricule, "x@example.lu")
    refused = stranger.ask(
        "POST", "/sessions", expect=401, json={"matricule": patient.matricule, "password": "not the right one"}
    )
    assert refused["type"] == "urn:dsp:problem:log_in_refused"
    login = {"matricule": patient.matricule, "password": patient.password}
    challenge = stranger.ask("POST", "/sessions", json=login)["challenge_id"]
    refused = stranger.ask("POST", f"/sessions/{challenge}/code", expect=403, json={"code": "aaaaaa"})
    assert refused["type"] == "urn:dsp:problem:one_time_code_refused"


def test_a_professional_without_a_ground_finds_nothing_and_with_the_code_has_a_day(
    village: Village, patient: Visitor
) -> None:
    doctor = village.professional("doctor a")
    record = f"/records/{patient.ids['record_id']}"
    for path in (record, f"{record}/documents", f"{record}/access-history", f"{record}/circle", f"{record}/mandates"):
        assert doctor.ask("GET", path, expect=404)["type"] == "urn:dsp:problem:record_not_found"
    refused = village.mandate(doctor, patient, code="WRQNG234", expect=403)
    assert refused["type"] == "urn:dsp:problem:presence_code_refused"
    seen = len(village.town.mails(patient.email))
    mandate = village.mandate(doctor, patient)
    assert mandate["kind"] == "presence"
    notice = village.town.mail(
        patient.email, lambda mail: mail if "Premier accès" in str(mail["Subject"]) else None, seen,
        "the notice of first access",
    )  # fmt: skip
    for datum in (doctor.name, patient.name, patient.matricule):
        assert datum not in mail_text(notice) + str(notice["Subject"])
    assert doctor.ask("GET", record)["ground"] == "presence"


def test_a_deposit_is_read_byte_for_byte_by_patient_and_by_another_doctor_with_a_mandate(
    village: Village, patient: Visitor
) -> None:
    doctor, other = village.professional("doctor a"), village.professional("doctor b")
    body = pdf("Consultation", 300_000)
    document_id = deposit(doctor, patient, body)
    assert patient.ask("GET", f"/documents/{document_id}/content") == body
    assert not any(item["document_id"] == document_id for item in _documents_or_none(other, patient))
    village.mandate(other, patient)
    assert other.ask("GET", f"/documents/{document_id}/content") == body


def _documents_or_none(who: Visitor, patient: Visitor) -> list[dict[str, Any]]:
    answer = who.raw("GET", f"/records/{patient.ids['record_id']}/documents")
    return answer.json()["documents"] if answer.ok else []


def test_ranges_give_exactly_their_bytes(village: Village, patient: Visitor) -> None:
    doctor = village.professional("doctor a")
    body = pdf("Plages", 200_000)
    path = f"/documents/{deposit(doctor, patient, body)}/content"
    whole = patient.raw("GET", path)
    assert whole.headers["Accept-Ranges"] == "bytes" and whole.headers["X-Content-Type-Options"] == "nosniff"
    for first, last in ((0, 0), (0, 65535), (65535, 65537), (131072, 131072), (len(body) - 7, len(body) - 1)):
        part = patient.raw("GET", path, headers={"Range": f"bytes={first}-{last}"})
        assert part.status_code == 206 and part.content == body[first : last + 1]
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(body)}"
    assert patient.raw("GET", path, headers={"Range": "bytes=-5"}).content == body[-5:]
    assert patient.raw("GET", path, headers={"Range": f"bytes={len(body)}-"}).status_code == 416
    assert patient.raw("GET", path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304


def test_fifty_megabytes_go_through_and_come_back(village: Village, patient: Visitor) -> None:
    doctor = village.professional("doctor a")
    body = pdf("Grand", 50 * 1024 * 1024)
    document_id = deposit(doctor, patient, body, title="Grand")
    with patient.raw("GET", f"/documents/{document_id}/content", stream=True) as answer:
        got = hashlib.sha256()
        for block in answer.iter_content(1 << 20):
            got.update(block)
    assert got.digest() == hashlib.sha256(body).digest()


def test_a_multipart_deposit_with_the_metadata_first_works_and_the_other_way_round_is_refused(
    village: Village, patient: Visitor
) -> None:
    doctor = village.professional("doctor a")
    path = f"/records/{patient.ids['record_id']}/documents"
    metadata = ("metadata", (None, json.dumps({"type": "medical_report", "title": "Deux parts"}), "application/json"))
    file = ("file", ("rapport.pdf", pdf("Deux parts", 100_000), "application/pdf"))
    made = doctor.ask("POST", path, files=[metadata, file], headers={"Prefer": "wait=30"})
    assert sees(patient, patient, made["document_id"])
    refused = doctor.raw("POST", path, files=[file, metadata])
    assert refused.status_code == 400 and refused.headers["Content-Type"] == "application/problem+json"


def test_confidential_circle_and_private(village: Village, patient: Visitor) -> None:
    author, other = village.professional("doctor a"), village.professional("doctor b")
    document_id = deposit(author, patient, pdf("Niveaux"))
    circle = f"/records/{patient.ids['record_id']}/circle/{other.ids['professional_id']}"
    assert sees(other, patient, document_id)
    set_level(patient, document_id, "confidential")
    assert not sees(other, patient, document_id)
    assert sees(author, patient, document_id)
    patient.ask("PUT", circle, json={"comment": None})
    assert sees(other, patient, document_id)
    set_level(patient, document_id, "private")
    assert not sees(other, patient, document_id)
    assert sees(author, patient, document_id) and sees(patient, patient, document_id)
    assert set_level(other, document_id, "standard", expect=404)["type"] == "urn:dsp:problem:document_not_found"
    set_level(patient, document_id, "confidential")
    assert sees(other, patient, document_id)
    patient.ask("DELETE", circle)
    assert not sees(other, patient, document_id)


def test_a_level_changes_only_with_the_risks_accepted(village: Village, patient: Visitor) -> None:
    document_id = deposit(village.professional("doctor a"), patient, pdf("Risques"))
    body = {"level": "private", "risk_accepted": False}
    assert patient.raw("PUT", f"/documents/{document_id}/confidentiality", json=body).status_code in (400, 422)
    assert patient.ask("GET", f"/documents/{document_id}")["level"] == "standard"


def test_a_pharmacist_sees_what_the_matrix_allows_and_deposits_nothing_else(village: Village, patient: Visitor) -> None:
    doctor = village.professional("doctor a")
    pharmacy = establishment(village.agent, "Pharmacie du Marché", "pharmacy")
    pharmacist = village.professional("pharmacist", "pharmacist", pharmacy)
    village.mandate(pharmacist, patient)
    allowed = deposit(doctor, patient, pdf("Ordonnance"), "prescribed_medical_treatment", "Ordonnance")
    forbidden = [deposit(doctor, patient, pdf(kind), kind, kind) for kind in ("medical_certificate", "imaging")]
    assert sees(pharmacist, patient, allowed)
    assert not any(sees(pharmacist, patient, document_id) for document_id in forbidden)
    deposit(pharmacist, patient, pdf("Dispensation"), "drug_dispensation", "Dispensation")
    upload = {"type": "laboratory_results", "title": "Analyses"}
    refused = pharmacist.ask("POST", f"/records/{patient.ids['record_id']}/uploads", expect=403, json=upload)
    assert refused["type"] == "urn:dsp:problem:type_not_depositable"


def test_the_holder_deposits_an_expression_and_no_report(village: Village, patient: Visitor) -> None:
    deposit(patient, patient, pdf("Mes souhaits"), "holder_expression", "Mes souhaits")
    upload = {"type": "medical_report", "title": "Rapport"}
    patient.ask("POST", f"/records/{patient.ids['record_id']}/uploads", expect=403, json=upload)


def test_another_patient_reaches_nothing(village: Village, patient: Visitor) -> None:
    document_id = deposit(village.professional("doctor a"), patient, pdf("À moi"))
    stranger = village.patient()
    record = f"/records/{patient.ids['record_id']}"
    for path in (
        record,
        f"{record}/documents",
        f"{record}/access-history",
        f"/documents/{document_id}",
        f"/documents/{document_id}/content",
    ):
        assert stranger.raw("GET", path).status_code == 404
    set_level(stranger, document_id, "private", expect=404)
    stranger.ask(
        "PUT", f"{record}/circle/{village.professional('doctor b').ids['professional_id']}", expect=404, json={}
    )


def test_an_ended_mandate_gives_nothing_from_the_acknowledgement_on(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("doctor a")
    mandate = village.mandate(doctor, patient)
    record = f"/records/{patient.ids['record_id']}"
    assert doctor.ask("GET", f"{record}/documents")["documents"] == []
    patient.ask("DELETE", f"{record}/mandates/{mandate['mandate_id']}")
    assert doctor.raw("GET", f"{record}/documents").status_code == 404


def test_a_foreign_system_receives_ids_only_and_nothing_it_may_not_read(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("doctor a")
    village.mandate(doctor, patient)
    elsewhere = establishment(village.agent, "Hôpital voisin", "hospital")
    kinds = ["lu.dsp.document.deposited.v1"]
    ours, theirs = (
        village.agent.ask("POST", "/subscriptions", json={"establishment_id": place, "event_types": kinds})
        for place in (village.practice, elsewhere)
    )
    document_id = deposit(doctor, patient, pdf("Suivi"), title="Titre qui ne voyage pas")
    event = _receive(ours, 30)
    assert event is not None and event["type"] == kinds[0] and event["data"]["document_id"] == document_id
    for datum in ("Titre", patient.name, patient.matricule, doctor.name):
        assert datum not in json.dumps(event, ensure_ascii=False)
    assert _receive(theirs, 2) is None


def test_a_foreign_credential_reaches_its_own_queue_alone(village: Village) -> None:
    body = {"establishment_id": village.practice, "event_types": ["lu.dsp.document.deposited.v1"]}
    one, other = (village.agent.ask("POST", "/subscriptions", json=body) for _ in range(2))
    with pika.BlockingConnection(_address(one)) as connection:
        for forbidden in (
            lambda channel: channel.basic_get(other["queue"]),
            lambda channel: channel.queue_declare("sub.mine"),
            lambda channel: channel.queue_purge(other["queue"]),
            lambda channel: channel.basic_publish("subscriptions", one["queue"], b"{}"),
            lambda channel: channel.queue_bind(one["queue"], "subscriptions", "x"),
        ):
            channel = connection.channel()
            with pytest.raises(pika.exceptions.ChannelClosedByBroker):
                forbidden(channel)
                connection.process_data_events(0.2)
                channel.basic_qos(prefetch_count=1)
    inner = pika.ConnectionParameters(one["host"], one["port"], "opendsp", _address(one).credentials)
    with pytest.raises(pika.exceptions.AMQPError):
        pika.BlockingConnection(inner)
    village.agent.ask("DELETE", f"/subscriptions/{one['subscription_id']}")
    with pytest.raises(pika.exceptions.AMQPError):
        pika.BlockingConnection(_address(one))


def _address(given: dict[str, Any]) -> pika.ConnectionParameters:
    login = pika.PlainCredentials(given["username"], given["password"])
    return pika.ConnectionParameters(given["host"], given["port"], given["vhost"], login)


def _receive(given: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    with pika.BlockingConnection(_address(given)) as connection:
        channel = connection.channel()
        for method, _properties, body in channel.consume(given["queue"], inactivity_timeout=seconds):
            if method is None:
                return None
            channel.basic_ack(method.delivery_tag)
            event: dict[str, Any] = json.loads(body)
            return event
    return None


def test_the_patient_reads_every_step_in_the_access_history(village: Village, patient: Visitor) -> None:
    doctor = village.professional("doctor a")
    every_step = {
        ("mandate.opened", "allowed"),
        ("mandate.opened", "refused"),
        ("record.read", "refused"),
        ("record.read", "allowed"),
        ("document.created", "allowed"),
        ("document.opened", "allowed"),
        ("document.opened", "refused"),
        ("document.level_changed", "allowed"),
        ("document.level_changed", "refused"),
        ("document.searched", "allowed"),
        ("circle.added", "allowed"),
        ("circle.removed", "allowed"),
    }

    def by_doctor(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [entry for entry in entries if entry["professional_id"] == doctor.ids["professional_id"]]

    def allowed(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one for one in entries if one["outcome"] == "allowed" and one["action"].startswith("document")]

    def complete(entries: list[dict[str, Any]]) -> bool:
        there = {(entry["action"], entry["outcome"]) for entry in entries}
        return every_step <= there and bool(allowed(by_doctor(entries)))

    mine = by_doctor(village.history(patient, complete))
    assert all(entry["at"] and entry["profession"] == "physician" for entry in mine)
    assert all(entry["ground"] and entry["rule"] for entry in allowed(mine))


def test_a_professional_reads_only_their_own_entries(village: Village, patient: Visitor) -> None:
    doctor = village.professional("doctor a")
    path = f"/records/{patient.ids['record_id']}/access-history?limit=100"
    entries = wait_for(lambda: doctor.ask("GET", path)["entries"] or None, "the doctor's own entries")
    assert {entry["professional_id"] for entry in entries} == {doctor.ids["professional_id"]}


def test_a_professionals_own_history_does_not_tell_a_hidden_document_from_an_unknown_one(village: Village) -> None:
    patient, author, other = village.patient(), village.professional("doctor a"), village.professional("doctor b")
    village.mandate(author, patient)
    village.mandate(other, patient)
    document_id = deposit(author, patient, pdf("Caché"))
    set_level(patient, document_id, "private")
    assert other.raw("GET", f"/documents/{document_id}").status_code == 404

    def tried(entries: list[dict[str, Any]]) -> bool:
        return any(e["object_id"] == document_id and e["outcome"] == "refused" for e in entries)

    village.history(patient, tried)
    path = f"/records/{patient.ids['record_id']}/access-history?limit=100"
    assert not any(entry["object_id"] == document_id for entry in other.ask("GET", path)["entries"])


def test_reading_the_history_is_itself_in_the_history(village: Village, patient: Visitor) -> None:
    village.history(patient, lambda found: any(entry["action"] == "log.read" for entry in found))


def test_every_open_of_a_document_leaves_exactly_one_trace(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("doctor a")
    village.mandate(doctor, patient)
    path = f"/documents/{deposit(doctor, patient, pdf('Une trace', 300_000))}/content"
    for header in ({}, {"Range": "bytes=0-99"}, {"Range": "bytes=70000-80000"}, {"Range": "bytes=-10"}):
        assert patient.raw("GET", path, headers=header).status_code in (200, 206)
    assert doctor.raw("GET", path).status_code == 200

    def opens(entries: list[dict[str, Any]]) -> list[str]:
        return [entry["capacity"] for entry in entries if entry["action"] == "document.opened"]

    village.history(patient, lambda found: len(opens(found)) >= 2)
    patient.ask("GET", f"/records/{patient.ids['record_id']}")
    entries = village.history(patient, lambda found: any(e["action"] == "record.read" for e in found))
    assert sorted(opens(entries)) == ["patient", "professional"]


BEGINNINGS = {
    "the last bytes, more than there are": {"Range": "bytes=-999999"},
    "a later range of another version": {"Range": "bytes=5-", "If-Range": '"another"'},
}  # fmt: skip


@pytest.mark.parametrize("header", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_an_answer_that_begins_at_the_first_byte_opens_the_document_whatever_was_asked_for(
    village: Village, header: dict[str, str]
) -> None:
    """A quarter of an hour after it was opened; to read on is the same opening even then."""
    patient, doctor, body = village.patient(), village.professional("doctor a"), pdf("Encore une fois", 200_000)
    village.mandate(doctor, patient)
    path = f"/documents/{deposit(doctor, patient, body)}/content"
    assert patient.raw("GET", path).content == body
    opened_long_ago(village, patient)
    assert patient.raw("GET", path, headers={"Range": "bytes=70000-"}).content == body[70000:]
    patient.documents(patient.ids["record_id"])
    told(village, patient, {"document.searched": 1, "document.opened": 1})
    assert patient.raw("GET", path, headers=header).content == body
    told(village, patient, {"document.opened": 2})


def told(village: Village, who: Visitor, times: dict[str, int]) -> None:
    """Waits until the access history tells each action exactly that often; traces arrive in no order of their own."""

    def actions(entries: list[dict[str, Any]]) -> Counter[str]:
        return Counter(entry["action"] for entry in entries if entry["action"] in times)

    village.history(who, lambda found: actions(found) == times)


def opened_long_ago(village: Village, who: Visitor) -> None:
    """Sixteen minutes pass since this patient's documents were opened, read on until now."""
    url = village.platform.settings("documents").database_url.replace("+psycopg2", "")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "update opens set opened_at = opened_at - interval '16 minutes' from versions join documents"
            " on documents.document_id = versions.document_id"
            " where opens.version_id = versions.version_id and documents.record_id = %s",
            (who.ids["record_id"],),
        )
        assert cursor.rowcount == 1
