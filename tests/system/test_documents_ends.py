"""The ends of documents on the whole platform: a record taken home as one file, and a document removed for good."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deploy.agency import newcomer
from deploy.visitors import Visitor, wait_for
from services.documents.ports.blobs import Blobs
from tests.builders import PLAIN_RUNS, pdf, png
from tests.conftest import wait_for_query
from tests.system.conftest import Village

SCRIPT = "<script>alert(1)</script> & co"


def exported(who: Visitor, patient: Visitor, **headers: str) -> zipfile.ZipFile:
    """The export as one unpacks it at home."""
    answer = who.raw("GET", f"/records/{patient.ids['record_id']}/export", headers=headers)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="export-')
    return zipfile.ZipFile(io.BytesIO(answer.content))


def index_of(archive: zipfile.ZipFile) -> dict[str, dict[str, Any]]:
    return {each["document_id"]: each for each in json.loads(archive.read("index.json"))["documents"]}


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


@pytest.fixture(scope="module")
def doctor(village: Village, patient: Visitor) -> Visitor:
    who = village.professional("doctor of the exported")
    village.mandate(who, patient, expect=201)
    return who


def put(who: Visitor, patient: Visitor, data: bytes, **said: Any) -> str:
    metadata = {"type": "medical_report", "title": "Compte rendu", **said}
    return str(who.deposit(patient.ids["record_id"], data, **metadata)["document_id"])


def second_agent(village: Village) -> Visitor:
    """Another agent than the village's."""
    who = village.remember(newcomer(village.town, "second agent"))
    who.activate(village.platform.first_agent_code(who.matricule), "agent")
    who.log_in("agent")
    return who


def test_a_record_is_exported_whole_byte_for_byte_and_nothing_hidden_is_in_it(
    village: Village, patient: Visitor, doctor: Visitor
) -> None:
    report, picture, note = pdf("Befund", 300_000), png(40, 40), "Äußerung".encode()
    first = put(doctor, patient, report, title=SCRIPT)
    second = put(doctor, patient, picture, title="Cliché")
    third = put(patient, patient, note, type="holder_expression", title="Mes mots")
    secret = pdf("Verborgenes")
    hidden = put(doctor, patient, secret, title="Annonce difficile")
    doctor.ask("POST", f"/documents/{hidden}/patient-block", json={"reason": "À annoncer"}, expect=201)
    # what is exported is what has arrived: traces gather for a second on their way
    village.history(patient, lambda told: any(one["action"] == "document.created" and one["name"] for one in told))

    archive = exported(patient, patient, **{"Accept-Language": "de"})
    assert archive.testzip() is None
    found = index_of(archive)
    assert set(found) == {first, second, third}
    for document_id, data in ((first, report), (second, picture), (third, note)):
        [version] = found[document_id]["versions"]
        assert archive.read(version["file"]) == data
        assert version["sha256"] == hashlib.sha256(data).hexdigest() and version["damaged"] is None
    assert found[first]["author_name"] and found[third]["holder_authored"] is True
    everything = b"".join(archive.read(name) for name in archive.namelist())
    assert secret not in everything and b"Annonce" not in everything and hidden.encode() not in everything
    page = archive.read("index.html").decode()
    assert "Export der gemeinsamen Gesundheitsakte" in page and "<script" not in page and "&lt;script&gt;" in page
    entries = json.loads(archive.read("access-history.json"))
    rows = list(csv.DictReader(io.StringIO(archive.read("access-history.csv").decode())))
    assert len(entries) == len(rows) > 0 and {row["entry_id"] for row in rows} == {e["entry_id"] for e in entries}
    assert any(row["action"] == "document.created" and row["name"] for row in rows)

    def told(entries: list[dict[str, Any]]) -> bool:
        return any(each["action"] == "record.exported" for each in entries)

    [trace] = [each for each in village.history(patient, told) if each["action"] == "record.exported"]
    assert (trace["outcome"], trace["count"]) == ("allowed", 3)


def test_nobody_else_exports_a_record(village: Village, patient: Visitor, doctor: Visitor) -> None:
    stranger = village.patient()
    way = f"/records/{patient.ids['record_id']}/export"
    stranger.ask("GET", way, expect=404)
    doctor.ask("GET", way, expect=404)
    village.agent.ask("GET", way, expect=403)
    assert index_of(exported(stranger, stranger)) == {}


def test_a_big_record_grows_the_gateway_by_no_more_than_what_is_on_its_way(village: Village) -> None:
    who = village.patient()
    data = pdf("groß", 64 * 1024 * 1024)
    document_id = put(who, who, data, type="holder_expression")

    def most() -> int:
        """The most memory that any of the gateway's processes ever had, in MiB."""
        found = []
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                text, parent = status.read_text(), str(village.platform.pid("gateway"))
            except OSError:
                continue
            if f"PPid:\t{parent}\n" in text or status.parent.name == parent:
                found.append(int(text.split("VmHWM:")[1].split()[0]) // 1024)
        return max(found)

    before = most()
    archive = exported(who, who)
    [version] = index_of(archive)[document_id]["versions"]
    assert archive.read(version["file"]) == data
    assert most() - before < 32


def test_a_broken_file_is_named_as_damaged_and_the_rest_is_whole(village: Village) -> None:
    who = village.patient()
    kept, broken = b"blieb", b"ging"
    whole = put(who, who, kept, type="holder_expression")
    gone = put(who, who, broken, type="holder_expression")
    settings = village.platform.settings("documents")
    content_id = wait_for_query(
        settings.database_url, f"select content_id::text from versions where document_id = '{gone}'"
    )
    Blobs.of(settings).remove(str(content_id))
    found = index_of(archive := exported(who, who))
    assert found[gone]["versions"][0]["damaged"] == "missing" and found[gone]["versions"][0]["file"] is None
    [version] = found[whole]["versions"]
    assert archive.read(version["file"]) == kept and version["damaged"] is None
    assert 'class="damaged"' in archive.read("index.html").decode()


def test_two_agents_remove_a_document_and_the_proof_stands_in_the_history(village: Village) -> None:
    who, other = village.patient(), second_agent(village)
    document_id = put(who, who, b"weg damit", type="holder_expression")
    said = {"document_id": document_id, "cause": "holder_request", "reason": "Demande écrite"}
    who.ask("POST", "/agency/removals", json=said, expect=403)
    asked = village.agent.ask("POST", "/agency/removals", json=said, expect=201)
    one = f"/agency/removals/{asked['removal_id']}"
    village.agent.ask("POST", f"{one}/approval", expect=403)
    assert document_id in [each["document_id"] for each in other.ask("GET", "/agency/removals?state=asked")["removals"]]
    mails = len(village.town.mails(who.email))
    assert other.ask("POST", f"{one}/approval")["state"] == "approved"
    assert who.documents(who.ids["record_id"]) == []
    who.ask("GET", f"/documents/{document_id}/content", expect=(404, 410))
    wait_for(lambda: other.ask("GET", one)["state"] == "destroyed" or None, "the last byte gone")

    def proved(entries: list[dict[str, Any]]) -> bool:
        return {"document.removed", "document.destroyed"} <= {each["action"] for each in entries}

    village.history(who, proved)
    told = wait_for(lambda: village.town.mails(who.email)[mails:] or None, "the notice")
    assert "weg damit" not in str(told) and document_id not in str(told)


def test_the_store_holds_no_plain_byte_and_swapped_objects_are_found(village: Village) -> None:
    who = village.patient()
    texts = [f"Klartext-{number}-".encode() * 2000 for number in range(2)]
    titles = ["Kardiologische Besonderheit", "Urologische Besonderheit"]
    documents = [
        put(who, who, text, type="holder_expression", title=title) for text, title in zip(texts, titles, strict=True)
    ]
    settings = village.platform.settings("documents")
    blobs = Blobs.of(settings)
    names = [found.object_name for found in blobs._client.list_objects(settings.s3_bucket, recursive=True)]
    assert len(names) >= 2
    for name in names:
        raw = b"".join(blobs.read(name, None))
        for words in (*(text[:12] for text in texts), *(title.encode() for title in titles), *PLAIN_RUNS):
            assert words not in raw and words.decode("latin-1") not in name
    contents = [
        str(wait_for_query(settings.database_url, f"select content_id::text from versions where document_id = '{one}'"))
        for one in documents
    ]
    sealed = [b"".join(blobs.read(name, None)) for name in contents]
    for name, other in zip(contents, sealed[::-1], strict=True):
        blobs.remove(name)
        blobs.put(name, other)
    query = "update versions set store_version = null where content_id in ('{}', '{}') returning 'done'"
    wait_for_query(settings.database_url, query.format(*contents))
    for document_id in documents:
        answer = who.raw("GET", f"/documents/{document_id}/content")
        assert answer.status_code == 500 and answer.json()["type"].endswith("content_damaged")
        assert not any(text[:9] in answer.content for text in texts)
