"""Bad input meets a clear problem, and nothing is lost or half done."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from deploy.agency import any_matricule, newcomer, open_record
from deploy.visitors import Visitor, wait_for
from services.db import new_id
from services.tokens import ISSUER
from tests.builders import pdf, png
from tests.system.conftest import STATEMENT, Village


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    made = village.patient()
    village.mandate(village.professional("doctor a"), made)
    return made


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:dsp:problem:{code}" and body["status"] == status
    assert body["title"] and body["request_id"]
    return body


def test_a_wrong_checksum_names_the_field(village: Village) -> None:
    number = any_matricule()
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    person = newcomer(village.town, "nobody", wrong)
    sheet = {
        "matricule": wrong,
        "birth_name": "Muster",
        "first_names": "Anna",
        "sex": "F",
        "birth_date": "1980-05-17",
        "language": "fr",
        "address": {"line": "1", "postal_code": "1234", "locality": "L", "country": "LU"},
    }
    body = problem(village.agent.raw("POST", "/agency/openings", json=sheet), 422, "invalid_input")
    assert body["errors"][0]["pointer"] == "/matricule"
    assert wrong not in str(body)
    found = village.agent.raw("POST", "/patients/searches", json={"matricule": wrong})
    problem(found, 422, "invalid_input")
    assert person.raw("POST", "/activations", json={"matricule": wrong, "activation_code": "ABCDEFGH"}).status_code in (
        400,
        403,
    )


def test_the_sixth_wrong_presence_code_is_slowed_and_six_tries_leave_six_traces(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("guesser")
    for _ in range(5):
        village.mandate(doctor, patient, code="WRQNG234", expect=403)
    sixth = doctor.raw(
        "POST",
        f"/records/{patient.ids['record_id']}/mandates",
        json={"presence_code": "WRQNG234", "declaration_accepted": True, "wording_version": STATEMENT},
    )
    problem(sixth, 429, "too_many_tries")
    assert int(sixth.headers["Retry-After"]) > 0
    right = doctor.raw(
        "POST",
        f"/records/{patient.ids['record_id']}/mandates",
        json={
            "presence_code": patient.ids["presence_code"],
            "declaration_accepted": True,
            "wording_version": STATEMENT,
        },
    )
    problem(right, 429, "too_many_tries")

    def tries(entries: list[dict[str, Any]]) -> int:
        return sum(entry["action"] == "mandate.opened" and entry["outcome"] == "refused" for entry in entries)

    entries = village.history(patient, lambda found: tries(found) >= 7)
    assert tries(entries) == 7
    other = village.professional("doctor b")
    assert village.mandate(other, patient)["kind"] == "presence"  # one guesser locks nobody else out


def test_the_sixth_wrong_activation_code_is_slowed(village: Village) -> None:
    person = village.remember(newcomer(village.town, "patient"))
    open_record(village.agent, person)
    letter = village.town.letter(person.name)
    body = {"matricule": person.matricule, "activation_code": "ABCDEFGHJKLM"}
    for _ in range(5):
        problem(person.raw("POST", "/activations", json=body), 403, "activation_refused")
    slowed = person.raw("POST", "/activations", json=body)
    problem(slowed, 429, "too_many_tries")
    assert int(slowed.headers["Retry-After"]) > 0
    unknown = {"matricule": any_matricule(), "activation_code": letter.activation_code}
    problem(person.raw("POST", "/activations", json=unknown), 403, "activation_refused")


def test_a_one_time_code_works_once_and_dies_after_five_wrong_ones(village: Village, patient: Visitor) -> None:
    login = {"matricule": patient.matricule, "password": patient.password}
    guest = Visitor(village.town, "guest", patient.matricule, patient.email, patient.password)
    seen = len(village.town.mails(patient.email))
    challenge = guest.ask("POST", "/sessions", json=login)["challenge_id"]
    code = guest.one_time_code(seen)
    guest.ask("POST", f"/sessions/{challenge}/code", json={"code": code})
    problem(guest.raw("POST", f"/sessions/{challenge}/code", json={"code": code}), 403, "one_time_code_refused")
    seen = len(village.town.mails(patient.email))
    challenge = guest.ask("POST", "/sessions", json=login)["challenge_id"]
    code = guest.one_time_code(seen)
    for _ in range(5):
        guest.ask("POST", f"/sessions/{challenge}/code", expect=403, json={"code": "zzzzzz"})
    sixth = guest.raw("POST", f"/sessions/{challenge}/code", json={"code": code})
    assert sixth.status_code in (403, 429)


def test_reuse_of_a_refresh_token_ends_the_whole_session(village: Village, patient: Visitor) -> None:
    guest = Visitor(village.town, "guest", patient.matricule, patient.email, patient.password)
    guest.log_in()
    first = guest.tokens["refresh_token"]
    second = guest.ask("POST", "/sessions/refresh", json={"refresh_token": first})
    problem(guest.raw("POST", "/sessions/refresh", json={"refresh_token": first}), 401, "refresh_refused")
    problem(
        guest.raw("POST", "/sessions/refresh", json={"refresh_token": second["refresh_token"]}), 401, "refresh_refused"
    )
    guest.tokens = second
    deadline = time.monotonic() + 60
    while guest.raw("GET", "/records").status_code != 401:
        assert time.monotonic() < deadline, "the ended session still reads"
        time.sleep(0.2)


def test_after_log_out_the_token_opens_nothing(village: Village, patient: Visitor) -> None:
    guest = Visitor(village.town, "guest", patient.matricule, patient.email, patient.password)
    guest.log_in()
    assert guest.raw("GET", "/records").status_code == 200
    guest.ask("DELETE", "/sessions/current")
    deadline = time.monotonic() + 60
    while guest.raw("GET", "/records").status_code != 401:
        assert time.monotonic() < deadline, "the ended session still reads"
        time.sleep(0.2)


@pytest.mark.parametrize("fault", ["missing", "garbage", "forged", "expired"])
def test_a_token_that_is_not_genuine_is_unauthenticated(village: Village, patient: Visitor, fault: str) -> None:
    claims = {
        "iss": ISSUER,
        "sub": new_id(),
        "sid": new_id(),
        "cap": "patient",
        "pat": patient.ids["patient_id"],
        "exp": int(time.time()) + (600 if fault == "forged" else -60),
    }
    kid = patient.ask("GET", "/jwks.json")["keys"][0]["kid"]
    forged = jwt.encode({"alg": "Ed25519", "kid": kid}, claims, OKPKey.generate_key("Ed25519"), algorithms=["Ed25519"])
    header = {"missing": {}, "garbage": {"Authorization": "Bearer x.y.z"}}.get(
        fault, {"Authorization": f"Bearer {forged}"}
    )
    guest = Visitor(village.town, "guest", patient.matricule, patient.email)
    answer = guest.raw("GET", f"/records/{patient.ids['record_id']}", headers=header)
    problem(answer, 401, "unauthenticated")
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_unknown_and_foreign_ids_are_the_same_404_and_traced(village: Village, patient: Visitor) -> None:
    stranger = village.patient()
    foreign = stranger.raw("GET", f"/records/{patient.ids['record_id']}")
    unknown = stranger.raw("GET", f"/records/{new_id()}")
    one, other = problem(foreign, 404, "record_not_found"), problem(unknown, 404, "record_not_found")
    assert one | {"request_id": ""} == other | {"request_id": ""}
    village.history(
        patient,
        lambda found: any(e["outcome"] == "refused" and e["patient_id"] == stranger.ids["patient_id"] for e in found),
    )
    document = patient.raw("GET", f"/documents/{new_id()}/content")
    problem(document, 404, "document_not_found")
    problem(patient.raw("GET", "/documents/not-a-uuid"), 404, "not_found")


def upload(who: Visitor, patient: Visitor, **metadata: Any) -> str:
    body = {"type": "medical_report", "title": "Essai"} | metadata
    return str(who.ask("POST", f"/records/{patient.ids['record_id']}/uploads", json=body)["upload_id"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "upload_empty"),
        (b"MZ\x90\x00 this is a program" * 50, 415, "unsupported_media_type"),
        (pdf("coupé")[:-40], 422, "file_truncated"),
        (pdf("chiffré").replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 9 0 R"), 422, "file_encrypted"),
        (png()[:20], 422, "file_truncated"),
    ],
    ids=["empty", "program", "truncated pdf", "encrypted pdf", "truncated png"],
)
def test_a_file_that_is_not_what_it_should_be_is_refused_and_leaves_nothing(
    village: Village, patient: Visitor, body: bytes, status: int, code: str
) -> None:
    doctor = village.professional("doctor a")
    before = doctor.documents(patient.ids["record_id"])
    path = f"/uploads/{upload(doctor, patient)}"
    answer = doctor.raw("PUT", path, data=body, headers={"Content-Type": "application/octet-stream"})
    problem(answer, status, code)
    assert doctor.documents(patient.ids["record_id"]) == before


def test_an_upload_cut_off_in_the_middle_leaves_nothing_and_can_be_sent_again(
    village: Village, patient: Visitor
) -> None:
    doctor = village.professional("doctor a")
    before = doctor.documents(patient.ids["record_id"])
    upload_id, body = upload(doctor, patient), pdf("Coupure", 2_000_000)
    address = urlsplit(village.town.url)
    with socket.create_connection((address.hostname or "", address.port or 80)) as wire:
        head = (
            f"PUT /api/v1/uploads/{upload_id} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: Bearer {doctor.tokens['access_token']}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        wire.sendall(head.encode() + body[: len(body) // 2])
    time.sleep(1)
    assert doctor.documents(patient.ids["record_id"]) == before
    headers = {"Content-Type": "application/octet-stream", "Prefer": "wait=30"}
    made = doctor.ask("PUT", f"/uploads/{upload_id}", data=body, headers=headers)
    assert patient.ask("GET", f"/documents/{made['document_id']}/content") == body


def test_an_upload_larger_than_allowed_is_refused_before_it_is_read(village: Village, patient: Visitor) -> None:
    doctor = village.professional("doctor a")
    address = urlsplit(village.town.url)
    with socket.create_connection((address.hostname or "", address.port or 80), timeout=60) as wire:
        head = (
            f"PUT /api/v1/uploads/{upload(doctor, patient)} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Content-Length: {1 << 40}\r\nAuthorization: Bearer {doctor.tokens['access_token']}\r\n"
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        wire.sendall(head.encode() + b"%PDF-1.4")
        assert b" 413 " in wire.recv(4096).split(b"\r\n")[0]


NO_REQUEST = {
    "no request line": b"what is this\r\n\r\n",
    "a path with a blank": b"GET /api/v1/a secret HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method of small letters": b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: x\r\n: secret\r\n\r\n",
    "an address without end": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a version unheard of": b"GET / HTTP/7.0\r\nHost: x\r\n\r\n",
    "a coding unheard of": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: secret\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("sent", NO_REQUEST.values(), ids=NO_REQUEST.keys())
def test_what_is_no_request_at_all_meets_the_same_form_of_problem(village: Village, sent: bytes) -> None:
    address = urlsplit(village.town.url)
    with socket.create_connection((address.hostname or "", address.port or 80), timeout=60) as wire:
        wire.sendall(sent)
        answer = HTTPResponse(wire)
        answer.begin()
        text = answer.read()
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    body = json.loads(text)
    assert (body["type"], body["status"]) == ("urn:dsp:problem:bad_request", 400) and body["title"] and body["detail"]
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and b"secret" not in text
    assert json.loads(wait_for(lambda: logged(village, body["request_id"]), "the line"))["code"] == "bad_request"


def logged(village: Village, request_id: str) -> str | None:
    """The gateway's line on a request, once it has come through the supervisor."""
    return next((line for line in village.platform.log_lines("gateway") if request_id in line), None)


def test_a_foreign_upload_is_unknown(village: Village, patient: Visitor) -> None:
    upload_id = upload(village.professional("doctor a"), patient)
    other = village.professional("doctor b")
    answer = other.raw("PUT", f"/uploads/{upload_id}", data=pdf(), headers={"Content-Type": "application/octet-stream"})
    problem(answer, 404, "upload_not_found")


def test_an_upload_gives_one_document_however_often_it_is_sent(village: Village, patient: Visitor) -> None:
    doctor = village.professional("doctor a")
    upload_id, body = upload(doctor, patient, title="Une fois"), pdf("Une fois")
    header = {"Content-Type": "application/octet-stream"}
    first = doctor.ask("PUT", f"/uploads/{upload_id}", data=body, headers=header)
    again = doctor.raw("PUT", f"/uploads/{upload_id}", data=body, headers=header)
    assert again.status_code in (200, 201, 409)
    if again.ok:
        assert again.json()["document_id"] == first["document_id"]
    assert [d["title"] for d in doctor.documents(patient.ids["record_id"])].count("Une fois") == 1


def test_malformed_requests_meet_their_problem(village: Village, patient: Visitor) -> None:
    record = f"/records/{patient.ids['record_id']}"
    json_type = {"Content-Type": "application/json"}
    doctor = village.professional("doctor a")
    problem(doctor.raw("POST", f"{record}/mandates", data=b"{not json", headers=json_type), 400, "invalid_json")
    wrong_type = doctor.raw("POST", f"{record}/mandates", data=b"a=b", headers={"Content-Type": "text/plain"})
    problem(wrong_type, 415, "unsupported_media_type")
    body = problem(doctor.raw("POST", f"{record}/mandates", json={"presence_code": 7}), 422, "invalid_input")
    assert {error["pointer"] for error in body["errors"]} >= {"/presence_code"}
    problem(doctor.raw("PATCH", record), 405, "method_not_allowed")
    problem(doctor.raw("GET", "/nothing/here"), 404, "not_found")
    huge = doctor.raw("POST", f"{record}/mandates", data=b"[" + b"1," * 1_000_000 + b"1]", headers=json_type)
    problem(huge, 413, "body_too_large")
    problem(doctor.raw("GET", f"{record}/documents?cursor=nonsense"), 422, "invalid_input")
    problem(doctor.raw("GET", f"{record}/documents?limit=100000"), 422, "invalid_input")
    problem(doctor.raw("POST", f"{record}/uploads", json={"type": "no_such_type", "title": "x"}), 422, "invalid_input")


def test_only_the_agency_opens_records(village: Village, patient: Visitor) -> None:
    sheet = {
        "matricule": any_matricule(),
        "birth_name": "X",
        "first_names": "Y",
        "sex": "F",
        "birth_date": "1980-05-17",
        "language": "fr",
        "address": {"line": "1", "postal_code": "1234", "locality": "L", "country": "LU"},
    }
    for nobody in (patient, village.professional("doctor a")):
        problem(nobody.raw("POST", "/agency/openings", json=sheet), 403, "not_allowed")
        problem(
            nobody.raw("POST", "/agency/establishments", json={"name": "Z", "kind": "practice"}), 403, "not_allowed"
        )
        answer = nobody.raw("POST", "/agency/invitations", json={"matricule": any_matricule(), "role": "administrator"})
        problem(answer, 403, "not_allowed")
    problem(patient.raw("POST", "/patients/searches", json={"matricule": any_matricule()}), 403, "not_allowed")


def test_an_agent_never_reads_a_record(village: Village, patient: Visitor) -> None:
    record = f"/records/{patient.ids['record_id']}"
    for path in (record, f"{record}/documents", f"{record}/access-history"):
        problem(village.agent.raw("GET", path), 404, "record_not_found")


def test_an_idempotency_key_opens_one_record_and_refuses_another_body(village: Village) -> None:
    key = {"Idempotency-Key": new_id()}
    sheet = {"name": "Cabinet unique", "kind": "practice"}
    first = village.agent.ask("POST", "/agency/establishments", json=sheet, headers=key)
    assert village.agent.ask("POST", "/agency/establishments", json=sheet, headers=key) == first
    other = village.agent.raw("POST", "/agency/establishments", json=sheet | {"name": "Autre"}, headers=key)
    problem(other, 422, "idempotency_key_reused")


def test_titles_follow_the_language(village: Village, patient: Visitor) -> None:
    titles = {
        language: patient.raw("GET", f"/records/{new_id()}", headers={"Accept-Language": language}).json()["title"]
        for language in ("fr", "lb", "pt", "en", "de")
    }
    assert len(set(titles.values())) == 5


def test_the_api_describes_itself(village: Village) -> None:
    guest = Visitor(village.town, "guest", "", "")
    openapi = guest.ask("GET", "/openapi.json")
    assert openapi["openapi"].startswith("3.1")
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            if method in ("get", "post", "put", "delete"):
                assert operation.get("summary"), f"{method} {path}"
                assert any(status.startswith("2") for status in operation["responses"]), f"{method} {path}"
    assert guest.raw("GET", "/docs").headers["Content-Type"].startswith("text/html")
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert guest.http.get(village.town.url + path).status_code == 200
