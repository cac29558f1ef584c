"""Deposits on the whole platform: several files, a typed note, a CDA alone, parts, software, and wishes about them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import requests

from deploy.agency import establishment
from deploy.software import Software
from deploy.visitors import Stream, Visitor, mail_text, wait_for
from tests.builders import any_matricule, pdf, png
from tests.conftest import wait_for_query
from tests.system.conftest import Village

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # joserfc's word to who signs; it has a new name
WAIT = {"Prefer": "wait=30"}
PART = 8 * 1024 * 1024


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


@pytest.fixture(scope="module")
def doctor(village: Village, patient: Visitor) -> Visitor:
    who = village.professional("depositing doctor")
    village.mandate(who, patient, expect=201)
    return who


def submit(who: Visitor, patient: Visitor, files: list[bytes], *, described: int | None = None, **headers: str) -> Any:
    documents = [{"type": "medical_report", "title": f"Titre {number}"} for number in range(described or len(files))]
    parts = [("metadata", (None, json.dumps({"documents": documents}), "application/json"))]
    parts += [("file", (f"{number}", data, "application/octet-stream")) for number, data in enumerate(files)]  # type: ignore[misc]
    return who.raw("POST", f"/records/{patient.ids['record_id']}/submissions", files=parts, headers={**WAIT, **headers})


def send(who: Visitor, patient: Visitor, data: bytes, **headers: str) -> requests.Response:
    said = json.dumps({"type": "medical_report", "title": "Suite"})
    parts = [("metadata", (None, said, "application/json")), ("file", ("x", data, "application/octet-stream"))]
    return who.raw("POST", f"/records/{patient.ids['record_id']}/documents", files=parts, headers={**WAIT, **headers})


def cda(matricule: str, code: str = "11502-2", title: str = "Biologie du 20 novembre", begin: str = "") -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>{begin}
<ClinicalDocument xmlns="urn:hl7-org:v3"><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<id root="1.2.3" extension="1"/><code code="{code}" codeSystem="2.16.840.1.113883.6.1"/><title>{title}</title>
<effectiveTime value="20261120"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
<languageCode code="fr-LU"/><recordTarget><patientRole><id root="1.3.182.4.4" extension="{matricule}"/>
<patient><name><given>A</given><family>B</family></name></patient></patientRole></recordTarget>
<component><structuredBody><component><section><title>Résultat</title><text>Rien à signaler</text></section></component>
</structuredBody></component></ClinicalDocument>""".encode()


def send_cda(who: Visitor, patient: Visitor, data: bytes, kind: str = "application/xml") -> requests.Response:
    path = f"/records/{patient.ids['record_id']}/documents"
    return who.raw("POST", path, data=data, headers={"Content-Type": kind, **WAIT})


def test_several_files_are_deposited_together_or_not_at_all(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    files = [pdf("a", size=300_000), png(), pdf("c")]
    answer = submit(doctor, patient, files, **{"Idempotency-Key": "three"})
    assert answer.status_code == 201, answer.text
    made = answer.json()["documents"]
    assert [doctor.raw("GET", f"/documents/{one['document_id']}/content").content for one in made] == files
    assert {one["state"] for one in made} == {"available"} and {one["duplicate_of"] for one in made} == {None}
    again = submit(doctor, patient, files, **{"Idempotency-Key": "three"}).json()
    assert [one["document_id"] for one in again["documents"]] == [one["document_id"] for one in made]

    count = len(doctor.documents(patient.ids["record_id"]))
    assert problem(submit(doctor, patient, [pdf("x"), b"\x00 nonsense"])) == (415, "unsupported_media_type")
    assert problem(submit(doctor, patient, [pdf("x")], described=2)) == (400, "malformed_multipart")
    assert problem(submit(doctor, patient, [pdf("x")] * 21)) == (422, "invalid_input")
    assert problem(submit(village.professional("doctor a"), patient, [pdf("x")])) == (404, "record_not_found")
    assert len(doctor.documents(patient.ids["record_id"])) == count
    [copy] = submit(doctor, patient, [files[0]]).json()["documents"]
    assert copy["duplicate_of"] == made[0]["document_id"]


def test_files_one_after_the_other_go_into_slots_and_each_is_a_document_like_any_other(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    files = [pdf(f"Suite {number}", size=50_000) for number in range(12)]
    made = [send(doctor, patient, data).json() for data in files]
    [before, *ids] = [one["document_id"] for one in made]
    assert len({before, *ids}) == 12 and {one["state"] for one in made} == {"available"}
    assert all("slot" not in one and "upload_id" not in one for one in made), "it never leaves the gateway"
    assert [patient.raw("GET", f"/documents/{each}/content").content for each in (before, *ids)] == files

    def traced() -> list[str] | None:
        entries = patient.ask("GET", f"/records/{patient.ids['record_id']}/access-history?limit=100")["entries"]
        told = [one["object_id"] for one in entries if one["action"] == "document.created"]
        found = sorted(each for each in told if each in {before, *ids})
        return found if len(found) >= 12 else None

    assert wait_for(traced, "the traces") == sorted([before, *ids]), "one each"
    # what goes into a slot was said and deposited in one moment
    in_slots = (
        "select count(*) from uploads join documents using (document_id)"
        f" where uploads.prepared_at = deposited_at and document_id = any ('{{{','.join(ids)}}}')"
    )
    database = village.platform.settings("documents").database_url
    assert int(str(wait_for_query(database, in_slots))) >= 6
    assert problem(send(village.professional("doctor a"), patient, files[0])) == (404, "record_not_found")
    again = {"Idempotency-Key": "suite"}
    first, second = (send(doctor, patient, files[3], **again).json() for _ in range(2))
    assert first["document_id"] == second["document_id"] not in ids and first["duplicate_of"] == ids[2]
    assert problem(send(doctor, patient, files[4], **again)) == (422, "idempotency_key_reused")
    nonsense, elsewhere = b"\x00 nonsense", village.patient()
    assert problem(send(doctor, patient, nonsense)) == (415, "unsupported_media_type")
    for _ in range(4):  # whichever way the file would have gone, the right is asked first
        assert send(doctor, patient, files[5]).ok
        assert problem(send(doctor, elsewhere, nonsense)) == (404, "record_not_found")


def test_the_holder_types_a_note_and_no_professional_does(patient: Visitor, doctor: Visitor) -> None:
    path, said = f"/records/{patient.ids['record_id']}/notes", {"title": "Ce qui compte", "language": "fr"}
    for text in ("Parlez-moi lëtzebuergesch.\nMerci.", "<3 mon médecin", "%PDF- est un mot"):
        made = patient.ask("POST", path, json={**said, "text": text}, headers=WAIT, expect=201)
        assert made["state"] == "available", made
        content = patient.raw("GET", f"/documents/{made['document_id']}/content")
        assert content.text == text and content.headers["Content-Type"].startswith("text/plain")
        assert patient.ask("GET", f"/documents/{made['document_id']}")["holder_authored"] is True
    assert problem(doctor.raw("POST", path, json={**said, "text": "x"})) == (403, "type_not_depositable")
    for wrong in ("", " \n", "a\x00b", "\ud800"):
        answer = patient.raw("POST", path, json={**said, "text": wrong})
        assert answer.status_code in (415, 422), answer.text


def test_a_cda_alone_says_what_it_is_and_whose(patient: Visitor, doctor: Visitor) -> None:
    answer = send_cda(doctor, patient, cda(patient.matricule))
    assert answer.status_code == 201, answer.text
    item = doctor.ask("GET", f"/documents/{answer.json()['document_id']}")
    assert (item["type"], item["title"], item["act_date"], item["language"], item["media_type"]) == (
        "laboratory_results", "Biologie du 20 novembre", "2026-11-20", "fr", "application/xml",
    )  # fmt: skip
    assert send_cda(doctor, patient, cda(patient.matricule, title="y"), "text/xml").status_code == 201
    wrong = {
        (422, "wrong_patient"): cda(any_matricule()),
        (422, "type_code_unknown"): cda(patient.matricule, "99999-9"),
        (422, "cda_unreadable"): cda(patient.matricule, begin="<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"),
        (403, "type_not_depositable"): cda(patient.matricule, "42348-3"),
        (422, "file_truncated"): cda(patient.matricule)[:-30],
    }
    assert [problem(send_cda(doctor, patient, data)) for data in wrong.values()] == list(wrong)
    assert problem(send_cda(doctor, patient, pdf())) == (422, "cda_unreadable")


def prepared(who: Visitor, patient: Visitor, size: int) -> Any:
    said = {"type": "medical_report", "title": "Long rapport", "size": size}
    return who.ask("POST", f"/records/{patient.ids['record_id']}/uploads", json=said, expect=201)


def put_part(who: Visitor, upload: str, data: bytes, number: int, **kwargs: Any) -> requests.Response:
    body = data[(number - 1) * PART : number * PART]
    headers = {"Content-Type": "application/octet-stream"}
    return who.raw("PUT", f"/uploads/{upload}/parts/{number}", data=body, headers=headers, **kwargs)


def test_a_big_file_comes_in_parts_through_lost_connections_and_a_killed_gateway(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    data = pdf("Long", size=3 * PART + 123_456)
    made = prepared(doctor, patient, len(data))
    upload, path = made["upload_id"], f"/uploads/{made['upload_id']}"
    assert made["part_size"] == PART
    assert [put_part(doctor, upload, data, number).status_code for number in (4, 1, 1)] == [204] * 3
    state = doctor.ask("GET", path)
    assert (state["parts"], [part["number"] for part in state["stored"]]) == (4, [1, 4])
    assert problem(doctor.raw("POST", f"{path}/completion")) == (409, "parts_missing")
    assert problem(put_part(doctor, upload, b"%PDF-" + bytes(PART), 1)) == (409, "part_changed")
    assert problem(put_part(doctor, upload, data, 5)) == (422, "invalid_input")
    assert problem(put_part(patient, upload, data, 2)) == (404, "upload_not_found")
    with pytest.raises(requests.RequestException):  # the connection is lost in the middle of a part
        short = Stream(PART, iter([data[PART : PART + 1000]]))
        doctor.raw("PUT", f"{path}/parts/2", data=short, timeout=3)
    village.platform.kill("gateway")

    def resumed() -> list[int] | None:
        try:
            stored = {part["number"] for part in doctor.ask("GET", path)["stored"]}
            for number in {1, 2, 3, 4} - stored:
                assert put_part(doctor, upload, data, number).status_code == 204
            return sorted(stored)
        except requests.ConnectionError:
            return None

    assert wait_for(resumed, "the gateway to be back") == [1, 4]
    answer = doctor.ask("POST", f"{path}/completion", headers=WAIT, expect=201)
    assert doctor.ask("POST", f"{path}/completion", headers=WAIT, expect=201) == answer
    content = f"/documents/{answer['document_id']}/content"
    whole = doctor.raw("GET", content)
    assert whole.content == data and len(whole.content) == doctor.ask("GET", content[:-8])["size"]
    for boundary in (PART, 2 * PART, 3 * PART):
        start, end = boundary - 100, boundary + 70_000
        part = doctor.raw("GET", content, headers={"Range": f"bytes={start}-{end}"})
        assert part.status_code == 206 and part.content == data[start : end + 1]
    assert doctor.ask("GET", path)["document_id"] == answer["document_id"]


def test_what_comes_in_parts_is_looked_at_like_every_file(patient: Visitor, doctor: Visitor) -> None:
    noise = random.Random(3).randbytes(1000)
    upload = prepared(doctor, patient, len(noise))["upload_id"]
    assert problem(put_part(doctor, upload, noise, 1)) == (415, "unsupported_media_type")
    cut = pdf()[:-40]
    upload = prepared(doctor, patient, len(cut))["upload_id"]
    assert put_part(doctor, upload, cut, 1).status_code == 204
    assert problem(doctor.raw("POST", f"/uploads/{upload}/completion")) == (422, "file_truncated")


def machine(village: Village, house: str, manager: Visitor) -> Visitor:
    """Attested software of an establishment, with a token that names nobody."""
    software = Software("ES384")
    named = {"professional_id": manager.ids["professional_id"]}
    village.agent.ask("POST", f"/agency/organisations/{house}/managers", json=named)
    wanted = {"name": "Labo", "version": "1", "vendor": "Logiciels du Nord", "jwks": software.jwks,
              "scopes": ["system/Practitioner.rs", "system/DocumentReference.c"]}  # fmt: skip
    software.client_id = manager.ask("POST", f"/organisations/{house}/clients", json=wanted, expect=201)["client_id"]
    for state in ("tested", "in_production"):
        village.agent.ask("POST", f"/agency/clients/{software.client_id}/state", json={"state": state})
    found = software.discover(village.town.url)
    answer = software.post(found["token_endpoint"], found["issuer"], grant_type="client_credentials")
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "system/Practitioner.rs system/DocumentReference.c"
    made = Visitor(village.town, "Labo", "", "")
    made.tokens = answer.json()
    return made


def test_software_deposits_for_a_named_author_and_the_health_fund_for_itself(
    village: Village, patient: Visitor
) -> None:
    record_id = patient.ids["record_id"]
    hospital = establishment(village.agent, "Hôpital des Dépôts", "hospital")
    author = village.professional("author of the software", "physician", hospital)
    software = machine(village, hospital, author)
    said = {"type": "medical_report", "title": "Par logiciel", "author": author.ids["professional_id"]}
    path = f"/records/{record_id}/uploads"
    assert problem(software.raw("POST", path, json=said)) == (404, "record_not_found"), "no ground yet"
    village.mandate(author, patient, expect=201)
    made = software.deposit(record_id, pdf("logiciel"), **said)
    assert patient.ask("GET", f"/documents/{made['document_id']}")["author_id"] == author.ids["professional_id"]
    elsewhere = village.professional("depositing doctor").ids["professional_id"]
    for wrong in ({**said, "author": elsewhere}, {"type": "health_fund_document", "title": "x"}):
        assert problem(software.raw("POST", path, json=wrong)) == (422, "author_unknown")

    fund = establishment(village.agent, "Caisse nationale de santé", "health_fund")
    clerk = machine(village, fund, village.professional("physician of the fund", "physician", fund))
    made = clerk.deposit(record_id, pdf("fonds"), type="health_fund_document", title="Résumé de la caisse")
    item = patient.ask("GET", f"/documents/{made['document_id']}")
    assert item["author_id"] is None and item["holder_authored"] is False
    for kind in ("medical_report", "patient_summary"):
        refused = clerk.raw("POST", path, json={"type": kind, "title": "x"})
        assert problem(refused) == (403, "type_not_depositable")


def test_a_holder_opposes_deposits_and_asks_for_one(village: Village, patient: Visitor) -> None:
    record_id = patient.ids["record_id"]
    asked, opposed = village.professional("asked physician"), village.professional("opposed physician")
    for who in (asked, opposed):
        village.mandate(who, patient, expect=201)
    path, seen = f"/records/{record_id}/deposit-wishes", len(village.town.mails(asked.email))
    wish = {"kind": "requested", "professional_id": asked.ids["professional_id"], "type": "medical_report"}
    made = patient.ask("POST", path, json=wish, expect=201)
    assert made["professional_name"] and made["due_at"]
    village.town.mail(
        asked.email, lambda mail: True if "15 jours" in mail_text(mail) else None, seen, "the request's notice"
    )  # fmt: skip
    [mine] = asked.ask("GET", "/deposit-wishes")["wishes"]
    assert mine["wish_id"] == made["wish_id"]
    document = asked.deposit(record_id, pdf("demandé"), type="medical_report", title="Demandé")
    [met] = [one for one in patient.ask("GET", path)["wishes"] if one["wish_id"] == made["wish_id"]]
    assert (met["outcome"], met["document_id"]) == ("met", document["document_id"])

    against = {"kind": "opposed", "professional_id": opposed.ids["professional_id"]}
    one = patient.ask("POST", path, json=against, expect=201)
    said = {"type": "medical_report", "title": "Refusé"}
    refused = opposed.raw("POST", f"/records/{record_id}/uploads", json=said)
    assert problem(refused) == (403, "type_not_depositable")
    assert problem(opposed.raw("POST", path, json=against)) == (404, "record_not_found")
    assert problem(opposed.raw("DELETE", f"/deposit-wishes/{one['wish_id']}")) == (404, "wish_not_found")
    [shown] = [each for each in patient.ask("GET", path)["wishes"] if each["wish_id"] == one["wish_id"]]
    assert shown["tries"] == 1
    patient.ask("DELETE", f"/deposit-wishes/{one['wish_id']}", expect=204)
    assert opposed.deposit(record_id, pdf("permis"), **said)
