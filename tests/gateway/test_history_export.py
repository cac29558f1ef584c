"""The forms of an exported history, without services: what stands in them, and that the seal holds."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from flask.testing import FlaskClient
from pypdf import PdfReader

from deploy.local.seal import seal as new_seal
from gateway import history_files, history_sheet
from gateway.caller import LOCALES
from gateway.errors import catalogue
from gateway.seal import seal_of
from gateway.streams import BrokenOff
from services.audit.contract import HistoryUnattested
from services.db import new_id

RECORD = new_id()
BEGUN = {"record_id": RECORD, "export_id": new_id(), "begun_at": "2026-03-01T08:00:00.000000Z"}
STATED = {
    "header": "{}", "count": 2, "size": 9, "statement": "opendsp audit history\nx\n2\n", "key_id": "ab",
    "signature": "c",
}  # fmt: skip


def entry(**facts: Any) -> dict[str, Any]:
    said = dict.fromkeys(
        ("account_id", "patient_id", "professional_id", "profession", "establishment_id", "object_id", "object_type",
         "document_type", "ground", "rule", "reason", "software", "request_id", "count", "name",
         "establishment_name")
    )  # fmt: skip
    return {
        **said, "entry_id": new_id(), "at": "2026-03-01T07:30:00.000000Z", "action": "document.read",
        "outcome": "allowed", "capacity": "professional", **facts,
    }  # fmt: skip


def pages(*entries: dict[str, Any]) -> Any:
    """Two pages of entries."""
    half = len(entries) // 2

    def page(cursor: str | None) -> dict[str, Any]:
        part = entries[half:] if cursor else entries[:half]
        return {"entries": list(part), "next_cursor": None if cursor else "next"}

    return page


# --- for programs ---------------------------------------------------------------------------------------------------


def pieces(*sizes: int) -> Any:
    def piece(after: int) -> dict[str, Any]:
        at = after + 1
        return {"lines": ["line"] * sizes[at], "entries": sizes[at], "position": at if at + 1 < len(sizes) else None}

    return piece


def test_all_lines_that_were_stated_are_sent() -> None:
    assert b"".join(history_files.as_lines({**STATED, "count": 3}, pieces(2, 1))) == b"{}\nline\nline\nline\n"


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_history_that_is_another_than_was_stated_is_broken_off(count: int) -> None:
    sent = []
    with pytest.raises(BrokenOff):
        sent.extend(history_files.as_lines({**STATED, "count": count}, pieces(2, 1)))
    assert len(sent) < 3


def test_the_notarys_answer_is_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[Any] = iter([None, None, STATED])
    assert history_files.stated(lambda: next(answers)) == STATED
    monkeypatch.setattr(history_files, "PATIENCE", 0.3)
    with pytest.raises(HistoryUnattested):
        history_files.stated(lambda: None)


def test_the_json_has_every_entry_with_its_words() -> None:
    told = json.loads(b"".join(history_files.as_json(BEGUN, pages(entry(), entry(), entry()), "de")))
    assert (told["record_id"], told["language"], len(told["entries"])) == (RECORD, "de", 3)
    assert told["entries"][0]["text"] and told["entries"][0]["words"]["action"]
    assert json.loads(b"".join(history_files.as_json(BEGUN, pages(), "de")))["entries"] == []


# --- for people -----------------------------------------------------------------------------------------------------


def test_a_cell_of_the_table_is_never_a_formula() -> None:
    for bad in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"):
        table = b"".join(history_files.as_csv(pages(entry(name=bad, software=bad, establishment_name=bad)), "fr"))
        [heads, row] = csv.reader(io.StringIO(table.decode(), newline=""))
        assert len(heads) == len(row)
        told = dict(zip(heads, row, strict=True))
        assert not [cell for cell in row if cell[:1] in tuple("=+-@\t\r")]
        assert told["software"] == told["establishment_name"] == f"'{bad}" and told["Qui"].startswith("'")


@pytest.mark.parametrize("locale", LOCALES)
def test_every_language_has_all_words_of_the_forms(locale: str) -> None:
    words = catalogue(locale)["history_export"]
    assert words.keys() == catalogue("fr")["history_export"].keys() and all(words.values())
    for name, said in words.items():
        assert re.findall(r"\{\w+\}", said) == re.findall(r"\{\w+\}", catalogue("fr")["history_export"][name])
    assert b"".join(history_files.as_csv(pages(entry()), locale)).startswith(words["when"].encode())


@pytest.fixture(scope="module")
def made() -> tuple[bytes, bytes]:
    """A sealed sheet, and the PKCS #12 it was sealed with."""
    pkcs12 = b64decode(new_seal())
    told = [
        {"at": "2026-03-01T07:30:00.000000Z", "text": f"Consultation – MÜLLER {'x' * 300} Ζωή {number}."}
        for number in range(120)
    ]
    words = catalogue("lb")["history_export"]
    return history_sheet.sheet(BEGUN, STATED, told, b'{"a":1}\n', words, "lb", seal_of(pkcs12)), pkcs12


def test_the_sheet_says_everything_and_has_the_file_in_it(made: tuple[bytes, bytes]) -> None:
    reader = PdfReader(io.BytesIO(made[0]))
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert len(reader.pages) > 2 and text.count("Consultation") == 120
    assert RECORD in text and "01.03.2026 08:30:00" in text and "opendsp audit history" in text
    assert reader.attachments[history_sheet.ATTACHED] == [b'{"a":1}\n']
    fields = reader.get_fields() or {}
    assert fields["seal"]["/V"]["/Reason"] == catalogue("lb")["history_export"]["title"]


def under_seal(sheet: bytes) -> tuple[bytes, bytes]:
    """The bytes that are under the seal of a sheet, and the seal."""
    found = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\]", sheet)
    assert found
    begin, first, second, length = map(int, found.groups())
    assert begin == 0 and second + length == len(sheet)
    seal = bytes.fromhex(sheet[first + 1 : second - 1].decode())
    return sheet[:first] + sheet[second:], seal


def parts(der: bytes) -> list[tuple[int, bytes]]:
    """What a constructed value of DER is made of: each tag with the whole of it; zeros may follow."""
    found, at = [], 0
    while at < len(der) and der[at]:
        length, header = der[at + 1], 2
        if length & 0x80:
            header += length & 0x7F
            length = int.from_bytes(der[at + 2 : at + header], "big")
        found.append((der[at], der[at : at + header + length]))
        at += header + length
    return found


def inside(der: bytes) -> bytes:
    """A value without its tag and length."""
    return der[2 + (der[1] & 0x7F if der[1] & 0x80 else 0) :]


def holds(sheet: bytes, pkcs12: bytes) -> bool:
    """Whether the CMS of a sheet's seal is over its bytes, and made with this key [RFC 5652 5.4]."""
    data, seal = under_seal(sheet)
    [(_, message)] = parts(seal)
    signed_data = parts(inside(parts(inside(message))[1][1]))[0][1]
    signer = parts(inside(parts(inside(signed_data))[-1][1]))[0][1]
    fields = parts(inside(signer))
    attributes = next(value for tag, value in fields if tag == 0xA0)
    digest = bytes.fromhex("06092a864886f70d010904") + b"\x31\x22\x04\x20" + hashlib.sha256(data).digest()
    public: Any = seal_of(pkcs12).certificate.public_key()
    try:
        public.verify(inside(fields[-1][1]), b"\x31" + attributes[1:], ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return digest in attributes


def test_the_seal_is_over_every_byte_but_its_own(made: tuple[bytes, bytes]) -> None:
    sheet, pkcs12 = made
    assert holds(sheet, pkcs12)
    at = sheet.index(b"/Type /Page")
    assert not holds(sheet[:at] + b"/type" + sheet[at + 5 :], pkcs12)
    assert not holds(sheet, b64decode(new_seal()))


# --- over HTTP ------------------------------------------------------------------------------------------------------


def test_the_verifier_is_there_for_everybody_and_runs_by_itself(http: FlaskClient, tmp_path: Path) -> None:
    answer = http.get("/api/v1/audit/verifier")
    assert answer.status_code == 200 and "verifier.py" in answer.headers["Content-Disposition"]
    (tmp_path / "verifier.py").write_bytes(answer.data)
    command = ["python3", "-I", "verifier.py", "verifier.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 2 and done.stdout.startswith(b"CANNOT BE CHECKED")


def test_a_form_that_there_is_not_is_refused(http: FlaskClient, signer: Any) -> None:
    address = f"/api/v1/records/{RECORD}/access-history/export"
    answer = http.get(f"{address}?format=docx", headers=signer.header())
    assert answer.status_code == 422 and answer.get_json(force=True)["errors"][0]["pointer"] == "/format"
    assert http.get(address).status_code == 401
