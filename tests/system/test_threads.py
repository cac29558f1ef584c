"""Secure messages on the whole platform: written, heard, told of without a word, with files on the real store."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from deploy.visitors import Visitor, mail_text, wait_for
from tests.builders import pdf, png
from tests.system.conftest import Village

TEXT = "Mein Knie, wie im Rosengarten besprochen"
SUBJECT = "Rosengarten"


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


@pytest.fixture(scope="module")
def doctor(village: Village, patient: Visitor) -> Visitor:
    return trusted(village, patient, "doctor who writes")


def trusted(village: Village, patient: Visitor, name: str) -> Visitor:
    who = village.professional(name)
    path = f"/records/{patient.ids['record_id']}/circle/{who.ids['professional_id']}"
    wait_for(lambda: patient.raw("PUT", path, json={}).status_code == 204 or None, "the circle")
    return who


def begin(who: Visitor, patient: Visitor, *others: Visitor, text: str = TEXT) -> Any:
    ids = [one.ids["professional_id"] for one in others]
    body = {"subject": SUBJECT, "text": text, "professional_ids": ids, "record_id": patient.ids["record_id"]}
    return who.ask("POST", "/threads", json=body, expect=201)


def attach(who: Visitor, thread_id: str, data: bytes, name: str = "Lettre.pdf", **headers: str) -> requests.Response:
    parts: Any = [
        ("metadata", (None, json.dumps({"name": name}), "application/json")),
        ("file", ("x", data, "application/octet-stream")),
    ]
    return who.raw("POST", f"/threads/{thread_id}/attachments", files=parts, headers=headers)


def test_a_holder_and_their_doctor_write_to_each_other_with_files(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    stranger = village.professional("doctor who reads along")
    reach = patient.ask("GET", f"/threads/correspondents?record_id={patient.ids['record_id']}")["correspondents"]
    assert [one["professional_id"] for one in reach] == [doctor.ids["professional_id"]] and reach[0]["name"]
    thread = begin(patient, patient, doctor)
    path = f"/threads/{thread['thread_id']}"
    assert thread["may_write"] is True and thread["correspondents"][0]["name"]

    files = {"Röntgenbild Knie.pdf": pdf("Genou", size=3_000_000), "photo.png": png()}
    made = [attach(patient, thread["thread_id"], data, name) for name, data in files.items()]
    assert [answer.status_code for answer in made] == [201, 201], [answer.text for answer in made]
    ids = [answer.json()["attachment_id"] for answer in made]
    said = {"text": "Ci-joint", "attachment_ids": ids}
    sent = patient.ask("POST", f"{path}/messages", json=said, expect=201)
    assert [one["name"] for one in sent["attachments"]] == list(files)

    assert doctor.ask("GET", "/threads/unread-count") == {"threads": 1, "messages": 2}
    [shown] = doctor.ask("GET", "/threads")["threads"]
    assert (shown["subject"], shown["unread"]) == (SUBJECT, 2)
    heard = doctor.ask("GET", f"{path}/messages")["messages"]
    assert [one["text"] for one in heard] == ["Ci-joint", TEXT] and heard[0]["name"] and heard[0]["role"] == "holder"
    for file_id, (name, data) in zip(ids, files.items(), strict=True):
        answer = doctor.raw("GET", f"{path}/attachments/{file_id}")
        assert (answer.status_code, answer.content) == (200, data), answer.text
        assert "attachment" in answer.headers["Content-Disposition"] and "sandbox" in answer.headers[
            "Content-Security-Policy"]  # fmt: skip
        part = doctor.raw("GET", f"{path}/attachments/{file_id}", headers={"Range": "bytes=5-20"})
        assert (part.status_code, part.content) == (206, data[5:21])
        assert problem(stranger.raw("GET", f"{path}/attachments/{file_id}")) == (404, "thread_not_found")
        assert name in unquote(answer.headers["Content-Disposition"])
    doctor.ask("POST", f"{path}/receipts", json={"read_number": 2})
    receipts = patient.ask("GET", f"{path}/receipts")["correspondents"]
    assert [one["read_number"] for one in receipts if one["professional_id"]] == [2]
    doctor.ask("POST", f"{path}/messages", json={"text": "Merci"}, expect=201)

    reads = [("GET", path), ("GET", f"{path}/messages"), ("GET", f"{path}/receipts")]
    for call in (*reads, ("DELETE", f"{path}/participation")):
        assert problem(stranger.raw(*call)) == (404, "thread_not_found")
        assert problem(village.agent.raw(*call)) == (403, "not_allowed")
    body = {"text": "x"}
    assert problem(stranger.raw("POST", f"{path}/messages", json=body)) == (404, "thread_not_found")
    assert problem(attach(stranger, thread["thread_id"], png())) == (404, "thread_not_found")


def test_the_mail_that_tells_of_it_says_nothing_of_it(village: Village, patient: Visitor) -> None:
    who = trusted(village, patient, "doctor with a mailbox")
    words = "message vous attend"
    begin(who, patient)
    village.town.mail(patient.email, lambda mail: mail if words in str(mail["Subject"]) else None, 0, "the mail")
    assert not [mail for mail in village.town.mails(who.email) if words in str(mail["Subject"])], "of their own"
    begin(patient, patient, who)
    mail = village.town.mail(who.email, lambda mail: mail if words in str(mail["Subject"]) else None, 0, "the mail")
    said = mail_text(mail) + str(mail["Subject"])
    for word in (SUBJECT, "Knie", patient.name, patient.matricule, patient.ids["record_id"]):
        assert word not in said


def test_what_is_no_file_for_a_message_is_refused_while_it_comes(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    thread_id = begin(patient, patient, doctor)["thread_id"]
    broken = pdf("a", size=200_000)
    assert problem(attach(patient, thread_id, b"\x00\x01 nonsense")) == (415, "unsupported_media_type")
    assert problem(attach(patient, thread_id, b"")) == (422, "upload_empty")
    assert problem(attach(patient, thread_id, broken[:-200])) == (422, "file_truncated")
    assert problem(attach(patient, thread_id, pdf("b").replace(b"trailer\n<<", b"trailer\n<< /Encrypt 9 0 R"))) == (
        422, "file_encrypted",
    )  # fmt: skip
    assert problem(attach(patient, thread_id, pdf("c", size=26 * 1024**2))) == (413, "upload_too_large")
    assert problem(attach(patient, thread_id, png(), name="")) == (422, "invalid_input")
    assert problem(attach(patient, thread_id, png(), name="a\u202egnp.exe")) == (422, "invalid_input")
    path = f"/threads/{thread_id}/attachments"
    assert problem(patient.raw("POST", path, data=png(), headers={"Content-Type": "image/png"})) == (
        415, "unsupported_media_type",
    )  # fmt: skip
    parts: Any = [("file", ("x", png(), "image/png")), ("metadata", (None, "{}", "application/json"))]
    assert problem(patient.raw("POST", path, files=parts)) == (400, "malformed_multipart")
    assert len(patient.ask("GET", f"/threads/{thread_id}/messages")["messages"]) == 1


def test_a_repeated_key_puts_one_file_and_writes_one_message(patient: Visitor, doctor: Visitor) -> None:
    thread_id = begin(patient, patient, doctor)["thread_id"]
    data = os.urandom(10).hex().encode()
    key = {"Idempotency-Key": hashlib.sha256(data).hexdigest()}
    ids = {attach(patient, thread_id, data, "note.txt", **key).json()["attachment_id"] for _ in range(2)}
    assert len(ids) == 1
    said = {"json": {"text": "Une fois", "attachment_ids": list(ids)}, "headers": key}
    numbers = {patient.raw("POST", f"/threads/{thread_id}/messages", **said).json()["number"] for _ in range(2)}
    assert numbers == {2}
    other = {"json": {"text": "Autre chose"}, "headers": key}
    assert problem(patient.raw("POST", f"/threads/{thread_id}/messages", **other)) == (422, "idempotency_key_reused")


def test_nothing_of_a_message_reaches_a_disk_or_a_log_in_clear(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    marker = os.urandom(12).hex()
    thread_id = begin(patient, patient, doctor, text=f"Streng geheim {marker}")["thread_id"]
    file_id = attach(patient, thread_id, f"Streng geheim {marker}".encode(), f"{marker}.txt").json()["attachment_id"]
    patient.ask(
        "POST", f"/threads/{thread_id}/messages", json={"text": marker, "attachment_ids": [file_id]}, expect=201
    )
    assert marker in doctor.raw("GET", f"/threads/{thread_id}/attachments/{file_id}").text
    state = Path(village.platform.state)
    found = [
        str(file)
        for folder in ("seaweed/data", "tmp", "logs", "letters", "mail", "postgres/data/base", "postgres/data/pg_wal")
        for file in (state / folder).rglob("*")
        if file.is_file() and marker.encode() in _bytes(file)
    ]
    assert found == []


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # gone meanwhile
        return b""


def test_what_was_sent_survives_a_killed_service(village: Village, patient: Visitor, doctor: Visitor) -> None:
    thread_id = begin(patient, patient, doctor)["thread_id"]
    file_id = attach(patient, thread_id, png()).json()["attachment_id"]
    village.platform.kill("notifications")
    said = {"json": {"text": "Après", "attachment_ids": [file_id]}, "headers": {"Idempotency-Key": thread_id}}

    def sent() -> Any:
        answer = patient.raw("POST", f"/threads/{thread_id}/messages", **said)
        return answer.json() if answer.status_code == 201 else None

    assert wait_for(sent, "the message")["number"] == 2
    kept = f"/threads/{thread_id}/attachments/{file_id}"
    assert doctor.raw("GET", kept).content == png()
    assert doctor.raw("GET", kept, headers={"Range": "bytes=0-3"}).content == png()[:4]
    assert village.platform.differences() == [], "every reading that was answered has exactly its one trace"


def test_the_history_of_the_record_tells_who_wrote_and_read(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    thread_id = begin(patient, patient, doctor)["thread_id"]
    doctor.ask("GET", f"/threads/{thread_id}/messages")

    def told(entries: list[dict[str, Any]]) -> bool:
        about = {entry["action"] for entry in entries if entry["object_id"] == thread_id}
        return {"thread.created", "thread.read"} <= about

    entries = village.history(patient, told)
    assert all(entry["text"] for entry in entries if entry["object_id"] == thread_id)
