"""The queue of letters over a real database, with the real press: what waits, what is printed when, who sees it.

What stands on a letter, and that its codes are good, is in test_notifications.py.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from deploy.local import processes
from deploy.local.stack import Stack
from services.bus import Received
from services.db import new_id, now, rfc3339
from services.dossier.contract import RecordOpened
from services.identity.contract import AccountInvited
from services.notifications import models, rules, store_letters
from services.notifications.desk import Outside
from services.notifications.models import Letter
from services.notifications.ports import press
from services.refusals import InvalidInput, NotAllowed
from services.settings import Settings
from tests.builders import House, any_matricule, birth_date, caller, context
from tests.conftest import Before
from tests.services.identity_house import identity_house

AGENT = caller("agent")
HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}


class Office:
    """Notifications beside the services it asks, and the folder of its letters."""

    def __init__(self, house: House, settings: Settings) -> None:
        self.house, self.settings = house, settings
        self.folder = Path(settings.letters_folder)
        house.notifications.outside = Outside.of(settings)

    def patient(self) -> tuple[str, str]:
        """(record id, patient id) of somebody whose letter nobody was told of yet."""
        number = any_matricule()
        patient_id = self.house.ask(
            "directory", "register_patient", AGENT, matricule=number, birth_name="Weber", first_names="Zoé", sex="F",
            birth_date=birth_date(number), language="fr", address=HOME,
        )["patient_id"]  # fmt: skip
        return self.house.ask("dossier", "open_record", AGENT, patient_id=patient_id)["record_id"], patient_id

    def hear(self, source: str, data: Any, event_id: str | None = None, requested: timedelta | None = None) -> str:
        """An event reaches its handler; the id of its letter."""
        event_id = event_id or new_id()
        event = Received(event_id, source, data.type, rfc3339(now()), None, None, data, context(source))
        with self.house.sessions["notifications"].transaction() as session:
            getattr(self.house.notifications, "on_" + data.type.removesuffix(".v1"))(session, [event])
        return rules.letter_id_for(event_id, getattr(data, "patient_id", None) or data.subject_id)

    def open(self, days_ago: float = 0) -> str:
        """The letter of a record that was asked for so long ago."""
        return self.hear("dossier", RecordOpened(*self.patient(), rfc3339(now() - timedelta(days=days_ago))))

    def change_address(self, patient_id: str, line: str) -> None:
        changes = {"address": {**HOME, "line": line}}
        self.house.ask("directory", "change_sheet", AGENT, patient_id=patient_id, changes=changes)

    def print(self, most: int = 100) -> bool:
        return bool(self.house.notifications._print_waiting(most))

    def files(self) -> set[str]:
        return {file.stem for file in self.folder.glob("*.pdf")} if self.folder.exists() else set()

    def letters(self) -> dict[str, Letter]:
        with self.house.sessions["notifications"].transaction() as session:
            return {letter.letter_id: letter for letter in session.scalars(sa.select(Letter))}

    def listed(self, **asked: Any) -> Any:
        return self.house.ask("notifications", "list_letters", AGENT, **asked)

    def told(self, service: str, action: str) -> list[dict[str, Any]]:
        traces = [event["data"] for event in self.house.events(service) if event["type"] == "access_traced.v1"]
        return [trace for trace in traces if trace["action"] == action]


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = identity_house(database, "dossier", "notifications")
    yield made
    made.close()


@pytest.fixture
def office(house: House, infra: Stack, tmp_path: Path) -> Office:
    for name, sessions in house.sessions.items():
        ours = models.metadata.tables if name == "notifications" else ()
        with sessions.transaction() as session:
            session.execute(sa.text(f"truncate {', '.join(['outbox', *ours])} cascade"))
    settings = processes.load_settings(infra.layout, "notifications")
    return Office(house, replace(settings, letters_folder=str(tmp_path / "letters")))


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_a_letter_waits_from_its_event_on_and_is_due_within_seven_days_of_the_request(office: Office) -> None:
    asked = now() - timedelta(days=3)
    letter_id = office.hear("dossier", RecordOpened(*office.patient(), rfc3339(asked)))
    letter = office.letters()[letter_id]
    assert (letter.state, letter.printed_at, letter.due_by) == ("waiting", None, asked + timedelta(days=7))
    assert office.files() == set()
    assert office.print() and office.files() == {letter_id}
    letter = office.letters()[letter_id]
    assert letter.state == "printed" and letter.printed_at is not None and letter.language == "fr"


def test_a_letter_nobody_asked_for_in_advance_is_due_within_seven_days_of_its_event(office: Office) -> None:
    record_id, patient_id = office.patient()
    opened = office.hear("dossier", RecordOpened(record_id, patient_id))
    lost = office.hear("identity", AccountInvited(new_id(), "patient", patient_id))
    for letter_id in (opened, lost):
        assert timedelta(days=6, hours=23) < office.letters()[letter_id].due_by - now() <= timedelta(days=7)


def test_an_event_that_comes_again_leaves_the_letter_as_it_is(office: Office) -> None:
    opened, event_id = RecordOpened(*office.patient()), new_id()
    letter_id = office.hear("dossier", opened, event_id)
    office.hear("dossier", opened, event_id)
    assert office.print() and list(office.letters()) == [letter_id]
    office.hear("dossier", opened, event_id)
    assert office.letters()[letter_id].state == "printed"


# --- printing ---------------------------------------------------------------------------------------------------------


def test_a_letter_goes_to_who_represents_the_holder_when_it_is_printed(office: Office) -> None:
    record_id, child = office.patient()
    mother, father, away = (office.patient()[1] for _ in range(3))
    office.change_address(away, "9, Rue Loin")

    def represented_by(person: str) -> str:
        recorded = office.house.ask(
            "dossier", "record_representative", AGENT, record_id=record_id, holder_id=child, patient_id=person,
            kind="parent", proof="x", majority_at=rfc3339(now() + timedelta(days=900)),
        )  # fmt: skip
        return str(recorded["representative_id"])

    def printed(requested: Any = RecordOpened(record_id, child)) -> str:
        letter_id = office.hear("dossier", requested)
        assert office.print()
        page = PdfReader(office.folder / f"{letter_id}.pdf").pages[0]
        return str(page.extract_text())

    assert "Représentant légal" not in printed() and printed().count("Zoé WEBER") == 1
    first = represented_by(mother)
    page = printed()
    assert "Représentant légal de Zoé WEBER" in page and page.count("Zoé WEBER") == 2
    represented_by(father)
    second = represented_by(away)
    page = printed()
    assert page.count("Zoé WEBER") == 3 and "Rue Loin" not in page  # both at one address, the third elsewhere
    for ended in (first, second):
        office.house.ask("dossier", "end_representative", AGENT, record_id=record_id, representative_id=ended)
    assert printed().count("Zoé WEBER") == 2


def test_the_letter_due_first_is_printed_first_whenever_it_came(office: Office) -> None:
    late, young, middle = office.open(days_ago=5), office.open(), office.open(days_ago=2)
    printed = []
    for _ in range(3):
        office.print(1)
        [new] = office.files() - set(printed)
        printed.append(new)
    assert printed == [late, middle, young]


def test_a_letter_that_another_printer_holds_is_left_to_it_and_holds_up_no_other(office: Office) -> None:
    held, free = office.open(days_ago=5), office.open()
    with office.house.sessions["notifications"].transaction() as session:
        claimed = store_letters.claim_letter(session, now())
        assert claimed is not None and claimed.letter_id == held
        assert office.print() and office.files() == {free}
    assert office.print() and office.files() == {held, free}
    assert len(office.told("dossier", "code.issued")) == len(office.told("identity", "code.issued")) == 2


def test_a_press_that_dies_is_replaced_and_the_letter_is_printed_later(office: Office) -> None:
    first = office.open(days_ago=2)
    office.print()
    process = press._machine()._process
    assert process is not None
    process.kill()
    process.wait()
    second = office.open()
    assert office.print() is False and office.letters()[second].attempts == 1
    _try_now(office)
    assert office.print() and office.files() == {first, second}


def test_a_folder_that_cannot_be_written_delays_and_loses_nothing(office: Office, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    office.house.notifications.outside = Outside.of(replace(office.settings, letters_folder=str(blocked)))
    letter_id = office.open()
    assert office.print() is False
    letter = office.letters()[letter_id]
    assert (letter.state, letter.attempts) == ("waiting", 1) and letter.retry_at is not None
    office.house.notifications.outside = Outside.of(office.settings)
    _try_now(office)
    assert office.print() and office.files() == {letter_id}


def _try_now(office: Office) -> None:
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(sa.update(Letter).values(retry_at=None))


def test_the_process_that_answers_lays_out_no_page() -> None:
    asked = "import sys, services.notifications.service; print('fpdf' in sys.modules)"
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


# --- who sees it ------------------------------------------------------------------------------------------------------


def test_agents_see_what_waits_by_its_time_and_what_is_late_and_of_nobody_who(office: Office) -> None:
    late, young, middle = office.open(days_ago=8), office.open(), office.open(days_ago=2)
    page = office.listed(limit=2)
    rest = office.listed(limit=2, cursor=page["next_cursor"])
    listed = page["letters"] + rest["letters"]
    assert [letter["letter_id"] for letter in listed] == [late, middle, young] and rest["next_cursor"] is None
    assert [letter["overdue"] for letter in listed] == [True, False, False]
    assert set(listed[0]) == {"letter_id", "occasion", "state", "due_by", "overdue", "printed_at"}
    assert "Weber" not in json.dumps(listed)
    assert [trace["count"] for trace in office.told("notifications", "letter.searched")] == [2, 1]


def test_printed_letters_are_listed_newest_first_by_pages(office: Office) -> None:
    printed = []
    for _ in range(3):
        printed.append(office.open())
        office.print()
    assert office.listed()["letters"] == []
    page = office.listed(state="printed", limit=2)
    rest = office.listed(state="printed", limit=2, cursor=page["next_cursor"])
    assert [letter["letter_id"] for letter in page["letters"] + rest["letters"]] == printed[::-1]
    assert {letter["overdue"] for letter in page["letters"]} == {False}
    assert datetime.fromisoformat(page["letters"][0]["printed_at"]) <= now()


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
def test_nobody_else_sees_letters_and_the_try_is_traced(office: Office, capacity: str) -> None:
    office.open()
    with pytest.raises(NotAllowed):
        office.house.ask("notifications", "list_letters", caller(capacity))
    [trace] = office.told("notifications", "letter.searched")
    assert (trace["outcome"], trace["reason"]) == ("refused", "not_allowed")


@pytest.mark.parametrize(
    ("asked", "pointer"), [({"state": "lost"}, "/state"), ({"limit": 0}, "/limit"), ({"cursor": "x"}, "/cursor")]
)
def test_a_wish_for_an_impossible_page_is_refused_where_it_stands(
    office: Office, asked: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        office.listed(**asked)
    assert [error["pointer"] for error in refused.value.detail["errors"]] == [pointer]


def test_how_many_letters_are_late_is_told_as_a_number_alone(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.open()
    office.house.notifications.tell_overdue()
    assert [record for record in caplog.records if record.message == "letters overdue"] == []
    office.open(days_ago=8), office.open(days_ago=9)
    office.house.notifications.tell_overdue()
    [line] = [record for record in caplog.records if record.message == "letters overdue"]
    assert (line.levelno, line.__dict__["count"]) == (logging.WARNING, 2)


# --- an upgrade -------------------------------------------------------------------------------------------------------


def test_letters_that_were_printed_before_there_was_a_queue_stay_printed(
    database_before: Callable[[str, str], Before],
) -> None:
    before = database_before("notifications", "0002")
    before.run(*(
        "insert into letters (letter_id, event_id, occasion, recipient_kind, recipient_id, language, printed_at)"
        f" values ('{new_id()}', '{new_id()}', '{occasion}', 'patient', 'p', 'fr', '2026-11-02T10:00:00Z')"
        for occasion in ("record_opened", "letter_recovery")
    ))  # fmt: skip
    before.upgrade()
    with before.engine.connect() as connection:
        rows = connection.execute(sa.text("select state, purpose, due_by = printed_at, attempts from letters")).all()
    assert sorted(map(tuple, rows)) == [("printed", "activation", True, 0), ("printed", "recovery", True, 0)]
