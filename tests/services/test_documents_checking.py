"""The close look: what waits is seen by its depositor alone, what passed by all, and nothing is lost on the way."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from services import sealing
from services.db import new_id, now
from services.documents import contract, examining, renditions
from services.documents.examiner import Examiner
from services.documents.ports.blobs import Blobs
from services.documents.ports.sandbox import Sandbox
from services.documents.rules_findings import Findings, Rendition
from services.dossier.contract import RecordNotFound
from services.settings import Settings
from services.virus_scan import VirusScan
from tests.builders import pdf, png
from tests.services.clamd import VIRUS, Clamd
from tests.services.hostile_files import locked_pdf, pdf_of
from tests.services.ward import HTTP, SANDBOX, Ward, at_once

ROOT = Path(__file__).parents[2]
MONTH = timedelta(days=30)


def begun(ward: Ward, who: Any, data: bytes, media_type: str = contract.PDF, **changes: Any) -> dict[str, Any]:
    """A deposit whose bytes nobody has looked at yet."""
    started = ward.prepare(who, **changes)
    ward.put(started, data)
    return {**started, **ward.commit(who, started, data, media_type=media_type)}


def state(ward: Ward, who: Any, made: dict[str, Any]) -> tuple[str, str | None]:
    told = ward.ask("deposit_state", who, upload_id=made["upload_id"])
    return told["state"], told["reason"]


def shown(ward: Ward, version_id: str, kind: str) -> bytes | None:
    """A rendition as the gateway would stream it."""
    documents = ward.house.documents
    with ward.house.sessions["documents"].transaction() as session:
        handed = renditions.hand_over(
            session, documents.blobs, documents.keys, version_id, kind, ward.gateway.public
        )  # fmt: skip
    if handed is None:
        return None
    key = ward.gateway.receive(handed["sealed_key"], handed["content_id"].encode())
    sealed = HTTP.request("GET", handed["get_url"]).data
    total = sealing.segments_of(handed["size"])
    return b"".join(sealing.open_sealed([sealed], key, handed["content_id"], total_segments=total))


def waits(ward: Ward, made: dict[str, Any]) -> list[Any]:
    return list(ward.sql("select * from examinations where version_id = :v", v=made["version_id"]))


def be_due(ward: Ward) -> None:
    ward.sql("update examinations set due_at = now() - interval '1 second', leased_until = null")


# --- who sees what ----------------------------------------------------------------------------------------------------


def test_until_it_was_looked_at_a_document_is_its_depositor_s_alone(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    made = begun(ward, doctor, pdf())
    [mine] = ward.ask("list_documents", doctor, record_id=ward.record_id)["documents"]
    assert (mine["state"], mine["reason"]) == ("checking", None) and state(ward, doctor, made) == ("checking", None)
    assert ward.listed(other) == ward.listed(ward.holder) == []
    with pytest.raises(contract.DocumentNotFound):
        ward.read(ward.holder, made["document_id"])
    assert ward.read(doctor, made["document_id"]) == pdf() and ward.events(contract.DocumentDeposited) == []
    ward.examine()
    assert ward.listed(other) == ward.listed(ward.holder) == [made["document_id"]]
    assert state(ward, doctor, made) == ("available", None)
    assert [event["document_id"] for event in ward.events(contract.DocumentDeposited)] == [made["document_id"]]


def test_what_did_not_pass_is_shown_to_its_depositor_with_the_reason_and_to_nobody_else(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    made = begun(ward, doctor, locked_pdf())
    ward.examine()
    [mine] = ward.ask("list_documents", doctor, record_id=ward.record_id)["documents"]
    assert (mine["state"], mine["reason"]) == ("rejected", "encrypted")
    assert state(ward, doctor, made) == ("rejected", "encrypted")
    assert ward.listed(other) == ward.listed(ward.holder) == []
    for who in (other, ward.holder):
        with pytest.raises(contract.DocumentNotFound):
            ward.ask("read_document", who, document_id=made["document_id"])
    assert ward.events(contract.DocumentDeposited) == []
    [event] = ward.events(contract.DocumentRejected)
    assert (event["document_id"], event["reason"]) == (made["document_id"], "encrypted")
    assert (event["account_id"], event["capacity"]) == (doctor.account_id, "professional")


@pytest.mark.parametrize(("became", "reason"), [("checking", None), ("rejected", "broken"), ("rejected", "infected")])
def test_a_version_that_is_not_good_or_not_yet_is_its_depositor_s_alone(
    ward: Ward, became: str, reason: str | None
) -> None:
    doctor = ward.present()
    document_id, late = ward.deposit(doctor), new_id()
    ward.sql(
        "insert into versions (version_id, document_id, number, content_id, state, reason, wrapped_key, key_record_id,"
        " store_version, media_type, size, sha256, account_id, capacity, created_at)"
        " select :late, document_id, 2, content_id, :state, :reason, wrapped_key, key_record_id,"
        " store_version, media_type, size, sha256, account_id, capacity, now()"
        " from versions where document_id = :d", late=late, d=document_id, state=became, reason=reason,
    )  # fmt: skip
    versions = [len(ward.ask("read_document", who, document_id=document_id)["versions"]) for who in
                (doctor, ward.holder, ward.present())]  # fmt: skip
    assert versions == [2, 1, 1]
    for who in (ward.holder, ward.present()) if reason != "infected" else (doctor, ward.holder):
        with pytest.raises(contract.DocumentNotFound):
            ward.read(who, document_id, version_id=late)
    if reason != "infected":
        assert ward.read(doctor, document_id, version_id=late) == pdf()


def test_nobody_asks_what_became_of_another_s_deposit(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    made = begun(ward, doctor, pdf())
    before = len(ward.traces())
    state(ward, doctor, made)
    assert len(ward.traces()) == before  # a part of the deposit's own request
    for who, upload_id in ((other, made["upload_id"]), (doctor, new_id()), (ward.holder, made["upload_id"])):
        with pytest.raises(contract.UploadNotFound):
            ward.ask("deposit_state", who, upload_id=upload_id)
    assert [trace["outcome"] for trace in ward.traces()[before:]] == ["refused"] * 3


def test_a_reader_without_rights_learns_nothing_from_a_document_that_waits(ward: Ward) -> None:
    begun(ward, ward.present(), pdf())
    stranger = ward.professional()
    with pytest.raises(RecordNotFound):
        ward.listed(stranger)


# --- renditions -------------------------------------------------------------------------------------------------------


def test_a_preview_is_given_once_it_is_stored_and_lies_sealed(ward: Ward) -> None:
    doctor = ward.present()
    made = begun(ward, doctor, pdf("Un secret"))
    assert shown(ward, made["version_id"], "thumbnail") is None
    ward.examine()
    for kind in ("thumbnail", "page"):
        data = shown(ward, made["version_id"], kind)
        assert data is not None and Image.open(io.BytesIO(data)).format == "JPEG"
    [row, _] = ward.sql("select * from renditions where content_id = :v", v=made["version_id"])
    sealed = b"".join(ward.house.documents.blobs.read(str(row.rendition_id), row.store_version))
    assert len(sealed) == sealing.sealed_size(row.size) and b"JFIF\x00\x01" not in sealed


def test_what_was_made_of_a_try_that_came_to_nothing_is_never_given_and_swept_after_a_day(ward: Ward) -> None:
    doctor, documents = ward.present(), ward.house.documents
    made = begun(ward, doctor, pdf())
    sessions = ward.house.sessions["documents"]
    worker = Examiner(sessions, documents.blobs, documents.keys, SANDBOX)
    row = taken(ward)
    renditions.put(
        sessions, documents.blobs, documents.keys, row, Findings(renditions=(Rendition("page", "image/png", b"x"),)),
        now() - timedelta(hours=25),
    )  # fmt: skip
    assert shown(ward, made["version_id"], "page") is None
    [(left,)] = ward.sql("select rendition_id from renditions where content_id = :v", v=made["version_id"])
    assert documents.blobs.stored(str(left)) is not None
    be_due(ward)
    ward.examine()
    worker.sweep(MONTH)
    assert documents.blobs.stored(str(left)) is None
    assert len(ward.sql("select 1 from renditions where content_id = :v", v=made["version_id"])) == 2
    assert shown(ward, made["version_id"], "page")


def taken(ward: Ward) -> Any:
    from services.documents import store_examining

    with ward.house.sessions["documents"].transaction() as session:
        row = store_examining.claim(session, now(), now() + timedelta(seconds=60))
    assert row is not None
    return row


def test_a_big_file_is_looked_at_in_pieces(ward: Ward) -> None:
    doctor = ward.present()
    made = begun(ward, doctor, pdf("Un long dossier", 34_000_000))
    ward.examine()
    assert state(ward, doctor, made) == ("available", None) and shown(ward, made["version_id"], "page")


# --- as often as it takes, with effect once ---------------------------------------------------------------------------


def test_many_workers_at_once_settle_each_version_once(ward: Ward) -> None:
    doctor = ward.present()
    made = [begun(ward, doctor, pdf(str(number))) for number in range(6)]
    sandboxes = [Sandbox() for _ in range(3)]
    documents = ward.house.documents
    workers = [
        Examiner(ward.house.sessions["documents"], documents.blobs, documents.keys, sandbox) for sandbox in sandboxes
    ]

    def work(number: int) -> int:
        done = 0
        while workers[number].work():
            done += 1
        return done

    assert sum(at_once(3, work)) == 6
    for sandbox in sandboxes:
        sandbox.close()
    told = [event["document_id"] for event in ward.events(contract.DocumentDeposited)]
    assert sorted(told) == sorted(one["document_id"] for one in made)


def test_two_that_looked_at_the_same_version_have_one_effect(ward: Ward) -> None:
    made = begun(ward, ward.present(), pdf())
    findings = [Findings(), Findings(rejection="broken"), Findings(), Findings(rejection="infected")]

    def finish(number: int) -> bool:
        with ward.house.sessions["documents"].transaction() as session:
            return examining.finish(session, made["version_id"], findings[number], now())

    assert sorted(at_once(4, finish)) == [False, False, False, True]
    assert len(ward.events(contract.DocumentDeposited)) + len(ward.events(contract.DocumentRejected)) == 1


def test_a_version_that_is_taken_is_left_alone_until_its_lease_runs_out(ward: Ward) -> None:
    doctor = ward.present()
    made = begun(ward, doctor, pdf())
    taken(ward)
    assert ward.examiner().work() is False and state(ward, doctor, made) == ("checking", None)
    ward.sql("update examinations set leased_until = now() - interval '1 second'")
    assert ward.examiner().work() is True and state(ward, doctor, made) == ("available", None)


def test_when_the_store_does_not_answer_nothing_is_lost(ward: Ward) -> None:
    doctor, documents = ward.present(), ward.house.documents
    made = begun(ward, doctor, pdf())
    away = Blobs.of(replace(ward.settings, s3_endpoint="127.0.0.1:9"))
    assert Examiner(ward.house.sessions["documents"], away, documents.keys, SANDBOX).work() is True
    [row] = waits(ward, made)
    assert row.tries == 1 and row.leased_until is None and row.due_at > now()
    assert state(ward, doctor, made) == ("checking", None)
    be_due(ward)
    ward.examine()
    assert state(ward, doctor, made) == ("available", None)


def test_when_the_store_takes_no_preview_nothing_is_shown_yet(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = ward.present()
    made = begun(ward, doctor, pdf())
    away = Blobs.of(replace(ward.settings, s3_endpoint="127.0.0.1:9"))
    with monkeypatch.context() as patch:
        patch.setattr(ward.house.documents.blobs, "put", away.put)
        ward.examiner().work()
    assert state(ward, doctor, made) == ("checking", None) and shown(ward, made["version_id"], "page") is None
    be_due(ward)
    ward.examine()
    assert shown(ward, made["version_id"], "page")


def test_deposits_come_before_what_is_shown_already(ward: Ward) -> None:
    doctor = ward.present()
    old = ward.deposit(doctor)
    ward.sql(
        "insert into examinations (version_id, queued_at, due_at, shown) select current_version_id,"
        " now() - interval '1 hour', now() - interval '1 hour', true from documents where document_id = :d", d=old,
    )  # fmt: skip
    made = begun(ward, doctor, pdf("new"))
    ward.examiner().work()
    assert state(ward, doctor, made) == ("available", None)
    assert len(ward.sql("select 1 from examinations")) == 1


@pytest.mark.parametrize("passes", [True, False])
def test_a_document_of_an_earlier_release_gets_its_preview_and_is_never_hidden(ward: Ward, passes: bool) -> None:
    doctor = ward.present()
    made = begun(ward, doctor, pdf() if passes else b"%PDF-1.4 taken in without a look\nstartxref\n0\n%%EOF")
    ward.sql("update versions set state = 'available' where version_id = :v", v=made["version_id"])
    ward.sql("update documents set state = 'available' where document_id = :d", d=made["document_id"])
    ward.examine()
    assert ward.listed(ward.holder) == [made["document_id"]] and waits(ward, made) == []
    assert ward.events(contract.DocumentDeposited) == ward.events(contract.DocumentRejected) == []
    assert (shown(ward, made["version_id"], "page") is not None) is passes


def test_a_version_of_a_document_that_is_gone_leaves_the_queue_without_a_word(ward: Ward) -> None:
    made = begun(ward, ward.present(), pdf())
    ward.sql("update documents set state = 'removed', removed_at = now() where document_id = :d", d=made["document_id"])
    ward.examine()
    assert waits(ward, made) == [] and ward.events(contract.DocumentDeposited) == []


# --- the process ------------------------------------------------------------------------------------------------------


class Worker:
    """The real process, over the ward's database and store."""

    def __init__(self, ward: Ward, folder: Path, **changes: Any) -> None:
        settings = replace(ward.settings, **changes)
        url = ward.house.sessions["documents"].engine.url.render_as_string(hide_password=False)
        told = {
            "profile": settings.profile, "process": "examiner", "database_url": url,
            "s3_endpoint": settings.s3_endpoint, "s3_access_key": settings.s3_access_key,
            "s3_secret_key": settings.s3_secret_key, "s3_bucket": settings.s3_bucket,
            "master_key_file": settings.master_key_file,
        }  # fmt: skip
        file = folder / "examiner.toml"
        file.write_text("".join(f'{name} = "{value}"\n' for name, value in told.items()))
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.documents.examine"], cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={
                    "OPENDSP_SETTINGS": str(file), "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary),
                    "PATH": "/usr/bin:/bin",
                },
            )  # fmt: skip

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="opendsp-test-", dir="/var/tmp") as made:
        yield Path(made)


def until(look: Callable[[], Any]) -> Any:
    for _ in range(1200):
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_a_worker_killed_in_the_middle_leaves_a_deposit_that_the_next_one_finishes(ward: Ward, folder: Path) -> None:
    doctor = ward.present()
    made = begun(ward, doctor, pdf_of(b"BT ET " * 50_000, "", pages=4000))
    worker = Worker(ward, folder)
    until(lambda: [row for row in waits(ward, made) if row.leased_until is not None])
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    assert state(ward, doctor, made) == ("checking", None) and ward.events(contract.DocumentDeposited) == []
    assert ward.examiner().work() is False  # the dead one's lease still runs
    ward.sql("update examinations set leased_until = now()")
    ward.examine()
    assert state(ward, doctor, made) == ("available", None)
    assert len(ward.events(contract.DocumentDeposited)) == 1


def test_the_process_is_woken_works_says_little_and_leaves_nothing_on_the_disk(ward: Ward, folder: Path) -> None:
    doctor, title = ward.present(), "Un titre que personne ne doit lire"
    worker = Worker(ward, folder)
    until(lambda: b"started" in worker.log.read_bytes())
    made = [begun(ward, doctor, data, kind, title=title, type="imaging") for data, kind in (
        (pdf("un secret"), contract.PDF), (png(300, 200), contract.PNG), (locked_pdf(), contract.PDF))]  # fmt: skip
    until(lambda: all(state(ward, doctor, one)[0] != "checking" for one in made))
    assert [state(ward, doctor, one) for one in made] == [
        ("available", None), ("available", None), ("rejected", "encrypted")
    ]  # fmt: skip
    assert os.getpriority(os.PRIO_PROCESS, worker.process.pid) == 10
    assert list(worker.temporary.rglob("*")) == []
    assert worker.end() == 0
    log = worker.log.read_text()
    assert "close look" in log and title not in log and "secret" not in log
    assert not [one for one in made if one["document_id"] in log or one["record_id"] in log]
    assert {event["source"] for event in ward.house.events("documents") if event["type"].startswith("document_")} == {
        "documents"
    }


def test_in_production_it_does_not_start_without_a_virus_scanner(ward: Ward, folder: Path) -> None:
    worker = Worker(ward, folder, profile="production")
    assert worker.process.wait(120) == 1 and "clamd_host" in worker.log.read_text()
    with pytest.raises(ValueError, match="clamd"):
        VirusScan.of(Settings(profile="production"))
    assert VirusScan.of(Settings(profile="local")) is None


def test_an_operator_reads_how_many_wait_and_for_how_long(ward: Ward, caplog: pytest.LogCaptureFixture) -> None:
    begun(ward, ward.present(), pdf())
    ward.sql("update examinations set queued_at = now() - interval '90 seconds'")
    with caplog.at_level(logging.INFO):
        ward.examiner().tell_queue()
    [line] = [record for record in caplog.records if record.msg == "queue"]
    assert line.count == 1 and line.ms >= 90_000  # type: ignore[attr-defined]


# --- viruses ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clamd() -> Iterator[Clamd]:
    with tempfile.TemporaryDirectory(prefix="opendsp-test-", dir="/var/tmp") as made:
        clamd = Clamd(Path(made))
        clamd.start()
        yield clamd
        clamd.stop()


def scanned(ward: Ward, clamd: Clamd) -> Examiner:
    return ward.examiner(VirusScan.of(replace(ward.settings, clamd_socket=str(clamd.socket))))


@pytest.mark.parametrize("size", [0, 34_000_000], ids=["small", "big"])
def test_an_infected_file_is_rejected_given_to_nobody_and_kept_for_a_month(ward: Ward, clamd: Clamd, size: int) -> None:
    doctor, blobs = ward.present(), ward.house.documents.blobs
    infected, clean = begun(ward, doctor, pdf(VIRUS, size)), begun(ward, doctor, pdf("propre", size))
    worker = scanned(ward, clamd)
    assert worker.work() and worker.work()
    assert state(ward, doctor, infected) == ("rejected", "infected")
    assert state(ward, doctor, clean) == ("available", None)
    assert [event["reason"] for event in ward.events(contract.DocumentRejected)] == ["infected"]
    for who in (doctor, ward.holder):
        with pytest.raises(contract.DocumentNotFound):
            ward.read(who, infected["document_id"])
    assert shown(ward, infected["version_id"], "page") is None
    worker.sweep(MONTH)
    assert blobs.stored(infected["version_id"]) is not None
    ward.sql("update versions set checked_at = now() - interval '31 days' where document_id in (:a, :b)",
             a=infected["document_id"], b=clean["document_id"])  # fmt: skip
    worker.sweep(MONTH)
    worker.sweep(MONTH)
    assert blobs.stored(infected["version_id"]) is None and blobs.stored(clean["version_id"]) is not None
    [(key,)] = ward.sql("select wrapped_key from versions where version_id = :v", v=infected["version_id"])
    assert bytes(key) == b"" and ward.read(doctor, clean["document_id"]) == pdf("propre", size)


def test_while_the_scanner_is_away_a_deposit_waits_and_then_passes(ward: Ward, clamd: Clamd) -> None:
    doctor = ward.present()
    made = begun(ward, doctor, pdf())
    clamd.stop()
    try:
        assert scanned(ward, clamd).work() is True
        assert state(ward, doctor, made) == ("checking", None) and waits(ward, made)[0].tries == 1
    finally:
        clamd.start()
    be_due(ward)
    assert scanned(ward, clamd).work() is True
    assert state(ward, doctor, made) == ("available", None)
