"""Files that come with secure messages: sealed, looked at, swept; and how threads, their keys and their files end."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local import processes
from deploy.local.stack import Stack
from services import sealing
from services.db import new_id, now
from services.dossier.contract import RecordStateChanged
from services.dossier.models import Record
from services.notifications.contract import (
    AttachmentNotFound,
    AttachmentRejected,
    AttachmentUnchecked,
    ThreadNotFound,
    TooManyAttachments,
)
from services.notifications.ports.thread_keys import ThreadKeys
from services.object_store import Bucket
from services.refusals import InvalidInput, KeyReused, Unavailable
from services.sealing import BytesTampered, KeySet
from services.settings import Settings
from services.virus_scan import VirusScan
from tests.builders import context
from tests.services.clamd import VIRUS, Clamd
from tests.services.test_threads import refused
from tests.services.thread_house import HTTP, Threads

HARMFUL = f"Bonjour. {VIRUS}. Au revoir.".encode()


@pytest.fixture(scope="module")
def clamd() -> Iterator[Clamd]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        clamd = Clamd(Path(made))
        clamd.start()
        yield clamd
        clamd.stop()


def in_store(mail: Threads, attachment_id: str) -> bool:
    return mail.service.attachments.stored(attachment_id) is not None


# --- put, sent, opened ------------------------------------------------------------------------------------------------


def test_a_file_comes_with_a_message_and_whoever_hears_it_opens_it(mail: Threads) -> None:
    doctor, late = mail.trusted(), mail.trusted()
    thread_id = mail.begin(mail.holder, doctor, late)
    data = os.urandom(3 * sealing.SEGMENT + 5)
    first, second = mail.attach(mail.holder, thread_id, data, "Radio épaule.txt"), mail.attach(mail.holder, thread_id)
    for who in (doctor, late):
        refused(AttachmentNotFound, partial(mail.open, who, thread_id, first))
    assert mail.open(mail.holder, thread_id, first) == data, "their own, before it is sent"
    mail.distrust(late)
    said = mail.write(mail.holder, thread_id, "Voici", [second, first])
    assert [(one["attachment_id"], one["name"]) for one in said["attachments"]] == [
        (second, "Courrier.txt"), (first, "Radio épaule.txt"),
    ]  # fmt: skip
    assert (said["attachments"][1]["size"], said["attachments"][1]["state"]) == (len(data), "available")
    assert mail.open(doctor, thread_id, first) == data
    refused(AttachmentNotFound, lambda: mail.open(late, thread_id, first))
    refused(ThreadNotFound, lambda: mail.open(mail.trusted(), thread_id, first))
    other = mail.begin(mail.holder, doctor)
    refused(AttachmentNotFound, lambda: mail.open(doctor, other, first))


def test_a_file_is_sent_once_by_who_put_it_there_and_in_its_own_thread(mail: Threads) -> None:
    doctor, parent = mail.trusted(), mail.representative()
    thread_id, other = mail.begin(mail.holder, doctor), mail.begin(mail.holder, doctor)
    file_id = mail.attach(mail.holder, thread_id)
    for who, where, files in (
        (doctor, thread_id, [file_id]), (parent, thread_id, [file_id]), (mail.holder, other, [file_id]),
        (mail.holder, thread_id, [file_id, new_id()]), (mail.holder, thread_id, [mail.start(mail.holder, thread_id)[
            "attachment_id"]]),
    ):  # fmt: skip
        refused(AttachmentNotFound, partial(mail.write, who, where, "x", files))
    mail.write(mail.holder, thread_id, "x", [file_id])
    refused(AttachmentNotFound, lambda: mail.write(mail.holder, thread_id, "y", [file_id]))
    refused(InvalidInput, lambda: mail.write(mail.holder, thread_id, "y", [new_id() for _ in range(11)]))
    assert mail.texts(doctor, thread_id) == ["Bonjour", "x"] and mail.texts(doctor, other) == ["Bonjour"]


def test_only_what_the_store_holds_in_full_can_be_sent(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    nothing = mail.start(mail.holder, thread_id)
    refused(AttachmentNotFound, lambda: mail.commit(mail.holder, nothing, b"x"))
    started = mail.start(mail.holder, thread_id)
    mail.put(started, b"Bonjour")
    refused(AttachmentNotFound, lambda: mail.commit(mail.holder, started, b"Bonjour!"))
    refused(AttachmentNotFound, lambda: mail.commit(doctor, started, b"Bonjour"))
    refused(InvalidInput, lambda: mail.commit(mail.holder, started, b"Bonjour", media_type="text/html"))
    refused(InvalidInput, lambda: mail.commit(mail.holder, started, b"Bonjour", size=26 * 1024**2))
    assert mail.commit(mail.holder, started, b"Bonjour")["state"] == "available"
    mail.sql("update thread_attachments set started_at = now() - interval '2 days'")
    refused(AttachmentNotFound, lambda: mail.commit(mail.holder, started, b"Bonjour"))


def test_a_repeated_upload_is_one_file(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    keyed = replace(mail.holder, context=replace(context(), idempotency_key="upload"))
    again = [mail.attach(keyed, thread_id) for _ in range(2)]
    assert again[0] == again[1]
    started = mail.start(keyed, thread_id)
    mail.put(started, b"Autre chose")
    refused(KeyReused, lambda: mail.commit(keyed, started, b"Autre chose"))
    mail.write(mail.holder, thread_id, "Un", again)
    assert mail.open(doctor, thread_id, again[0]) == b"Bonjour"


def test_so_many_files_may_wait_and_no_more(mail: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifications.thread_files.LOOSE_MOST", 2)
    thread_id = mail.begin(mail.holder, mail.trusted())
    kept = [mail.attach(mail.holder, thread_id) for _ in range(2)]
    assert refused(TooManyAttachments, lambda: mail.start(mail.holder, thread_id)).detail == {"most": 2}
    mail.write(mail.holder, thread_id, "x", kept)
    mail.start(mail.holder, thread_id)


def test_a_presigned_address_opens_nothing_else_and_not_for_long(mail: Threads) -> None:
    thread_id = mail.begin(mail.holder, mail.trusted())
    started = mail.start(mail.holder, thread_id)
    other = started["put_url"].replace(started["version_id"], new_id())
    assert HTTP.request("PUT", other, body=b"x").status == 403
    assert HTTP.request("GET", started["put_url"]).status == 403
    mail.put(started, b"Bonjour")
    mail.commit(mail.holder, started, b"Bonjour")
    plain = started["put_url"].partition("?")[0]
    assert HTTP.request("GET", plain).status == 403
    assert "X-Amz-Expires=60" in started["put_url"]


def test_the_user_of_the_store_reaches_its_own_bucket_alone(mail: Threads, infra: Stack) -> None:
    documents = processes.load_settings(infra.layout, "documents").s3_bucket
    trespassing = Bucket.of(replace(mail.settings, s3_bucket=documents))
    with pytest.raises(Unavailable):
        trespassing.ensure()
    with pytest.raises(Unavailable):
        trespassing.stored("anything")
    url = trespassing.put_url("anything", 60)
    assert HTTP.request("PUT", url, body=b"x").status == 403


def test_while_the_store_is_away_nothing_is_sent_and_nothing_is_lost(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    started = mail.start(mail.holder, thread_id)
    mail.put(started, b"Bonjour")
    there, away = mail.service.attachments, replace(mail.settings, s3_endpoint="127.0.0.1:9")
    mail.service.attachments = Bucket.of(away)
    refused(Unavailable, lambda: mail.commit(mail.holder, started, b"Bonjour"))
    mail.write(mail.holder, thread_id, "Sans pièce jointe")
    mail.service.attachments = there
    file_id = mail.commit(mail.holder, started, b"Bonjour")["attachment_id"]
    mail.write(mail.holder, thread_id, "Avec", [file_id])
    assert mail.open(doctor, thread_id, file_id) == b"Bonjour"


# --- looked at --------------------------------------------------------------------------------------------------------


def test_nobody_opens_a_file_before_it_was_looked_at_nor_one_that_is_harmful(mail: Threads, clamd: Clamd) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    mail.scan_with(str(clamd.socket))
    clean, bad = mail.attach(mail.holder, thread_id, b"Bonjour"), mail.attach(mail.holder, thread_id, HARMFUL)
    mail.write(mail.holder, thread_id, "Tous deux", [clean, bad])
    for file_id in (clean, bad):
        for who in (doctor, mail.holder):
            refused(AttachmentUnchecked, partial(mail.open, who, thread_id, file_id))
    assert mail.service._check_files(now()) == 2
    assert mail.open(doctor, thread_id, clean) == b"Bonjour"
    refused(AttachmentRejected, lambda: mail.open(doctor, thread_id, bad))
    said = mail.ask("list_thread_messages", doctor, thread_id=thread_id)["messages"][0]
    assert [one["state"] for one in said["attachments"]] == ["available", "rejected"]
    assert bytes(mail.sql("select wrapped_key from thread_attachments where rejected")[0][0]) == b""
    known = mail.attach(mail.holder, thread_id, HARMFUL)
    mail.service._check_files(now())
    refused(AttachmentRejected, lambda: mail.write(mail.holder, thread_id, "Encore", [known]))


def test_one_file_that_cannot_be_looked_at_keeps_no_other_from_it(mail: Threads, clamd: Clamd) -> None:
    thread_id, other = (mail.begin(mail.holder, mail.trusted()) for _ in range(2))
    mail.scan_with(str(clamd.socket))
    damaged, unopened, clean = (mail.start(mail.holder, where) for where in (thread_id, other, thread_id))
    assert HTTP.request("PUT", damaged["put_url"], body=os.urandom(sealing.sealed_size(7))).status == 200
    for started in (unopened, clean):
        mail.put(started, b"Bonjour")
    ids = [mail.commit(mail.holder, each, b"Bonjour")["attachment_id"] for each in (damaged, unopened, clean)]
    mail.sql("update thread_attachments set wrapped_key = 'x' where attachment_id = :id", id=ids[1])
    assert mail.service._check_files(now()) == 2
    refused(AttachmentRejected, lambda: mail.open(mail.holder, thread_id, ids[0]))
    refused(AttachmentUnchecked, lambda: mail.open(mail.holder, other, ids[1]))
    assert mail.open(mail.holder, thread_id, ids[2]) == b"Bonjour"


def test_while_the_scanner_is_away_files_wait_and_are_looked_at_afterwards(mail: Threads, clamd: Clamd) -> None:
    thread_id = mail.begin(mail.holder, mail.trusted())
    mail.scan_with(str(clamd.socket))
    file_id = mail.attach(mail.holder, thread_id)
    clamd.stop()
    assert mail.service._check_files(now()) == 0
    refused(AttachmentUnchecked, lambda: mail.open(mail.holder, thread_id, file_id))
    clamd.start()
    assert mail.service._check_files(now()) == 1
    assert mail.open(mail.holder, thread_id, file_id) == b"Bonjour"


def test_in_production_there_is_no_messaging_without_a_virus_scan() -> None:
    with pytest.raises(ValueError, match="clamd"):
        VirusScan.of(Settings(profile="production"))
    assert VirusScan.of(Settings(profile="local")) is None


# --- swept, destroyed -------------------------------------------------------------------------------------------------


def test_what_nobody_sent_within_a_day_is_swept_and_what_was_sent_is_not(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    sent, loose = mail.attach(mail.holder, thread_id), mail.attach(mail.holder, thread_id)
    never = mail.start(mail.holder, thread_id)["attachment_id"]
    mail.write(mail.holder, thread_id, "x", [sent])
    assert mail.service._sweep_files(now()) == 0
    day_later = now() + timedelta(days=1, minutes=1)
    assert mail.service._sweep_files(day_later) == 2
    assert in_store(mail, sent) and not in_store(mail, loose)
    refused(AttachmentNotFound, lambda: mail.write(mail.holder, thread_id, "y", [loose]))
    assert mail.sql("select 1 from thread_attachments where attachment_id in (:a, :b)", a=loose, b=never) == []
    assert mail.service._sweep_files(day_later) == 0 and mail.open(doctor, thread_id, sent) == b"Bonjour"


def test_a_sweep_that_was_cut_short_goes_on_where_it_was(mail: Threads) -> None:
    thread_id = mail.begin(mail.holder, mail.trusted())
    files = [mail.attach(mail.holder, thread_id) for _ in range(2)]
    there, later = mail.service.attachments, now() + timedelta(days=2)
    mail.service.attachments = Bucket.of(replace(mail.settings, s3_endpoint="127.0.0.1:9"))
    assert mail.service._sweep_files(later) == 0
    mail.service.attachments = there
    refused(AttachmentNotFound, lambda: mail.write(mail.holder, thread_id, "x", files[:1]))
    assert mail.service._sweep_files(later) == 2 and not any(in_store(mail, each) for each in files)


def left(mail: Threads, thread_id: str) -> int:
    tables = ("threads", "thread_people", "thread_messages", "thread_hearings", "thread_attachments")
    return sum(len(mail.sql(f"select 1 from {table} where thread_id = :id", id=thread_id)) for table in tables)


def test_a_deleted_record_takes_its_threads_along_and_no_others(mail: Threads) -> None:
    doctor, colleague = mail.trusted(), mail.professional()
    gone, kept = mail.begin(mail.holder, doctor), mail.begin(doctor, colleague, record_id=None)
    file_id = mail.attach(mail.holder, gone)
    mail.write(mail.holder, gone, "x", [file_id])
    mail.sql("delete from outbox")
    news = RecordStateChanged(mail.record_id, "deleted", "ten_years_closed")
    for _ in range(2):
        mail.hear("on_record_state_changed", "dossier", news, "notifications")
    for who in (mail.holder, doctor):
        refused(ThreadNotFound, partial(mail.texts, who, gone))
    destroyed = [trace for trace in mail.traces() if trace["action"] == "thread.destroyed"]
    assert [(trace["object_id"], trace["record_id"]) for trace in destroyed] == [(gone, mail.record_id)]
    assert mail.texts(doctor, kept) == ["Bonjour"]
    assert in_store(mail, file_id) and mail.service._sweep_files(now()) == 1 and not in_store(mail, file_id)
    assert left(mail, gone) == 0


def test_a_record_whose_end_nobody_told_of_is_found_all_the_same(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    assert mail.service._end_threads(now()) == 0 and left(mail, thread_id)
    with mail.house.sessions["dossier"].transaction() as session:
        session.execute(sa.update(Record).where(Record.record_id == mail.record_id).values(state="deleted"))
    assert mail.service._end_threads(now()) == 1 and left(mail, thread_id) == 0


def test_what_nobody_wrote_in_for_ten_years_is_destroyed_with_its_key(mail: Threads) -> None:
    one, other = mail.professional(), mail.professional()
    old, young = (mail.begin(one, other, record_id=None) for _ in range(2))
    mail.write(one, young, "Encore")
    mail.sql("update threads set last_at = now() - interval '3652 days 12 hours' where thread_id = :id", id=old)
    assert mail.service._end_threads(now() - timedelta(days=5)) == 0
    assert mail.service._end_threads(now() + timedelta(days=5)) == 1
    assert left(mail, old) == 0 and mail.texts(other, young) == ["Bonjour", "Encore"]


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_new_master_key_takes_over_while_everything_goes_on(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    file_id = mail.attach(mail.holder, thread_id)
    mail.write(mail.holder, thread_id, "x", [file_id])
    old = base64.b64decode(json.loads(Path(mail.settings.master_key_file).read_text())["keys"]["1"])
    mail.service.thread_keys = ThreadKeys(KeySet("2", {"1": old, "2": bytes(range(32))}))
    assert mail.texts(doctor, thread_id) == ["Bonjour", "x"]
    younger = mail.begin(mail.holder, doctor)
    assert mail.service._rotate_thread_keys() == 1 and mail.service._rotate_thread_keys() == 0
    mail.service.thread_keys = ThreadKeys(KeySet("2", {"2": bytes(range(32))}))
    assert mail.texts(doctor, thread_id) == ["Bonjour", "x"] and mail.texts(doctor, younger) == ["Bonjour"]
    assert mail.open(doctor, thread_id, file_id) == b"Bonjour"
    mail.service.thread_keys = ThreadKeys(KeySet("1", {"1": old}))
    with pytest.raises(BytesTampered):
        mail.texts(doctor, thread_id)


def test_a_key_file_that_others_may_read_is_none(mail: Threads, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(Path(mail.settings.master_key_file).read_text())
    file.chmod(0o640)
    with pytest.raises(ValueError, match="open to others"):
        ThreadKeys.of(replace(mail.settings, master_key_file=str(file)))
    file.chmod(0o600)
    ThreadKeys.of(replace(mail.settings, master_key_file=str(file)))
    file.write_text("{}")
    with pytest.raises(ValueError, match="is not one"):
        ThreadKeys.of(replace(mail.settings, master_key_file=str(file)))


def test_a_file_in_the_store_is_sealed_and_a_changed_one_does_not_open(mail: Threads) -> None:
    thread_id = mail.begin(mail.holder, mail.trusted())
    started = mail.start(mail.holder, thread_id)
    mail.put(started, b"Rosengarten")
    mail.commit(mail.holder, started, b"Rosengarten")
    lies: Any = b"".join(mail.service.attachments.read(started["attachment_id"], None))
    assert b"Rosengarten" not in lies and len(lies) == sealing.sealed_size(11)
    key = mail.gateway.receive(started["sealed_key"], started["version_id"].encode())
    with pytest.raises(BytesTampered):
        b"".join(sealing.open_sealed([bytes([lies[0] ^ 1]) + lies[1:]], key, started["version_id"], total_segments=1))
