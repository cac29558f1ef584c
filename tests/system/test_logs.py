"""In quiet operation no log line of any process carries a person's datum or a secret used on the way."""

from __future__ import annotations

import json
import re

from deploy.local.stack import INFRASTRUCTURE
from deploy.visitors import wait_for
from tests.builders import pdf
from tests.system.conftest import Village

PROCESSES = (
    "identity", "directory", "dossier", "documents", "audit", "notifications", "gateway", "broker_auth",
    "examiner", "notary", "stream", "monitor",
)  # fmt: skip
UNKNOWN = "00000000-0000-7000-8000-000000000000"


def whole_word(datum: str, text: str) -> bool:
    """Six signs of a code may well stand inside an id; a datum does not."""
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(datum)}(?![0-9A-Za-z])", text) is not None


def test_no_log_line_carries_a_name_a_matricule_a_title_a_code_or_a_token(village: Village) -> None:
    patient = village.patient()
    doctor = village.professional("doctor a")
    village.mandate(doctor, patient, code="WRQNG234", expect=403)
    village.mandate(doctor, patient)
    title = "Titre-reconnaissable-entre-tous"
    made = doctor.deposit(patient.ids["record_id"], pdf(title), type="medical_report", title=title)
    patient.ask("GET", f"/documents/{made['document_id']}/content")
    patient.ask("GET", f"/documents/{UNKNOWN}", expect=404)
    wrong = {"matricule": patient.matricule, "password": "trois mauvaises grenouilles"}
    patient.ask("POST", "/sessions", expect=401, json=wrong, headers={"Authorization": ""})
    master_keys = json.loads(village.platform.stack.layout.master_key_file.read_text())["keys"].values()
    forbidden = village.private_data() | set(master_keys) | {title, "WRQNG234", wrong["password"]}
    for process in PROCESSES:
        settings = village.platform.settings(process)
        forbidden |= {s for s in (settings.broker_password, settings.s3_secret_key, settings.identity_key,
                                  settings.notary_key, settings.vapid_key) if s}  # fmt: skip
    for process in (*PROCESSES, *INFRASTRUCTURE):
        text = "\n".join(village.platform.log_lines(process))
        # Each of ours says at least that it started; the parts of others may keep silent.
        assert text or process in INFRASTRUCTURE, f"{process} logged nothing"
        found = [datum for datum in forbidden if datum in text and whole_word(datum, text)]
        assert not found, f"{process} logged {len(found)} forbidden data, e.g. of length {len(found[0])}"


def test_every_log_line_of_ours_is_one_json_object(village: Village) -> None:
    for process in PROCESSES:
        lines = [line for line in village.platform.log_lines(process) if line.strip()]
        broken = []
        for line in lines:
            try:
                json.loads(line)
            except ValueError:
                broken.append(line)
        assert not broken, f"{process}: {len(broken)} lines are not JSON, e.g. {broken[0][:80]}"


def test_one_request_id_runs_through_gateway_and_services(village: Village) -> None:
    patient = village.patient()
    answer = patient.raw("GET", f"/records/{UNKNOWN}")
    request_id = answer.json()["request_id"]
    assert answer.headers["X-Request-Id"] == request_id
    for process in ("gateway", "dossier"):
        wait_for(lambda: tells_of(village, process, request_id) or None, f"{process}'s line")  # noqa: B023 at once


def tells_of(village: Village, process: str, request_id: str) -> bool:
    """Whether a process has logged this request; its lines take their way through the supervisor."""
    return any(request_id in line for line in village.platform.log_lines(process))


def test_nothing_of_a_body_lies_in_a_temporary_folder_or_in_clear_in_the_store(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("doctor a")
    village.mandate(doctor, patient)
    marker = b"CLEAR-TEXT-MARKER-" * 8
    body = pdf("Scellé", 3_000_000)
    body = body.replace(b"stream\n", b"stream\n" + marker, 1)
    doctor.deposit(patient.ids["record_id"], body, type="medical_report", title="Scellé")
    searched = 0
    for folder in (village.platform.state / "tmp", village.platform.state / "seaweed"):
        for file in folder.rglob("*"):
            if file.is_file():
                searched += file.stat().st_size
                assert marker not in file.read_bytes(), file.name
    assert searched > len(body)
