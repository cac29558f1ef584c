"""Processes die, the broker goes away: what was answered is there exactly once, what was not is not half there."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from deploy.local import rabbitmq
from deploy.rabbitmq.topology import VHOST
from deploy.visitors import Stream, UnexpectedAnswer, Visitor, wait_for
from tests.builders import pdf
from tests.system.conftest import Village, every

SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")
SIZE = 600_000
SLOW = 0.05  # seconds between two blocks of a deposit that takes its time


@pytest.fixture
def ward(village: Village) -> Iterator[tuple[Visitor, Visitor]]:
    """A patient and a doctor with a mandate; everything is up again afterwards."""
    patient, doctor = village.patient(), village.professional("doctor a")
    village.mandate(doctor, patient)
    yield patient, doctor
    for process in (*SERVICES, "examiner", "rabbitmq", "weed", "postgres", "gateway"):
        village.platform.start(process)
    village.platform.wait_ready()
    assert village.platform.differences() == [], "every reading that was answered has exactly its one trace"


def slowly(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]
        time.sleep(SLOW)


def try_deposit(doctor: Visitor, patient: Visitor, title: str, body: bytes, slow: bool = False) -> str | None:
    """The document id when the deposit was answered; None when it met a problem or the connection broke."""
    record_id = patient.ids["record_id"]
    try:
        upload = doctor.ask("POST", f"/records/{record_id}/uploads", json={"type": "medical_report", "title": title})
        headers = {"Content-Type": "application/octet-stream", "Prefer": "wait=30"}
        data = Stream(len(body), slowly(body)) if slow else body
        made = doctor.ask("PUT", f"/uploads/{upload['upload_id']}", data=data, headers=headers)
    except (UnexpectedAnswer, requests.RequestException):
        return None
    return str(made["document_id"])


def seen_by_the_patient(doctor: Visitor, patient: Visitor) -> list[dict[str, Any]]:
    """What the patient finds once the close look has been at all that the doctor deposited."""

    def all_checked() -> bool | None:
        return all(item["state"] != "checking" for item in all_documents(doctor, patient)) or None

    wait_for(all_checked, "the close look", patience=120)
    return all_documents(patient, patient)


def all_documents(who: Visitor, patient: Visitor) -> list[dict[str, Any]]:
    return every(who, f"/records/{patient.ids['record_id']}/documents", "documents")


@pytest.mark.parametrize("service", ["dossier", "documents", "directory", "audit"])
def test_a_service_that_is_down_is_a_503_within_the_deadline_and_nothing_is_half_done(
    village: Village, ward: tuple[Visitor, Visitor], service: str
) -> None:
    patient, doctor = ward
    record = f"/records/{patient.ids['record_id']}"
    path = {
        "dossier": record,
        "documents": f"{record}/documents",
        "directory": "/professionals?q=weber",
        "audit": f"{record}/access-history",
    }[service]
    village.platform.stop(service)
    began = time.monotonic()
    answer = doctor.raw("GET", path)
    assert answer.status_code == 503 and time.monotonic() - began < 8
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["type"] == "urn:dsp:problem:unavailable"
    deposited = try_deposit(doctor, patient, "pendant la panne", pdf("Panne"))
    village.platform.start(service)
    village.platform.wait_ready()
    titles = [item["title"] for item in seen_by_the_patient(doctor, patient)]
    assert titles.count("pendant la panne") == (1 if deposited else 0)
    assert doctor.raw("GET", path).status_code == 200


def test_a_service_killed_and_restarted_answers_the_request_that_waited(
    village: Village, ward: tuple[Visitor, Visitor]
) -> None:
    patient, doctor = ward
    village.platform.kill("dossier")
    wait_for(
        lambda: doctor.raw("GET", f"/records/{patient.ids['record_id']}").status_code == 200 or None, "dossier's return"
    )


def deposits_meanwhile(doctor: Visitor, patient: Visitor, tag: str, disturb: Callable[[], None]) -> dict[str, str]:
    """Three people deposit while `disturb` runs; the document ids of the answered deposits by title."""
    answered: dict[str, str] = {}
    stop = threading.Event()

    def deposits(thread: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            title = f"{tag} {thread}.{number}"
            document_id = try_deposit(doctor, patient, title, pdf(title, SIZE), slow=True)
            if document_id is not None:
                answered[title] = document_id

    threads = [threading.Thread(target=deposits, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        disturb()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return answered


def every_answered_deposit_is_there_once(
    village: Village, ward: tuple[Visitor, Visitor], answered: dict[str, str]
) -> None:
    patient, doctor = ward
    assert answered, "no deposit was answered at all"
    there = seen_by_the_patient(doctor, patient)
    titles = [item["title"] for item in there]
    assert len(titles) == len(set(titles)), "a deposit is there twice"
    for title, document_id in answered.items():
        assert titles.count(title) == 1
        content = patient.raw("GET", f"/documents/{document_id}/content")
        assert content.status_code == 200 and content.content == pdf(title, SIZE)
    every_document_has_one_trace_and_one_event(village, patient, {item["document_id"] for item in there})


@pytest.mark.parametrize("victim", [*SERVICES, "gateway"])
def test_every_answered_deposit_is_there_exactly_once_with_its_trace_and_its_event_when_a_process_is_killed(
    village: Village, ward: tuple[Visitor, Visitor], victim: str
) -> None:
    patient, doctor = ward

    def kill_twice() -> None:
        for _ in range(2):
            time.sleep(1.7)
            village.platform.kill(victim)
        time.sleep(1)

    answered = deposits_meanwhile(doctor, patient, victim, kill_twice)
    village.platform.wait_ready()
    every_answered_deposit_is_there_once(village, ward, answered)


@pytest.mark.long
def test_minutes_of_random_kills_lose_no_answered_deposit(village: Village, ward: tuple[Visitor, Visitor]) -> None:
    patient, doctor = ward
    draw = random.Random(2026)

    def kill_at_random() -> None:
        for _ in range(40):
            time.sleep(draw.uniform(0.5, 6))
            village.platform.kill(draw.choice((*SERVICES, "gateway", "rabbitmq", "weed", "postgres")))
        time.sleep(5)

    answered = deposits_meanwhile(doctor, patient, "chaos", kill_at_random)
    village.platform.wait_ready(120)
    doctor.keep_logged_in()
    patient.keep_logged_in()
    every_answered_deposit_is_there_once(village, ward, answered)


def every_document_has_one_trace_and_one_event(village: Village, patient: Visitor, documents: set[str]) -> None:
    def created(entries: list[dict[str, Any]]) -> list[str]:
        return sorted(
            e["object_id"] for e in entries if e["action"] == "document.created" and e["outcome"] == "allowed"
        )

    entries = village.history(patient, lambda found: set(created(found)) >= documents)
    assert created(entries) == sorted(documents)


def test_the_broker_restarted_in_mid_journey_loses_nothing(village: Village, ward: tuple[Visitor, Visitor]) -> None:
    patient, doctor = ward
    before = try_deposit(doctor, patient, "avant", pdf("Avant"))
    assert before is not None
    village.platform.restart("rabbitmq")
    village.platform.wait_ready(90)
    after = wait_for(lambda: try_deposit(doctor, patient, "après", pdf("Après")), "a deposit after the restart")
    documents = seen_by_the_patient(doctor, patient)
    assert {before, after} <= {item["document_id"] for item in documents}
    every_document_has_one_trace_and_one_event(village, patient, {item["document_id"] for item in documents})


def test_without_the_object_store_a_deposit_is_refused_and_reading_lists_goes_on(
    village: Village, ward: tuple[Visitor, Visitor]
) -> None:
    patient, doctor = ward
    kept = try_deposit(doctor, patient, "gardé", pdf("Gardé"))
    village.platform.stop("weed")
    assert try_deposit(doctor, patient, "refusé", pdf("Refusé")) is None
    assert patient.raw("GET", f"/documents/{kept}/content").status_code == 503
    titles = [item["title"] for item in all_documents(patient, patient)]
    assert titles == ["gardé"]
    village.platform.start("weed")
    wait_for(lambda: patient.raw("GET", f"/documents/{kept}/content").status_code == 200 or None, "the store's return")


def test_without_its_database_a_service_refuses_and_comes_back(village: Village, ward: tuple[Visitor, Visitor]) -> None:
    patient, doctor = ward
    village.platform.stop("postgres")
    answer = doctor.raw("GET", f"/records/{patient.ids['record_id']}")
    assert answer.status_code == 503 and answer.json()["type"] == "urn:dsp:problem:unavailable"
    village.platform.start("postgres")
    wait_for(
        lambda: doctor.raw("GET", f"/records/{patient.ids['record_id']}").status_code == 200 or None, "the database"
    )


def test_two_replicas_share_the_work_and_one_may_die(village: Village, ward: tuple[Visitor, Visitor]) -> None:
    patient, doctor = ward
    village.platform.stack.scale("documents", 2)
    # The platform is ready with one of them.
    wait_for(lambda: replicas_at_work(village, "documents") == 2 or None, "the second replica")
    try:
        village.platform.kill("documents")
        for number in range(10):
            assert doctor.raw("GET", f"/records/{patient.ids['record_id']}/documents").status_code == 200, number
    finally:
        village.platform.stack.scale("documents", 1)
        village.platform.wait_ready()


def replicas_at_work(village: Village, service: str) -> int:
    """How many processes take the questions for a service, as the broker sees it."""
    listed = rabbitmq.control(village.platform.stack.layout, "list_queues", "-p", VHOST, "name", "consumers")
    consumers = dict(line.split("\t") for line in listed.splitlines())
    return int(consumers[f"rpc-{service}"])


def test_down_and_up_again_finds_every_record_document_and_trace(
    village: Village, ward: tuple[Visitor, Visitor]
) -> None:
    patient, doctor = ward
    document_id = try_deposit(doctor, patient, "durable", pdf("Durable"))
    entries = village.history(patient, lambda found: any(e["object_id"] == document_id for e in found))
    village.platform.stack.down()
    village.platform.stack.up(with_people=False)
    assert patient.ask("GET", f"/documents/{document_id}/content") == pdf("Durable")
    again = village.history(patient, lambda found: len(found) >= len(entries))
    assert {e["entry_id"] for e in entries} <= {e["entry_id"] for e in again}
