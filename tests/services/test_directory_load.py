"""Loading files: all of it arrives, the same again changes nothing, what is wrong is told and the rest goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa

from services.directory import store_load
from services.directory.rules_blocking import stored_keys
from tests.builders import House, any_matricule, caller
from tests.services.load_files import Loader, changed, people, professionals, write_csv, write_ndjson

SHEETS = (
    "select m.matricule, birth_name, usual_name, first_names, sex, birth_date, identity_check_due, language,"
    " address_line, postal_code, locality, country, birth_date_evidence, mobile, email, marital_status, version, keys"
    " from patients left join matricules m using (patient_id) order by 1, 2, 3, 4"
)


@pytest.fixture(scope="module")
def url(database: Callable[[str], str]) -> str:
    return database("directory")


@pytest.fixture
def loader(url: str, tmp_path: Path) -> Iterator[Loader]:
    made = Loader(url, tmp_path)
    yield made
    made.empty()


def events(loader: Loader, kind: str) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(row[0])["data"] for row in loader.rows("select envelope from outbox where type = %s", kind)]


# --- good files -------------------------------------------------------------------------------------------------------


def test_csv_and_ndjson_of_the_same_people_make_the_same_rows(loader: Loader, tmp_path: Path) -> None:
    everyone = people(300)
    folder = write_ndjson(tmp_path / "fhir", everyone)
    loader.load("patients", write_csv(tmp_path / "patients.csv", everyone))
    by_csv = loader.rows(SHEETS)
    assert len(by_csv) == 300 and loader.counts() == {"added": 300, "changed": 0, "unchanged": 0, "refused": 0}
    told = events(loader, "patients_loaded.v1")
    assert sorted(one for event in told for one in event["patient_ids"]) == sorted(
        row[0] for row in loader.rows("select patient_id::text from patients")
    )
    assert events(loader, "patient_registered.v1") == []
    [trace] = events(loader, "access_traced.v1")
    assert (trace["action"], trace["count"], trace["account_id"]) == ("directory.loaded", 300, None)
    loader.empty()
    loader.load("patients", folder / "Patient.ndjson")
    assert loader.rows(SHEETS) == by_csv


def test_a_loaded_sheet_is_the_one_that_registering_would_have_written(
    loader: Loader, tmp_path: Path, url: str
) -> None:
    house = House(lambda _service: url, services=("directory",))
    [person] = people(1, seed=9)
    loader.load("patients", write_csv(tmp_path / "one.csv", [person]))
    by_load = loader.rows(SHEETS)
    loader.empty()
    home = {"line": person.address_line, "postal_code": person.postal_code, "locality": person.locality,
            "country": person.country}  # fmt: skip
    house.ask(
        "directory", "register_patient", caller("agent"), matricule=person.matricule, birth_name=person.birth_name,
        usual_name=person.usual_name, first_names=person.first_names, sex=person.sex, birth_date=person.birth_date,
        language=person.language, address=home,
    )  # fmt: skip
    assert loader.rows(SHEETS) == by_load
    house.close()


def test_the_same_file_twice_changes_nothing_and_read_again_finds_everybody_unchanged(
    loader: Loader, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "patients.csv", people(200))
    loader.load("patients", file)
    before = loader.rows(SHEETS)
    loader.rows("delete from outbox")
    assert "loaded before" in loader.load("patients", file)
    assert loader.rows("select * from outbox") == []
    loader.load("patients", file, "--restart")
    assert loader.counts() == {"added": 0, "changed": 0, "unchanged": 200, "refused": 0}
    assert loader.rows(SHEETS) == before
    assert events(loader, "patients_loaded.v1") == [] == loader.rows("select * from patient_changes")


def test_a_changed_line_changes_the_sheet_with_its_history_and_has_it_compared_again(
    loader: Loader, tmp_path: Path
) -> None:
    everyone = people(50)
    loader.load("patients", write_csv(tmp_path / "first.csv", everyone))
    loader.rows("update patients set compared_at = now()")
    moved = changed(everyone[3], locality="Vianden", address_line="1, Grand-Rue")
    married = changed(everyone[7], usual_name="Nouveau-Nom")
    loader.load("patients", write_csv(tmp_path / "later.csv", [*everyone[:3], moved, *everyone[4:7], married]))
    assert loader.counts() == {"added": 0, "changed": 2, "unchanged": 6, "refused": 0}
    history = loader.rows("select field, old, new, account_id, software from patient_changes order by field")
    assert ("address.locality", everyone[3].locality, "Vianden", None, "load later.csv") in history
    assert ("usual_name", everyone[7].usual_name, "Nouveau-Nom", None, "load later.csv") in history
    assert {row[0] for row in history} <= {"address.locality", "address.line", "usual_name"}
    born = date.fromisoformat(married.birth_date)
    keys = stored_keys(married.birth_name, "Nouveau-Nom", married.first_names, born, married.sex, married.matricule)
    assert loader.rows(
        "select version, changed_by, changed_with, compared_at is null, keys from patients"
        " join matricules using (patient_id) where matricule = %s", married.matricule,
    ) == [(2, None, "load later.csv", True, keys)]  # fmt: skip
    assert loader.one("select count(*) from patients where compared_at is null") == 1


def test_what_the_file_does_not_say_of_a_sheet_stays_and_a_checked_identity_stays_checked(
    loader: Loader, tmp_path: Path
) -> None:
    [person] = people(1)
    doubtful = changed(person, birth_date="1950-02-03")
    loader.load("patients", write_csv(tmp_path / "first.csv", [doubtful], {"mobile": lambda _: "621123456"}))
    assert loader.rows("select identity_check_due, mobile from patients") == [(True, "+352621123456")]
    loader.rows("update patients set identity_check_due = false")
    moved = changed(doubtful, locality="Vianden")
    loader.load("patients", write_csv(tmp_path / "later.csv", [moved]))
    assert loader.rows("select identity_check_due, mobile, locality from patients") == [
        (False, "+352621123456", "Vianden")
    ]
    emptied = write_csv(tmp_path / "emptied.csv", [moved], {"mobile": lambda _: ""})
    loader.load("patients", emptied)
    assert loader.rows("select mobile, version from patients") == [(None, 3)]


def test_a_birth_date_that_a_file_changes_does_not_rest_on_what_proved_the_former(
    loader: Loader, tmp_path: Path
) -> None:
    [person] = people(1)
    loader.load("patients", write_csv(tmp_path / "first.csv", [person]))
    loader.rows("update patients set birth_date_evidence = 'identity_document'")
    loader.load("patients", write_csv(tmp_path / "moved.csv", [changed(person, locality="Vianden")]))
    assert loader.rows("select birth_date_evidence from patients") == [("identity_document",)]
    loader.load("patients", write_csv(tmp_path / "later.csv", [changed(person, birth_date="1950-02-03")]))
    assert loader.rows("select birth_date_evidence from patients") == [("unknown",)]


def test_the_whole_sheet_is_loaded_with_numbers_of_other_systems(loader: Loader, tmp_path: Path) -> None:
    columns = {
        "birth_date_evidence": "civil_register", "birth_place": "Porto", "birth_commune": "Porto",
        "birth_postal_code": "4000", "birth_country": "PT", "marital_status": "widowed", "mobile": "+352621000001",
        "phone": "26123456", "email": "a@example.lu", "identifiers": "urn:dsp:local=A-1|urn:dsp:regional=R/2",
    }  # fmt: skip
    more = {name: partial(_always, value) for name, value in columns.items()}
    loader.load("patients", write_csv(tmp_path / "whole.csv", people(1), more))
    named = ", ".join(name for name in columns if name != "identifiers")
    assert loader.rows(f"select {named} from patients") == [
        ("civil_register", "Porto", "Porto", "4000", "PT", "widowed", "+352621000001", "+35226123456", "a@example.lu")
    ]
    assert loader.rows("select system, value from patient_identifiers order by 1") == [
        ("urn:dsp:local", "A-1"), ("urn:dsp:regional", "R/2"),
    ]  # fmt: skip


def test_who_has_no_matricule_is_known_by_a_number_and_may_get_a_matricule_later(
    loader: Loader, tmp_path: Path
) -> None:
    [person] = people(1)
    number = {"identifiers": lambda _: "urn:dsp:local=A-1"}
    file = write_csv(tmp_path / "without.csv", [changed(person, matricule="")], number)
    loader.load("patients", file)
    loader.load("patients", file, "--restart")
    assert loader.counts()["unchanged"] == 1 and loader.rows("select * from matricules") == []
    loader.load("patients", write_csv(tmp_path / "with.csv", [person], number))
    assert loader.counts()["changed"] == 1
    assert loader.rows("select matricule from matricules") == [(person.matricule,)]
    assert loader.rows("select field, old, new from patient_changes") == [("matricule", None, person.matricule)]


def test_a_file_may_begin_with_a_mark_and_end_its_lines_as_windows_does(loader: Loader, tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "plain.csv", people(5)).read_bytes()
    file = tmp_path / "marked.csv"
    file.write_bytes(b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n") + b"\r\n")
    loader.load("patients", file)
    assert loader.counts() == {"added": 5, "changed": 0, "unchanged": 0, "refused": 0}
    lines = write_ndjson(tmp_path / "fhir", people(5, seed=2)) / "Patient.ndjson"
    lines.write_bytes(b"\xef\xbb\xbf" + lines.read_bytes())
    loader.load("patients", lines)
    assert loader.counts()["added"] == 5


def test_a_load_gives_its_place_back_before_its_connection_ends(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = ("select 1 from pg_locks where locktype = 'advisory'"
            " and database = (select oid from pg_database where datname = current_database())")  # fmt: skip
    monkeypatch.setattr(sa.Connection, "invalidate", lambda *_: None)  # the pool keeps it, and the database sees no end
    with store_load.alone(loader.sessions) as won:
        assert won and len(loader.rows(held)) == 1
    assert loader.rows(held) == []


def test_a_load_tells_of_minors_who_are_of_age_after_all(loader: Loader, tmp_path: Path) -> None:
    everyone = [changed(person, birth_date="2019-03-05") for person in people(4)]
    loader.load("patients", write_csv(tmp_path / "before.csv", everyone))
    births = ("1990-03-05", "2018-03-05", "1989-12-31", "2019-03-05")
    after = [changed(person, birth_date=born) for person, born in zip(everyone, births, strict=True)]
    loader.load("patients", write_csv(tmp_path / "after.csv", after))
    assert loader.counts()["changed"] == 3
    adults = loader.rows("select patient_id::text from patients where birth_date < '2000-01-01'")
    told = [event["patient_id"] for event in events(loader, "patient_came_of_age.v1")]
    assert len(told) == 2 and {(one,) for one in told} == {tuple(row) for row in adults}


def test_an_affiliation_feed_asks_for_a_record_for_the_new_and_for_those_who_may_have_none(
    loader: Loader, tmp_path: Path
) -> None:
    everyone = people(700)
    file = write_csv(tmp_path / "feed.csv", everyone)
    loader.load("patients", file)
    assert events(loader, "record_openings_due.v1") == []
    loader.load("patients", file, "--open-records")
    due = events(loader, "record_openings_due.v1")
    assert [len(event["patient_ids"]) for event in due] == [500, 200]
    assert {event["cause"] for event in due} == {"affiliation"} and all(event["requested_at"] for event in due)
    asked = {one for event in due for one in event["patient_ids"]}
    assert asked == {row[0] for row in loader.rows("select patient_id::text from patients")}


def test_an_affiliation_feed_opens_a_record_for_each_once_however_often_it_comes(
    database: Callable[[str], str], tmp_path: Path
) -> None:
    urls: dict[str, str] = {}
    house = House(lambda service: urls.setdefault(service, database(service)), services=("directory", "dossier"))
    loader, dossier = Loader(urls["directory"], tmp_path), Loader(urls["dossier"], tmp_path)
    file = write_csv(tmp_path / "feed.csv", people(40))
    opened = "select patient_id::text, record_id::text from records order by 1"
    loader.load("patients", file, "--open-records")
    house.deliver()
    records = dossier.rows(opened)
    assert [row[0] for row in records] == [
        row[0] for row in loader.rows("select patient_id::text from patients order by 1")
    ]
    loader.load("patients", file, "--open-records", "--restart")
    house.deliver()
    assert dossier.rows(opened) == records and len(records) == 40
    house.close()


# --- people who are somebody else -------------------------------------------------------------------------------------


def test_another_name_for_a_matricule_a_merged_sheet_and_a_former_matricule_are_refused(
    loader: Loader, tmp_path: Path
) -> None:
    a, b, c, d = people(4)
    loader.load("patients", write_csv(tmp_path / "first.csv", [a, b, c, d]))
    of = "(select patient_id from matricules where matricule = %s)"
    loader.rows(f"update patients set merged_into = {of} where patient_id = {of}", a.matricule, b.matricule)
    loader.rows("update matricules set until = now() where matricule = %s", c.matricule)
    before = loader.rows(SHEETS)
    file = write_csv(tmp_path / "later.csv", [
        changed(a, birth_name="Autrement"), changed(b, locality="Vianden"), changed(c, locality="Vianden"), d,
    ])  # fmt: skip
    loader.load("patients", file)
    assert loader.report(file) == [
        (2, "matricule", "patient_exists"), (3, "matricule", "patient_exists"), (4, "matricule", "former_matricule"),
    ]  # fmt: skip
    assert loader.rows(SHEETS) == before and loader.counts()["unchanged"] == 1


def test_a_number_that_another_patient_has_is_refused_within_a_file_and_across_files(
    loader: Loader, tmp_path: Path
) -> None:
    a, b, c = people(3)
    same = {"identifiers": lambda place: "urn:dsp:local=A-1" if place < 2 else ""}
    file = write_csv(tmp_path / "first.csv", [a, b, c], same)
    loader.load("patients", file)
    assert loader.report(file) == [(3, "identifiers", "identifier_taken")]
    later = write_csv(tmp_path / "later.csv", [c], {"identifiers": lambda _: "urn:dsp:local=A-1"})
    loader.load("patients", later, status=1)
    assert loader.report(later) == [(2, "identifiers", "identifier_taken")]


# --- bad files --------------------------------------------------------------------------------------------------------


def test_a_broken_encoding_refuses_its_line_only(loader: Loader, tmp_path: Path) -> None:
    lines = write_csv(tmp_path / "good.csv", people(5)).read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b",", b"\xff,", 1)
    file = tmp_path / "broken.csv"
    file.write_bytes(b"".join(lines))
    loader.load("patients", file)
    assert loader.report(file) == [(3, "", "encoding")]
    assert loader.counts() == {"added": 4, "changed": 0, "unchanged": 0, "refused": 1}


@pytest.mark.parametrize(("column", "told"), [("birth_date", "missing: birth_date"), ("locality", "missing: locality")])
def test_a_missing_column_is_named_at_once_and_nothing_is_loaded(
    loader: Loader, tmp_path: Path, column: str, told: str
) -> None:
    file = write_csv(tmp_path / "patients.csv", people(3))
    head, rest = file.read_text("utf-8").split("\n", 1)
    names = head.split(",")
    names[names.index(column)] = "matricule" if column == "matricule" else "mobile"
    file.write_text(",".join(names) + "\n" + rest, "utf-8")
    assert told in loader.load("patients", file, status=1)
    assert loader.rows("select * from patients") == [] == loader.rows("select * from loads")


@pytest.mark.parametrize(
    ("head", "told"),
    [("", "empty"), ("matricule\x00\n", "missing"), ("a,b\n1,2\n", "missing: birth_name"), ("\xff", "missing")],
)
def test_a_file_that_is_none_of_ours_is_refused_whole(loader: Loader, tmp_path: Path, head: str, told: str) -> None:
    file = tmp_path / "other.csv"
    file.write_text(head, "latin-1")
    assert told in loader.load("patients", file, status=1)
    assert "not loaded" in loader.load("patients", tmp_path / "nothing.csv", status=1)


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_file_without_a_header_is_refused_and_nobody_of_it_told(
    loader: Loader, tmp_path: Path, separator: str
) -> None:
    [person] = people(1)
    file = write_csv(tmp_path / "patients.csv", [changed(person, birth_name="Muller-Loaded", usual_name="sex")])
    line = file.read_text("utf-8").split("\n", 1)[1].replace(",", separator)
    file.write_text(line, "utf-8")
    told = loader.load("patients", file, status=1)
    assert "missing: birth_name" in told and "unknown" not in told
    for cell in (person.matricule, "Muller-Loaded", person.first_names, person.birth_date, person.postal_code):
        assert cell in line and cell not in told


def test_what_stands_in_a_file_or_in_its_name_is_told_as_it_stands(loader: Loader, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "[bold]patients[-x].csv", people(1), {"[/x]": lambda _: "a"})
    assert "unknown: [/x]" in loader.load("patients", file, status=1)
    assert "[bold]gone[-x].csv" in loader.load("patients", tmp_path / "[bold]gone[-x].csv", status=1)
    file = write_csv(tmp_path / "[bold]patients[-x].csv", people(1))
    loader.load("patients", file)
    assert "[bold]patients[-x].csv was loaded before" in loader.load("patients", file)


def test_a_misspelt_column_and_one_that_stands_twice_are_refused(loader: Loader, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "patients.csv", people(1), {"emial": lambda _: "a@example.lu"})
    assert "unknown: emial" in loader.load("patients", file, status=1)
    file = write_csv(tmp_path / "patients.csv", people(1), {"sex": lambda _: "F"})
    assert "there twice: sex" in loader.load("patients", file, status=1)


def test_a_second_line_about_somebody_is_refused_whatever_it_says(loader: Loader, tmp_path: Path) -> None:
    a, b = people(2)
    file = write_csv(tmp_path / "twice.csv", [a, b, a, changed(b, locality="Vianden")])
    loader.load("patients", file)
    assert loader.report(file) == [(4, "", "duplicate_line"), (5, "", "duplicate_line")]
    assert loader.counts() == {"added": 2, "changed": 0, "unchanged": 0, "refused": 2}
    assert loader.one("select count(*) from patients where locality = 'Vianden'") == 0


def test_a_good_line_after_a_bad_one_about_the_same_person_is_taken(loader: Loader, tmp_path: Path) -> None:
    [person] = people(1)
    file = write_csv(tmp_path / "patients.csv", [changed(person, sex="Q"), person])
    loader.load("patients", file)
    assert loader.report(file) == [(2, "sex", "unknown")] and loader.counts()["added"] == 1


def test_every_kind_of_bad_line_is_told_with_its_field_and_reason_and_never_with_its_text(
    loader: Loader, tmp_path: Path
) -> None:
    good = people(9)
    wrong = good[0].matricule[:12] + str((int(good[0].matricule[12]) + 1) % 10)
    bad = [
        changed(good[0], matricule=wrong), changed(good[1], matricule="123456789012"),
        changed(good[2], matricule="abcdefghijklm"), changed(good[3], matricule=""),
        changed(good[4], birth_date="31.12.1980"), changed(good[5], locality=""), changed(good[6], sex="=1+1"),
    ]  # fmt: skip
    file = write_csv(tmp_path / "bad.csv", [*bad, changed(good[7], birth_date="1970-01-01"), good[8]])
    with file.open("a", encoding="utf-8") as end:
        end.write('one,"two\n,,,\n' + "x" * 70_000 + "\n\n")
    loader.load("patients", file)
    assert loader.report(file) == [
        (2, "matricule", "matricule_verhoeff"), (3, "matricule", "length"), (4, "matricule", "digits"),
        (5, "matricule", "required"), (6, "birth_date", "date"), (7, "locality", "required"), (8, "sex", "unknown"),
        (11, "", "csv_line"), (12, "", "columns"), (13, "", "too_long"),
    ]  # fmt: skip
    told = file.with_name("bad.csv.refused.csv").read_text("utf-8")
    assert not [word for word in ("abcdefghijklm", wrong, "31.12.1980", "=1+1") if word in told]
    # A birth date that is not the matricule's is a reason to look at the papers, not to refuse.
    assert loader.rows("select identity_check_due from patients order by 1") == [(False,), (True,)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "object"), ("[]", "object"), ('{"resourceType": "Group"}', "resource_type"), ("[" * 60_000, "object"),
        ('{"resourceType": "Patient", "name": "x", "identifier": 3, "address": [7]}', "required"),
    ],
)  # fmt: skip
def test_a_bad_resource_refuses_its_line_only(loader: Loader, tmp_path: Path, line: str, reason: str) -> None:
    file = write_ndjson(tmp_path / "fhir", people(2)) / "Patient.ndjson"
    with file.open("a", encoding="utf-8") as end:
        end.write(line + "\n")
    loader.load("patients", file)
    assert {(number, why) for number, _, why in loader.report(file)} == {(3, reason)}
    assert loader.counts()["added"] == 2


def test_a_report_may_be_ndjson_and_in_the_language_of_the_operator(loader: Loader, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "patients.csv", [changed(people(1)[0], sex="Q"), people(2)[1]])
    report = tmp_path / "refused.ndjson"
    loader.load("patients", file, "--report", report, "--language", "de")
    [told] = map(json.loads, report.read_text("utf-8").splitlines())
    assert (told["file"], told["line"], told["field"], told["reason"]) == ("patients.csv", 2, "sex", "unknown")
    assert told["words"] == "Unbekannter Wert."


# --- others at the same time ------------------------------------------------------------------------------------------


def test_only_one_load_runs(loader: Loader, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "patients.csv", people(5))
    with psycopg2.connect(loader.url.replace("+psycopg2", "")) as other, other.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(hashtext('load'))")
        assert "another load is running" in loader.load("patients", file, status=1)
    other.close()
    loader.load("patients", file)


def test_whoever_registers_the_same_people_meanwhile_is_waited_for_and_found(
    loader: Loader, tmp_path: Path, url: str
) -> None:
    """A registration under way holds a matricule of the file: the step waits, fails, and is done again."""
    everyone = people(40)
    file = write_csv(tmp_path / "patients.csv", everyone)
    person = everyone[20]
    holding = psycopg2.connect(url.replace("+psycopg2", ""))
    with holding.cursor() as cursor:
        cursor.execute(
            "insert into patients (patient_id, birth_name, first_names, sex, birth_date, identity_check_due, language,"
            " address_line, postal_code, locality, country, registered_at) values"
            " (gen_random_uuid(), %s, %s, %s, %s, false, 'fr', 'x', '1', 'x', 'LU', now()) returning patient_id",
            (person.birth_name, person.first_names, person.sex, person.birth_date),
        )
        patient_id = cursor.fetchone()[0]
        cursor.execute(
            "insert into matricules (matricule, patient_id, since) values (%s, %s, now())",
            (person.matricule, patient_id),
        )
    process = loader.start("patients", file)
    waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    wait_for(lambda: loader.one(waits) == 1)
    holding.commit()
    holding.close()
    told, wrong = process.communicate(timeout=120)
    assert process.returncode == 0, told + wrong
    assert loader.counts() == {"added": 39, "changed": 1, "unchanged": 0, "refused": 0}
    assert loader.one("select count(*) from patients") == 40 == loader.one("select count(*) from matricules")


def test_registrations_through_the_service_during_a_load_lose_and_double_nobody(
    loader: Loader, tmp_path: Path, url: str
) -> None:
    house = House(lambda _service: url, services=("directory",))
    everyone = people(3_000)
    file = write_csv(tmp_path / "patients.csv", everyone)
    process = loader.start("patients", file)
    agent, strangers = caller("agent"), 0
    while process.poll() is None:
        person = everyone[(strangers * 37) % len(everyone)]
        stranger = strangers % 2
        home = {"line": "x", "postal_code": "1", "locality": "x", "country": "LU"}
        house.ask(
            "directory", "register_patient", agent, matricule=any_matricule() if stranger else person.matricule,
            birth_name=person.birth_name, first_names=person.first_names, sex=person.sex,
            birth_date=person.birth_date, language="fr", address=home,
        )  # fmt: skip
        strangers += 1
    told, wrong = process.communicate()
    assert process.returncode == 0, told + wrong
    counts = loader.counts()
    assert counts["refused"] == 0 and counts["added"] + counts["changed"] + counts["unchanged"] == 3_000
    assert loader.one("select count(*) from patients") == 3_000 + strangers // 2
    whose = "select count(*) from matricules join patients using (patient_id) where matricule = any(%s)"
    assert loader.one(whose, [person.matricule for person in everyone]) == 3_000
    house.close()


def test_a_former_load_does_not_undo_what_an_agent_changes_at_the_same_moment(
    loader: Loader, tmp_path: Path, url: str
) -> None:
    """A changed line whose sheet an agent holds is done again on what the agent leaves."""
    everyone = people(10)
    loader.load("patients", write_csv(tmp_path / "first.csv", everyone))
    later = write_csv(tmp_path / "later.csv", [changed(everyone[4], locality="Vianden")])
    holding = psycopg2.connect(url.replace("+psycopg2", ""))
    with holding.cursor() as cursor:
        cursor.execute(
            "update patients set version = version + 1, email = 'agent@example.lu' where patient_id ="
            " (select patient_id from matricules where matricule = %s)", (everyone[4].matricule,),
        )  # fmt: skip
    process = loader.start("patients", later)
    waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    wait_for(lambda: loader.one(waits) == 1)
    holding.commit()
    holding.close()
    told, wrong = process.communicate(timeout=120)
    assert process.returncode == 0, told + wrong
    assert loader.rows("select version, email, locality from patients where locality = 'Vianden'") == [
        (3, "agent@example.lu", "Vianden")
    ]


# --- professionals and establishments ---------------------------------------------------------------------------------

ENTRIES = (
    "select m.matricule, family_name, first_name, profession, specialities, licence, language, address_line, found_by,"
    " names_folded, version, array(select establishment_id::text from workplaces w where"
    " w.professional_id = p.professional_id and until is null order by 1), (select count(*) from licences l where"
    " l.professional_id = p.professional_id) from professionals p join matricules m using (professional_id) order by 1"
)


def test_professionals_and_establishments_come_alike_from_csv_and_from_fhir(loader: Loader, tmp_path: Path) -> None:
    working, places = professionals(120)
    fhir = write_ndjson(tmp_path / "fhir", [*places, *working])
    loader.load("establishments", write_csv(tmp_path / "establishments.csv", places))
    named = "select establishment_id, name, kind, address_line, locality, found_by from establishments order by 1"
    by_csv = loader.rows(named)
    loader.load("professionals", write_csv(tmp_path / "professionals.csv", working))
    entries = loader.rows(ENTRIES)
    assert len(by_csv) == len(places) and len(entries) == 120 and all(row[-1] == 1 for row in entries)
    told = events(loader, "professional_updated.v1")
    assert len(told) == 120 and {event["version"] for event in told} == {1}
    loader.empty()
    loader.load("establishments", fhir / "Organization.ndjson")
    roles = fhir / "PractitionerRole.ndjson"
    loader.load("professionals", fhir / "Practitioner.ndjson", "--roles", roles)
    assert loader.rows(named) == by_csv and loader.rows(ENTRIES) == entries


def test_a_changed_professional_is_a_new_version_told_by_event_and_keeps_the_licence(
    loader: Loader, tmp_path: Path
) -> None:
    working, places = professionals(30)
    loader.load("establishments", write_csv(tmp_path / "establishments.csv", places))
    loader.load("professionals", write_csv(tmp_path / "first.csv", working))
    loader.rows("update professionals set licence = 'suspended'")
    loader.rows("delete from outbox")
    elsewhere = tuple(place.establishment_id for place in places[:2])
    moved = replace(working[0], establishment_ids=elsewhere, language="pt")
    loader.load("professionals", write_csv(tmp_path / "later.csv", [moved, *working[1:]]))
    assert loader.counts() == {"added": 0, "changed": 1, "unchanged": 29, "refused": 0}
    [told] = events(loader, "professional_updated.v1")
    assert (told["version"], told["licence"], told["establishment_ids"]) == (2, "suspended", sorted(elsewhere))


def test_bad_professionals_and_roles_are_told(loader: Loader, tmp_path: Path) -> None:
    working, places = professionals(30)
    loader.load("establishments", write_csv(tmp_path / "establishments.csv", places))
    file = write_csv(tmp_path / "professionals.csv", [
        replace(working[0], profession="wizard"),
        replace(working[1], establishment_ids=(places[0].establishment_id[:-1],)),
        replace(working[2], establishment_ids=("00000000-0000-4000-8000-000000000000",)), *working[3:], working[4],
    ])  # fmt: skip
    loader.load("professionals", file)
    assert loader.report(file) == [
        (2, "profession", "unknown"), (3, "establishment_ids/0", "unknown"), (4, "establishment_ids/0", "unknown"),
        (32, "", "duplicate_line"),
    ]  # fmt: skip
    renamed = write_csv(tmp_path / "renamed.csv", [replace(working[5], family_name="Autrement"), working[6]])
    loader.load("professionals", renamed)
    assert loader.report(renamed) == [(2, "matricule", "professional_exists")]
    fhir = write_ndjson(tmp_path / "fhir", working[:2])
    roles = fhir / "PractitionerRole.ndjson"
    roles.write_text("{}\n" + roles.read_text("utf-8"), "utf-8")
    practitioners = fhir / "Practitioner.ndjson"
    assert "--roles" in loader.load("professionals", practitioners, status=1)
    loader.load("professionals", practitioners, "--roles", roles)
    assert loader.report(practitioners) == [(1, "", "resource_type")] and loader.counts()["added"] == 2


def test_loaded_professionals_reach_the_projection_that_decides(database: Callable[[str], str], tmp_path: Path) -> None:
    urls: dict[str, str] = {}
    house = House(lambda service: urls.setdefault(service, database(service)), services=("directory", "dossier"))
    loader = Loader(urls["directory"], tmp_path)
    working, places = professionals(40)
    loader.load("establishments", write_csv(tmp_path / "establishments.csv", places))
    loader.load("professionals", write_csv(tmp_path / "professionals.csv", working))
    house.deliver()
    dossier = Loader(urls["dossier"], tmp_path)
    known = {row[0]: row[1] for row in dossier.rows("select professional_id::text, profession from professionals")}
    assert known == dict(loader.rows("select professional_id::text, profession from professionals"))
    assert len(known) == 40
    house.close()


def _always(value: str, _place: int) -> str:
    return value


def wait_for(true: Callable[[], bool]) -> None:
    """Waits until something is so."""
    for _ in range(600):
        if true():
            return
        threading.Event().wait(0.1)
    raise AssertionError("it never came")
