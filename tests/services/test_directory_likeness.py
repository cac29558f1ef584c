"""Who shares a name and who is one person, asked by audit alone: no name leaves the directory for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.refusals import InvalidInput, NotAllowed
from tests.builders import any_matricule, context
from tests.services.oversight_house import OversightHouse
from tests.services.test_audit import AGENT


@pytest.fixture(scope="module")
def house(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OversightHouse]:
    made = OversightHouse(database, Path(tmp_path_factory.mktemp("witness")))
    yield made
    made.close()


def ask(house: OversightHouse, *pairs: tuple[str | None, str]) -> dict[str, list[list[str]]]:
    answer: dict[str, list[list[str]]] = house.ask("directory", "alike", context(), process="audit", pairs=list(pairs))
    return answer


def test_many_pairs_are_compared_in_one_question_and_no_name_is_in_the_answer(house: OversightHouse) -> None:
    own = any_matricule()
    weber, lopes = house.doctor("Weber", own).professional_id, house.doctor("Lopes").professional_id
    self_ = house.patient("Weber", own)
    by_birth, in_use, other = house.patient("Weber", usual_name="Kox"), house.patient("Kox", usual_name="Weber-Kox"), (
        house.patient("Kremer")
    )  # fmt: skip
    patients = [self_, by_birth, in_use, other]
    answer = ask(house, *((who, whom) for who in (weber, lopes) for whom in patients))
    assert {whom for _, whom in answer["same_surname"]} == {self_, by_birth, in_use}
    assert {who for who, _ in answer["same_surname"]} == {weber}
    assert answer["same_person"] == [[weber, self_]]
    assert "eber" not in str(answer)


def test_who_was_merged_is_the_survivor_by_name_and_each_sheet_of_theirs_by_matricule(house: OversightHouse) -> None:
    own = any_matricule()
    doctor = house.doctor("Faber", own).professional_id
    former, survivor = house.patient("Faber", own), house.patient("Majerus")
    merged = {"survivor_id": survivor, "merged_id": former, "reason": "duplicate_registration"}
    house.ask("directory", "merge_patients", AGENT, **merged)
    answer = ask(house, (doctor, former), (doctor, survivor))
    assert answer["same_surname"] == []
    assert sorted(answer["same_person"]) == sorted([[doctor, former], [doctor, survivor]])


def test_nobody_is_like_nobody(house: OversightHouse) -> None:
    doctor, patient = house.doctor("Reuter").professional_id, house.patient("Reuter")
    assert ask(house, (doctor, new_id()), (new_id(), patient), (None, patient)) == {
        "same_surname": [], "same_person": []
    }  # fmt: skip
    assert ask(house) == {"same_surname": [], "same_person": []}
    assert ask(house, (doctor, patient))["same_surname"] == [[doctor, patient]]


def test_it_costs_the_same_few_statements_however_many_pairs(house: OversightHouse) -> None:
    doctor = house.doctor("Wagner").professional_id
    patients = [house.patient("Wagner") for _ in range(5)]
    counts = []
    for some in (patients[:1], patients):
        said: list[str] = []
        engine = house.sessions["directory"].engine

        def note(_c: object, _cursor: object, statement: str, *_: object, said: list[str] = said) -> None:
            said.append(statement)

        sa.event.listen(engine, "after_cursor_execute", note)
        ask(house, *((doctor, each) for each in some))
        sa.event.remove(engine, "after_cursor_execute", note)
        counts.append(len(said))
    assert counts[0] == counts[1] <= 4


def test_only_audit_asks_and_no_more_than_a_thousand_pairs(house: OversightHouse) -> None:
    for process in ("gateway", "dossier", "notifications"):
        with pytest.raises(NotAllowed):
            house.ask("directory", "alike", context(), process=process, pairs=[])
        with pytest.raises(NotAllowed):
            house.ask("dossier", "holders_of", context(), process=process, record_ids=[])
    with pytest.raises(InvalidInput):
        ask(house, *((new_id(), new_id()) for _ in range(1001)))


def test_whose_records_are_is_told_in_one_call_and_nothing_of_unknown_ones(house: OversightHouse) -> None:
    patients = [house.patient("Thill"), house.patient("Thill")]
    records = [house.record(each) for each in patients]
    asked = [*records, new_id(), "no id", None]
    answer = house.ask("dossier", "holders_of", context(), process="audit", record_ids=asked)
    assert answer == {"holders": dict(zip(records, patients, strict=True))}
