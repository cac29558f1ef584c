"""Whose records are there: told to audit alone, a page at a time, and nobody's whose record is shut or gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from services.bus import Received
from services.db import new_id
from services.directory.contract import PatientsMerged
from services.refusals import NotAllowed
from tests.builders import House, caller, context

AGENT = caller("agent")


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("dossier",))
    yield house
    house.close()


@pytest.fixture
def house(built: House, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("services.dossier.contract.HOLDERS_PAGE", 3)
    with built.sessions["dossier"].transaction() as session:
        session.execute(sa.text("truncate records, patient_merges cascade"))
    return built


def opened(house: House) -> tuple[str, str]:
    """A new patient and their record."""
    patient_id = caller("patient").patient_id or ""
    return patient_id, house.ask("dossier", "open_record", AGENT, patient_id=patient_id)["record_id"]


def pages(house: House) -> list[list[str]]:
    found, after = [], None
    while True:
        page = house.ask("dossier", "holders_of_records", context("audit"), process="audit", after=after)
        found.append(page["patient_ids"])
        after = page["next"]
        if after is None:
            return found


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
def test_every_holder_is_told_once_on_pages_that_end(house: House, count: int) -> None:
    holders = [opened(house)[0] for _ in range(count)]
    found = pages(house)
    assert sorted(each for page in found for each in page) == sorted(holders)
    assert all(len(page) == 3 for page in found[:-1]) and len(found) == max(1, -(-count // 3))


def test_whose_record_is_closed_deleted_or_merged_is_not_among_them(house: House) -> None:
    stays, closed, deleted, merged = (opened(house) for _ in range(4))
    house.ask("dossier", "close_record_by_agency", AGENT, record_id=closed[1], cause="agency_request")
    house.ask("dossier", "oppose_record", AGENT, record_id=deleted[1], received_by="post")
    told = PatientsMerged("0198c0de-0000-7000-8000-000000000001", stays[0], merged[0], "2026-01-01T00:00:00.000000Z")
    _tell(house, told)
    [found] = pages(house)
    assert found == [stays[0]]


@pytest.mark.parametrize("process", ["gateway", "documents", "directory", "notifications", "identity"])
def test_audit_alone_asks(house: House, process: str) -> None:
    with pytest.raises(NotAllowed):
        house.ask("dossier", "holders_of_records", context(process), process=process)


def _tell(house: House, told: PatientsMerged) -> None:
    event = Received(new_id(), "directory", told.type, told.at, None, None, told, context("directory"))
    with house.sessions["dossier"].transaction() as session:
        house.dossier.on_patients_merged(session, event)  # type: ignore[attr-defined]
