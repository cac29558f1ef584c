"""Names are asked of directory once a minute, in one question, and never invented."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from gateway import caller, names
from gateway.clients import ask as ask_over_the_bus
from services.db import new_id
from services.directory.models import Patient
from services.tokens import Verifier
from tests.builders import House, any_matricule, birth_date
from tests.builders import caller as somebody
from tests.gateway.conftest import Signer

HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}


class Directory:
    """The real directory over a database of its own; what it was asked is told by how often names were looked up."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.ask = house.ask
        self.asked: list[Any] = []
        sa.event.listen(house.sessions["directory"].engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "SELECT patients.patient_id, coalesce(" in statement:  # not the comparing of who is registered
            self.asked.append(set(values.values()))

    def patient(self, family: str = "Weber") -> str:
        """The id of a new patient, whose first name is Anne."""
        number = any_matricule()
        sheet = {
            "matricule": number, "birth_name": family, "usual_name": None, "first_names": "Anne", "sex": "F",
            "birth_date": birth_date(number), "language": "fr", "address": HOME,
        }  # fmt: skip
        return str(self.ask("directory", "register_patient", somebody("agent"), **sheet)["patient_id"])

    def marry(self, patient_id: str, name: str) -> None:
        with self._house.sessions["directory"].transaction() as session:
            session.execute(sa.update(Patient).where(Patient.patient_id == patient_id).values(usual_name=name))

    def take_in(self, patient_id: str) -> None:
        """A patient under an id that was unknown before, otherwise like another one."""
        like = self.patient()
        with self._house.sessions["directory"].transaction() as session:
            known = session.get_one(Patient, like)
            sheet = {column.name: getattr(known, column.name) for column in Patient.__table__.columns}
            session.add(Patient(**sheet | {"patient_id": patient_id}))


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, services=("directory",))
    yield made
    made.close()


@pytest.fixture
def directory(house: House, app: Flask, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    """directory, at the end of the questions of a request that is authenticated as any other."""
    house.verifier = Verifier({signer.kid: signer.key.as_dict(private=False)}.get)
    made = Directory(house)
    monkeypatch.setattr(caller, "ask_as", house.ask)
    with app.test_request_context(headers=signer.header()):
        caller.begin()
        caller.authenticate()
        yield made
    sa.event.remove(house.sessions["directory"].engine, "before_cursor_execute", made._note)


def of(book: names.NameBook, *ids: str) -> dict[str, Any]:
    return book.of({"patients": list(ids), "professionals": [], "establishments": []})["patients"]


def test_a_name_is_asked_for_once(directory: Directory) -> None:
    book, anne = names.NameBook(), directory.patient()
    assert of(book, anne) == {anne: "WEBER Anne"}
    directory.marry(anne, "Thill")
    assert of(book, anne) == {anne: "WEBER Anne"}
    assert len(directory.asked) == 1
    assert of(names.NameBook(), anne) == {anne: "THILL Anne"}


def test_only_what_is_missing_is_asked_for(directory: Directory) -> None:
    book, first, second = names.NameBook(), directory.patient(), directory.patient("Thill")
    of(book, first)
    assert of(book, first, second) == {first: "WEBER Anne", second: "THILL Anne"}
    assert directory.asked == [{first}, {second}]


def test_all_that_is_missing_is_one_question(directory: Directory) -> None:
    everybody = [directory.patient() for _ in range(3)]
    assert set(of(names.NameBook(), *everybody)) == set(everybody)
    assert directory.asked == [set(everybody)]


def test_nobody_is_remembered_as_unknown(directory: Directory) -> None:
    book, nobody = names.NameBook(), new_id()
    assert of(book, nobody) == of(book, nobody) == {}
    assert len(directory.asked) == 2
    directory.take_in(nobody)
    assert of(book, nobody) == {nobody: "WEBER Anne"}


def test_without_directory_there_is_no_name_and_it_is_asked_again(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, anne = names.NameBook(), directory.patient()
    with monkeypatch.context() as alone:
        alone.setattr(caller, "ask_as", ask_over_the_bus)  # where nobody answers this gateway
        assert of(book, anne) == {}
    assert of(book, anne) == {anne: "WEBER Anne"}


def test_after_its_minute_a_name_is_asked_for_again(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "KEPT", 0.2)
    book, anne = names.NameBook(), directory.patient()
    of(book, anne)
    directory.marry(anne, "Thill")
    time.sleep(0.3)
    assert of(book, anne) == {anne: "THILL Anne"}
    assert len(directory.asked) == 2


def test_the_book_does_not_grow_without_end(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "ROOM", 1)
    book, first, second = names.NameBook(), directory.patient(), directory.patient("Thill")
    of(book, first)
    of(book, second)
    assert len(book._names) == 1
