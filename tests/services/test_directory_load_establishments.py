"""Establishments in files: a load changes of them what an agent may change by hand, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.population.care import Establishment
from services.directory.contract import EstablishmentClosed
from tests.builders import House
from tests.services.care_house import Care
from tests.services.load_files import Loader, Row, professionals, write_csv, write_ndjson

_, PLACES = professionals(120)
CLOSED, OPEN, OTHER = replace(PLACES[0], kind="practice"), replace(PLACES[1], kind="hospital"), PLACES[2]
FORMS = pytest.mark.parametrize("form", ["csv", "ndjson"])


@pytest.fixture(scope="module")
def url(database: Callable[[str], str]) -> str:
    return database("directory")


@pytest.fixture(scope="module")
def care(url: str) -> Iterator[Care]:
    house = House(lambda _service: url, services=("directory",))
    yield Care(house)
    house.close()


@pytest.fixture
def loader(url: str, care: Care, tmp_path: Path) -> Iterator[Loader]:
    """With three establishments, the first of them closed."""
    made = Loader(url, tmp_path)
    made.load("establishments", write_csv(tmp_path / "first.csv", [CLOSED, OPEN, OTHER]))
    care.ask("close_establishment", establishment_id=CLOSED.establishment_id)
    yield made
    made.empty()


def file_of(folder: Path, form: str, places: list[Establishment]) -> Path:
    if form == "csv":
        return write_csv(folder / "later.csv", places)
    return write_ndjson(folder / "later", places) / "Organization.ndjson"


def rows(loader: Loader) -> list[Row]:
    return loader.rows("select * from establishments order by establishment_id")


def first_line(form: str) -> int:
    return 2 if form == "csv" else 1


@FORMS
@pytest.mark.parametrize(
    "otherwise", [{"name": "Autrement"}, {"kind": "pharmacy"}, {"name": "Autrement", "kind": "pharmacy"},
                  {"locality": "Vianden"}],
)  # fmt: skip
def test_a_closed_establishment_is_refused_by_a_load_as_by_hand(
    loader: Loader, care: Care, tmp_path: Path, form: str, otherwise: dict[str, Any]
) -> None:
    with pytest.raises(EstablishmentClosed):
        care.ask("change_establishment", establishment_id=CLOSED.establishment_id, changes={"name": "Autrement"})
    before = rows(loader)
    new = PLACES[3]
    file = file_of(tmp_path, form, [replace(CLOSED, **otherwise), OPEN, replace(OTHER, name="Nouveau nom"), new])
    for counts in ({"added": 1, "changed": 1, "unchanged": 1}, {"added": 0, "changed": 0, "unchanged": 3}):
        loader.load("establishments", file, "--restart")
        assert loader.report(file) == [(first_line(form), "establishment_id", "establishment_closed")]
        assert loader.counts() == {**counts, "refused": 1}
    after = {row[0]: row for row in rows(loader)}
    assert [after[row[0]] for row in before if row[0] != OTHER.establishment_id] == [
        row for row in before if row[0] != OTHER.establishment_id
    ]
    assert after[OTHER.establishment_id][1] == "Nouveau nom" and len(after) == 4


@FORMS
def test_a_closed_establishment_that_the_file_tells_as_it_is_is_no_change(
    loader: Loader, tmp_path: Path, form: str
) -> None:
    # Written before the words of kinds were what they are now: of a closed one not even that is brought up to date.
    loader.rows("update establishments set found_by = ' older' where closed_at is not null")
    before = rows(loader)
    file = file_of(tmp_path, form, [CLOSED, OPEN, OTHER])
    loader.load("establishments", file, "--restart")
    assert loader.counts() == {"added": 0, "changed": 0, "unchanged": 3, "refused": 0}
    assert loader.report(file) == [] and rows(loader) == before


def test_a_closed_establishment_of_whose_address_the_file_says_nothing_is_no_change(
    loader: Loader, tmp_path: Path
) -> None:
    file = tmp_path / "bare.csv"
    file.write_text(f"establishment_id,name,kind\n{CLOSED.establishment_id},\"{CLOSED.name}\",{CLOSED.kind}\n", "utf-8")
    loader.load("establishments", file)
    assert loader.counts() == {"added": 0, "changed": 0, "unchanged": 1, "refused": 0}


@FORMS
def test_another_kind_of_an_open_establishment_is_refused_with_all_that_its_line_says(
    loader: Loader, tmp_path: Path, form: str
) -> None:
    before = rows(loader)
    file = file_of(tmp_path, form, [CLOSED, replace(OPEN, kind="laboratory", name="Autrement"), OTHER])
    for _ in range(2):
        loader.load("establishments", file, "--restart")
        assert loader.report(file) == [(first_line(form) + 1, "kind", "kind_stays")]
        assert loader.counts() == {"added": 0, "changed": 0, "unchanged": 2, "refused": 1}
    assert rows(loader) == before


@FORMS
def test_another_name_and_address_of_an_open_establishment_are_taken_once(
    loader: Loader, tmp_path: Path, form: str
) -> None:
    file = file_of(tmp_path, form, [replace(OPEN, name="Nouveau nom", locality="Vianden")])
    for counts in ({"changed": 1, "unchanged": 0}, {"changed": 0, "unchanged": 1}):
        loader.load("establishments", file, "--restart")
        assert loader.counts() == {"added": 0, "refused": 0, **counts}
    now = "select name, kind, locality from establishments where establishment_id = %s"
    assert loader.rows(now, OPEN.establishment_id) == [("Nouveau nom", "hospital", "Vianden")]


@pytest.mark.parametrize("language", ["fr", "lb", "pt", "en", "de"])
def test_the_report_has_words_for_it_in_every_language(loader: Loader, tmp_path: Path, language: str) -> None:
    file = write_csv(tmp_path / "later.csv", [replace(CLOSED, name="Autrement"), replace(OPEN, kind="laboratory")])
    loader.load("establishments", file, "--language", language, status=1)
    assert [reason for *_, reason in loader.report(file)] == ["establishment_closed", "kind_stays"]
