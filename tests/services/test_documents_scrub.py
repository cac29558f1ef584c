"""The scrub: what is missing or changed in the store is found, what is nobody's goes; agents see it by ids alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now
from services.documents import scrubber as scrubbing
from services.documents.ports.blobs import Blobs
from services.documents.scrubber import NOBODYS, Scrubber
from services.refusals import InvalidInput, NotAllowed, Unavailable
from services.sealing import BytesTampered
from services.settings import Settings
from tests.builders import PLAIN_RUNS, House, caller, pdf
from tests.services.ward import Ward

NEVER = timedelta(days=31)  # by then everything is due again


@pytest.fixture(scope="module")
def alone(database: Callable[[str], str]) -> Iterator[House]:
    """A house whose documents no other test has."""
    made = House(database, ("dossier", "documents"))
    yield made
    made.close()


@pytest.fixture
def ward(alone: House, bucket: Settings) -> Ward:
    """A ward with a database and a bucket of its own: the scrub reads all there is."""
    with alone.sessions["documents"].transaction() as session:
        for table in ("scrubs", "condemned", "renditions"):
            session.connection().exec_driver_sql(f"delete from {table}")
        session.connection().exec_driver_sql("update versions set wrapped_key = ''")
    settings = replace(bucket, s3_bucket=f"scrub-{new_id()}")
    Blobs.of(settings).ensure()
    made = Ward(alone, settings)
    made.sql("delete from outbox")
    return made


def scrubber(ward: Ward, rate: int = 1 << 30) -> Scrubber:
    documents = ward.house.documents
    return Scrubber(ward.house.sessions["documents"], documents.blobs, documents.keys, rate=rate, days=30)


def content_of(ward: Ward, document_id: str) -> str:
    rows = ward.sql("select cast(content_id as text) from versions where document_id = :id", id=document_id)
    return str(rows[0][0])


def findings(ward: Ward) -> dict[str, str]:
    told = ward.ask("list_scrubs", caller("agent"))
    return {each["object_id"]: each["finding"] for each in told["findings"]}


def replace_object(ward: Ward, name: str, data: bytes) -> None:
    """As a store's administrator may: the old bytes gone, others in their place."""
    blobs = ward.house.documents.blobs
    blobs.remove(name)
    version = blobs.put(name, data)
    ward.sql("update versions set store_version = :v where content_id = :id", v=version, id=name)
    ward.sql("update renditions set store_version = :v where rendition_id = :id", v=version, id=name)


def raw(ward: Ward, name: str) -> bytes:
    return b"".join(ward.house.documents.blobs.read(name, None))


def test_a_whole_store_has_no_findings_and_every_object_was_read(ward: Ward) -> None:
    ward.deposit(ward.present(), pdf(size=200_000))
    scrubber(ward).round(now())
    told = ward.ask("list_scrubs", caller("agent"))
    assert told["findings"] == [] and told["objects"] == told["scrubbed"] >= 2 and told["since"]


@pytest.mark.parametrize("how", ["flipped", "cut", "longer", "foreign", "empty"])
def test_changed_bytes_are_found(ward: Ward, how: str, caplog: pytest.LogCaptureFixture) -> None:
    doctor = ward.present()
    whole, broken = ward.deposit(doctor), ward.deposit(doctor, pdf("zwei", 200_000))
    name = content_of(ward, broken)
    data = bytearray(raw(ward, name))
    if how == "flipped":
        data[70_000] ^= 1
    elif how == "cut":
        del data[-20:]
    elif how == "longer":
        data += b"x"
    elif how == "foreign":
        data = bytearray(raw(ward, content_of(ward, whole)))
    else:
        data = bytearray()
    replace_object(ward, name, bytes(data))
    with caplog.at_level(logging.ERROR):
        scrubber(ward).round(now())
    assert findings(ward) == {name: "changed"}
    told = [vars(line) for line in caplog.records if line.levelno == logging.ERROR]
    assert [(line["object_id"], line["code"]) for line in told] == [(name, "changed")]


def test_what_is_missing_is_found_and_forgotten_when_it_is_back(ward: Ward) -> None:
    name = content_of(ward, ward.deposit(ward.present()))
    kept = raw(ward, name)
    ward.house.documents.blobs.remove(name)
    scrubber(ward).round(now())
    assert findings(ward) == {name: "missing"}
    replace_object(ward, name, kept)
    scrubber(ward).round(now() + NEVER)
    assert findings(ward) == {}


def test_what_was_made_of_a_file_is_read_too(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    [row, *_] = ward.sql("select cast(rendition_id as text) from renditions where stored_at is not null")
    replace_object(ward, row[0], b"x" * 400)
    scrubber(ward).round(now())
    [found] = ward.ask("list_scrubs", caller("agent"))["findings"]
    assert (found["object_id"], found["kind"], found["document_id"]) == (row[0], "rendition", document_id)


def test_swapped_objects_are_both_found(ward: Ward) -> None:
    doctor = ward.present()
    one, two = (content_of(ward, ward.deposit(doctor, pdf(text))) for text in ("eins", "zwei"))
    first, second = raw(ward, one), raw(ward, two)
    replace_object(ward, one, second)
    replace_object(ward, two, first)
    scrubber(ward).round(now())
    assert findings(ward) == {one: "changed", two: "changed"}


def test_a_right_file_under_a_wrong_digest_is_a_finding(ward: Ward) -> None:
    name = content_of(ward, ward.deposit(ward.present()))
    ward.sql("update versions set sha256 = :zeros where content_id = :id", zeros=bytes(32), id=name)
    scrubber(ward).round(now())
    assert findings(ward) == {name: "changed"}


def test_what_was_read_lately_is_not_read_again(ward: Ward) -> None:
    name = content_of(ward, ward.deposit(ward.present()))
    scrubber(ward).round(now())
    ward.house.documents.blobs.remove(name)
    scrubber(ward).round(now() + timedelta(days=29))
    assert findings(ward) == {}
    scrubber(ward).round(now() + NEVER)
    assert findings(ward) == {name: "missing"}


def test_a_step_reads_no_more_than_the_rate_and_goes_on_where_it_was(ward: Ward) -> None:
    name = content_of(ward, ward.deposit(ward.present(), pdf("groß", 500_000)))
    slow = scrubber(ward, rate=100_000)
    steps = 0
    while not ward.sql("select 1 from scrubs where object_id = :id", id=name):
        assert 0 <= slow.step(now()) <= 1
        steps += 1
    assert steps >= 5 and findings(ward) == {}


def test_while_the_store_does_not_answer_nothing_is_called_damaged(ward: Ward) -> None:
    ward.deposit(ward.present())
    nowhere = replace(ward.settings, s3_endpoint="127.0.0.1:9")
    lost = Scrubber(
        ward.house.sessions["documents"], Blobs.of(nowhere), ward.house.documents.keys, rate=1 << 30, days=30
    )
    with pytest.raises(Unavailable):
        lost.round(now())
    lost.step(now())
    assert findings(ward) == {} and ward.sql("select 1 from scrubs") == []


def test_a_document_that_ended_is_no_finding(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    name = content_of(ward, document_id)
    ward.house.documents.blobs.remove(name)
    scrubber(ward).round(now())
    assert findings(ward) == {name: "missing"}
    said = {"document_id": document_id, "cause": "court_order", "reason": "Jugement"}
    asked = ward.ask("ask_removal", caller("agent"), **said)
    ward.ask("approve_removal", caller("agent"), removal_id=asked["removal_id"])
    scrubber(ward).round(now() + NEVER)
    assert findings(ward) == {}


# --- what nobody speaks of ------------------------------------------------------------------------------------------


def test_objects_without_a_row_go_after_a_day_and_no_others(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubbing, "LISTED_AT_ONCE", 2)
    doctor, blobs = ward.present(), ward.house.documents.blobs
    data = pdf("bleibt")
    document_id = ward.deposit(doctor, data)
    started = ward.prepare(doctor)
    ward.put(started, pdf("unterwegs"))
    orphans = [new_id(), new_id(), "somebody's file.txt"]
    for name in orphans:
        blobs.put(name, b"x")
    scrubber(ward).round(now())
    assert all(blobs.stored(name) for name in orphans), "too young"
    scrubber(ward).round(now() + NOBODYS + timedelta(minutes=1))
    assert not any(blobs.stored(name) for name in orphans)
    assert blobs.stored(started["version_id"]) and ward.read(ward.holder, document_id) == data


# --- who may look ---------------------------------------------------------------------------------------------------


def test_nobody_but_agents_sees_findings_and_they_see_ids_alone(ward: Ward) -> None:
    doctor = ward.present()
    names = [content_of(ward, ward.deposit(doctor, title="Sehr privat")) for _ in range(3)]
    for name in names:
        ward.house.documents.blobs.remove(name)
    scrubber(ward).round(now())
    for who in (ward.holder, doctor):
        with pytest.raises(NotAllowed):
            ward.ask("list_scrubs", who)
    with pytest.raises(InvalidInput):
        ward.ask("list_scrubs", caller("agent"), limit=0)
    seen: list[str] = []
    cursor: Any = None
    while True:
        page = ward.ask("list_scrubs", caller("agent"), limit=2, cursor=cursor)
        assert "privat" not in str(page)
        seen += [each["object_id"] for each in page["findings"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(names, reverse=True)


def test_a_store_administrator_reads_nothing_and_swapped_objects_do_not_open(ward: Ward) -> None:
    doctor, words = ward.present(), "Geheimnisvoller Befund"
    one, two = (ward.deposit(doctor, pdf(words + text, 100_000), title=words) for text in ("1", "2"))
    blobs = ward.house.documents.blobs
    listed = blobs.listed(None, 1000)
    assert len(listed) >= 4
    for each in listed:
        sealed = raw(ward, each.name)
        for run in (words.encode(), words.encode("utf-16-le"), *PLAIN_RUNS):
            assert run not in sealed and run not in each.name.encode()
    names = [content_of(ward, document_id) for document_id in (one, two)]
    first, second = (raw(ward, name) for name in names)
    replace_object(ward, names[0], second)
    replace_object(ward, names[1], first)
    for document_id in (one, two):
        with pytest.raises(BytesTampered):
            ward.read(ward.holder, document_id)
