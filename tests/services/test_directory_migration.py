"""From the first release's schema, with data, to today's: nobody is lost, everybody is found as if written today."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.db import migrate, new_id
from services.directory import rules
from services.directory.rules_blocking import stored_keys
from tests.builders import newest_revision
from tests.conftest import Before

FIRST = "0001"
MANY = 2_100  # more than the migration takes at once
BEGUN, CHANGED = "2026-10-01T08:00:00Z", "2026-11-01T08:00:00Z"
LICENCES = {"valid": BEGUN, "suspended": CHANGED, "withdrawn": CHANGED}


KEPT = {
    "patients": "patient_id, birth_name, usual_name, first_names, sex, birth_date, identity_check_due, language,"
    " address_line, postal_code, locality, country, registered_at, registered_by, registered_with",
    "establishments": "establishment_id, name, kind, registered_at, registered_by, registered_with",
    "professionals": "professional_id, family_name, first_name, profession, specialities, licence, language, version,"
    " registered_at, registered_by, registered_with, updated_at",
    "workplaces": "professional_id, establishment_id, since, until",
    "matricules": "matricule_id, matricule, patient_id, professional_id, since, until",
}


class FirstRelease:
    """A database of directory as the first release left it, brought up to today."""

    def __init__(self, database: Before) -> None:
        self.url, self.engine = database.url, database.engine
        self.establishment, self.professionals = new_id(), {licence: new_id() for licence in LICENCES}
        self.before: dict[str, list[Any]] = {}
        self.married, self.unknown_day, self.renumbered = new_id(), new_id(), new_id()

    def run(self, statement: str, **given: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), given)

    def all(self, query: str, **given: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(query), given).all())

    def kept(self) -> dict[str, list[Any]]:
        """Everything the first release knew, row by row."""
        return {table: self.all(f"select {columns} from {table} order by {columns}") for table, columns in KEPT.items()}

    def one(self, query: str, **given: Any) -> Any:
        [row] = self.all(query, **given)
        return row[0] if len(row) == 1 else row

    def patient(self, patient_id: str, born: str, *numbers: str, usual_name: str | None = None) -> None:
        self.run(
            "insert into patients values (:id, 'Müller', :usual_name, 'Zoé Anne', 'F', :born, true, 'lb',"
            " '4, Rue des Tests', '1427', 'Luxembourg', 'LU', :at, :by, 'portal')",
            id=patient_id, usual_name=usual_name, born=date.fromisoformat(born), at=BEGUN, by=new_id(),
        )  # fmt: skip
        for place, number in enumerate(numbers):
            self.run(
                "insert into matricules (matricule, patient_id, since, until) values (:number, :id, :at, :until)",
                number=number, id=patient_id, at=BEGUN, until=CHANGED if place < len(numbers) - 1 else None,
            )  # fmt: skip

    def fill(self) -> None:
        self.patient(self.married, "1980-05-17", number("19800517001"), usual_name="Da Silva")
        self.patient(self.unknown_day, "1950-03-01", number("19500300001"))
        self.patient(self.renumbered, "1990-01-01", number("19900101001"), number("19900101002"))
        self.run(
            "insert into patients select gen_random_uuid(), 'Weber', null, 'Jang', 'M', date '1940-01-01' + n, false,"
            " 'fr', '1, rue', '1', 'Lëtzebuerg', 'LU', now(), gen_random_uuid(), null from generate_series(1, :n) as n",
            n=MANY,
        )
        self.run(
            "insert into establishments values (:id, 'Clinique Sainte-Zithe', 'hospital', :at, :by, null)",
            id=self.establishment, at=BEGUN, by=new_id(),
        )  # fmt: skip
        for place, (licence, professional_id) in enumerate(self.professionals.items()):
            self.run(
                "insert into professionals values (:id, 'Schmit', 'Léa', 'nurse', '{Pédiatrie}', :licence, 'fr', null,"
                " null, null, null, 3, 'schmit lea', 'schmit lea', :begun, :by, null, :changed)",
                id=professional_id, licence=licence, begun=BEGUN, changed=CHANGED, by=new_id(),
            )  # fmt: skip
            self.run("insert into workplaces values (:id, :at_work, :since, null)",
                     id=professional_id, at_work=self.establishment, since=BEGUN)  # fmt: skip
            self.run("insert into matricules (matricule, professional_id, since) values (:number, :id, :at)",
                     number=number(f"1970010100{place}"), id=professional_id, at=BEGUN)  # fmt: skip


def number(first_eleven: str) -> str:
    return first_eleven + rules.check_digits(first_eleven)


@pytest.fixture(scope="module")
def release(database_before: Callable[[str, str], Before]) -> FirstRelease:
    made = FirstRelease(database_before("directory", FIRST))
    made.fill()
    made.before = made.kept()
    migrate("directory", made.url)  # once: what a second time does is for a test to say
    return made


def test_nothing_that_was_said_of_anybody_is_lost(release: FirstRelease) -> None:
    assert {table: len(rows) for table, rows in release.before.items()} == {
        "patients": MANY + 3, "establishments": 1, "professionals": 3, "workplaces": 3, "matricules": 7,
    }  # fmt: skip
    assert release.kept() == release.before


def test_every_sheet_gets_the_keys_it_would_get_today(release: FirstRelease) -> None:
    def keys(patient_id: str) -> Any:
        return release.one("select keys from patients where patient_id = :id", id=patient_id)

    assert keys(release.married) == stored_keys(
        "Müller", "Da Silva", "Zoé Anne", date(1980, 5, 17), "F", number("19800517001")
    )
    assert keys(release.renumbered) == stored_keys(
        "Müller", None, "Zoé Anne", date(1990, 1, 1), "F", number("19900101002")
    )
    unknown = stored_keys("Müller", None, "Zoé Anne", date(1950, 3, 1), "F", number("19500300001"))
    assert keys(release.unknown_day) == unknown
    assert unknown != stored_keys("Müller", None, "Zoé Anne", date(1950, 3, 1), "F", None), "00 makes a difference"
    assert release.one("select count(*) from patients where keys = '{}'") == 0
    born, found = release.one("select birth_date, keys from patients where birth_name = 'Weber' limit 1")
    assert found == stored_keys("Weber", None, "Jang", born, "M", None)


def test_every_sheet_begins_its_history_with_a_first_version_nobody_has_compared(release: FirstRelease) -> None:
    assert release.all("select distinct version, birth_date_evidence, compared_at, merged_into, changed_at"
                       " from patients") == [(1, "unknown", None, None, None)]  # fmt: skip
    for table in ("patient_addresses", "patient_identifiers", "patient_changes", "merges"):
        assert release.one(f"select count(*) from {table}") == 0


def test_professionals_and_establishments_are_found_as_if_written_today(release: FirstRelease) -> None:
    assert release.all("select distinct names_folded, found_by from professionals") == [
        (rules.searchable_names("Schmit", "Léa"), rules.searchable_text("Schmit", "Léa", "nurse", ["Pédiatrie"]))
    ]
    assert release.one("select found_by from establishments") == rules.searchable_establishment(
        "Clinique Sainte-Zithe", "hospital"
    )


@pytest.mark.parametrize("licence", LICENCES)
def test_every_licence_has_a_beginning(release: FirstRelease, licence: str) -> None:
    [row] = release.all(
        "select state, since = cast(:since as timestamptz), until from licences where professional_id = :id",
        id=release.professionals[licence], since=LICENCES[licence],
    )  # fmt: skip
    assert row == (licence, True, None)


def test_nobody_is_attached_to_an_emergency_service_until_it_is_said(release: FirstRelease) -> None:
    assert release.all("select distinct emergency from workplaces") == [(False,)]


def test_a_second_run_of_the_migrations_changes_nothing(release: FirstRelease) -> None:
    before = release.all("select * from patients order by patient_id")
    migrate("directory", release.url)
    assert release.all("select * from patients order by patient_id") == before
    assert release.one("select version_num from alembic_version") == newest_revision("directory")


@pytest.mark.parametrize(
    "forbidden",
    [
        "update patients set birth_date_evidence = 'rumour'",
        "update patients set marital_status = 'happy'",
        "update patients set merged_into = patient_id",
        "update patients set version = 0",
        "update matricules set cause = 'typo'",
    ],
)
def test_the_checks_of_the_models_hold_after_the_upgrade(release: FirstRelease, forbidden: str) -> None:
    with pytest.raises(IntegrityError, match="ck_"):
        release.run(forbidden)
