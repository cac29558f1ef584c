"""Histories and the log taken away from the whole platform, and checked elsewhere by the verifier it gives out."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from deploy.local import auditor
from deploy.visitors import Visitor, wait_for
from tests.builders import pdf
from tests.system.conftest import Village


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    who, doctor = village.patient(), village.professional("doctor of the history")
    village.mandate(doctor, who, expect=201)
    doctor.deposit(who.ids["record_id"], pdf(), type="medical_report", title="Compte rendu")
    village.history(who, lambda entries: any(each["action"] == "document.created" for each in entries))
    return who


@pytest.fixture(scope="module")
def home(village: Village, patient: Visitor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder far from the platform, with the verifier in it."""
    folder: Path = tmp_path_factory.mktemp("home")
    (folder / "verifier.py").write_bytes(patient.raw("GET", "/audit/verifier").content)
    return folder


def exported(who: Visitor, patient: Visitor, form: str, **headers: str) -> Any:
    return who.raw("GET", f"/records/{patient.ids['record_id']}/access-history/export?format={form}", headers=headers)


def verdict(home: Path, export: bytes, *more: str) -> tuple[int, str]:
    (home / "export").write_bytes(export)
    command = [sys.executable, "-I", "verifier.py", "export", *more]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_holder_takes_their_history_home_and_checks_it_there(village: Village, patient: Visitor, home: Path) -> None:
    def whole() -> bytes | None:
        """Once the deposit is under a signed head."""
        found: bytes = exported(patient, patient, "jsonl").content
        return found if b'"document.created"' in found else None

    export = wait_for(whole, "the sealed deposit")
    [key] = patient.ask("GET", "/audit/keys")["keys"]
    assert verdict(home, export)[0] == 3
    code, said = verdict(home, export, "--key", key["public_key"])
    assert code == 0 and said.startswith("GENUINE"), said
    assert verdict(home, export.replace(b"document.created", b"document.opened"), "--key", key["public_key"])[0] == 1
    shown = [json.loads(line) for line in export.splitlines()[1:] if line.startswith(b'{"v"')]
    assert not [each for each in shown if {"session_id", "address", "count"} & each.keys()]


def test_the_other_forms_say_who_did_what_in_words(village: Village, patient: Visitor, home: Path) -> None:
    table = exported(patient, patient, "csv", **{"Accept-Language": "de"})
    rows = list(csv.DictReader(io.StringIO(table.content.decode(), newline="")))
    assert table.headers["Content-Type"] == "text/csv" and any(row["action"] == "document.created" for row in rows)
    deposit = next(row for row in rows if row["action"] == "document.created")
    assert "Cabinet de la Place" in deposit["Wer"] and deposit["Dokument"]
    told = json.loads(exported(patient, patient, "json", **{"Accept-Language": "lb"}).content)
    assert told["language"] == "lb" and all(entry["text"] for entry in told["entries"])
    sheet = exported(patient, patient, "pdf", **{"Accept-Language": "fr"})
    assert sheet.status_code == 200 and sheet.content.startswith(b"%PDF")
    reader = PdfReader(io.BytesIO(sheet.content))
    assert deposit["Wer"].split(",")[0] in "".join(page.extract_text() for page in reader.pages)
    [key] = patient.ask("GET", "/audit/keys")["keys"]
    [attached] = reader.attachments["history.jsonl"]
    assert verdict(home, attached, "--key", key["public_key"])[0] == 0


def test_each_export_leaves_one_trace_and_a_doctor_gets_none(village: Village, patient: Visitor) -> None:
    def times(entries: list[dict[str, Any]], outcome: str) -> int:
        return sum(each["action"] == "log.exported" and each["outcome"] == outcome for each in entries)

    doctor = village.professional("doctor of the history")
    answer = exported(doctor, patient, "jsonl")
    assert answer.status_code == 403
    before = times(village.history(patient, lambda entries: times(entries, "refused") == 1), "allowed")
    for form in ("jsonl", "csv", "json", "pdf"):
        assert exported(patient, patient, form).status_code == 200
    after = village.history(patient, lambda entries: times(entries, "allowed") >= before + 4)
    assert times(after, "allowed") == before + 4


def test_the_whole_log_is_what_the_witness_knows(village: Village, patient: Visitor) -> None:
    layout = village.platform.stack.layout
    code, said = auditor.verify(auditor.export_log(layout))
    assert code == 0 and said.startswith("GENUINE"), said
