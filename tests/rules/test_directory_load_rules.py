"""The rules of loading: headers, lines, texts of COPY there and back, FHIR, who stands twice."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn, verhoeff

from deploy.population import formats
from deploy.population.people import Patient, patients
from services.directory import rules
from services.directory.rules_load import (
    LONGEST_LINE,
    NOT_READ,
    OPTIONAL,
    REQUIRED,
    HeaderRefused,
    Reader,
    Seen,
    require_header,
)
from services.directory.rules_load_fhir import BIRTH_PLACE, EVIDENCE, Roles
from services.directory.rules_load_sheets import PATIENT_COLUMNS, array, cell, patient_sheet, patient_text
from services.directory.rules_sheets import keys_of, require_patient_sheet

TODAY = date(2026, 11, 21)
[SOMEBODY] = patients(1, 3, 0)
HOME = {"line": "1, Grand-Rue", "postal_code": "L-1111", "locality": "Luxembourg", "country": "LU"}


@given(st.text("0123456789", min_size=11, max_size=11))
def test_check_digits_are_those_of_the_reference(first_eleven: str) -> None:
    reference = luhn.calc_check_digit(first_eleven) + verhoeff.calc_check_digit(first_eleven)
    assert rules.check_digits(first_eleven) == reference


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(REQUIRED))
def test_a_header_needs_what_is_needed_and_takes_what_is_known(kind: str) -> None:
    known = [*REQUIRED[kind], *(name for name in OPTIONAL[kind] if name not in REQUIRED[kind]), *NOT_READ[kind]]
    assert require_header(kind, ",".join(known).encode()) == tuple(known)
    for name in REQUIRED[kind]:
        with pytest.raises(HeaderRefused) as refused:
            require_header(kind, ",".join(each for each in known if each != name).encode())
        assert refused.value.missing == (name,)


def test_patients_are_told_apart_by_a_matricule_or_by_numbers() -> None:
    needed = ",".join(REQUIRED["patients"])
    with pytest.raises(HeaderRefused) as refused:
        require_header("patients", needed.encode())
    assert refused.value.missing == ("matricule",)
    assert "identifiers" in require_header("patients", f"{needed},identifiers\r\n".encode())


def test_an_address_has_all_its_columns_or_none() -> None:
    with pytest.raises(HeaderRefused) as refused:
        require_header("establishments", b"establishment_id,name,kind,locality")
    assert refused.value.missing == ("address_line", "postal_code", "country")


SOMEBODYS = {
    "patients": ["1981060671946", "Loaded", "Jean", "F", "1981-06-06", "fr", "4, Rue X", "L-1427", "Vianden", "LU"],
    "professionals": ["1981060671946", "Loaded", "Jean", "nurse", "fr", "Gériatrie", "4, Rue X", "L-1427"],
    "establishments": ["01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01", "Chez Jean", "practice", "4, Rue X", "Vianden"],
}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("kind", list(REQUIRED))
def test_a_first_line_that_is_no_header_is_never_repeated(kind: str, separator: str) -> None:
    """Nor is what a person is called who is called like a column, or stands there twice."""
    all_but_one = [*REQUIRED[kind][1:], "Jean", "Jean"]
    by_chance = [[*SOMEBODYS[kind], name, name, "Jean"] for name in (*REQUIRED[kind], *OPTIONAL[kind], *NOT_READ[kind])]
    for line in (SOMEBODYS[kind], all_but_one, *by_chance):
        with pytest.raises(HeaderRefused) as refused:
            require_header(kind, separator.join(f'"{cell}"' if separator in cell else cell for cell in line).encode())
        assert refused.value.missing and (refused.value.unknown, refused.value.twice) == ((), ())
        assert {*refused.value.missing} <= {*REQUIRED[kind], *OPTIONAL[kind]}


@pytest.mark.parametrize("kind", list(REQUIRED))
def test_a_resource_in_the_place_of_a_header_is_not_repeated(kind: str) -> None:
    with pytest.raises(HeaderRefused) as refused:
        require_header(kind, json.dumps(formats.resources(SOMEBODY)[0], separators=(",", ":")).encode())
    assert (refused.value.missing[: len(REQUIRED[kind])], refused.value.unknown) == (REQUIRED[kind], ())


@pytest.mark.parametrize("kind", list(REQUIRED))
def test_of_a_header_what_is_unknown_or_stands_twice_is_named(kind: str) -> None:
    whole = [*REQUIRED[kind], *(name for name in OPTIONAL[kind] if name not in REQUIRED[kind])]
    with pytest.raises(HeaderRefused) as refused:
        require_header(kind, ",".join([*whole, "emial", whole[0]]).encode())
    assert (refused.value.missing, refused.value.unknown) == ((), ("emial",))
    assert refused.value.twice == (whole[0],)


def test_of_a_header_whose_matricule_is_misspelt_both_are_named() -> None:
    with pytest.raises(HeaderRefused) as refused:
        require_header("patients", ",".join([*REQUIRED["patients"], "matricul"]).encode())
    assert (refused.value.missing, refused.value.unknown) == (("matricule",), ("matricul",))


# --- lines ------------------------------------------------------------------------------------------------------------


def reader(*columns: str) -> Reader:
    return Reader("establishments", "csv", TODAY, columns or ("establishment_id", "name", "kind"))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\xff\n", "encoding"), (b'"a,b\n', "csv_line"), (b"a,b\rc,d\n", "csv_line"), (b"a,b\n", "columns"),
        (b"a,b,c,d\n", "columns"), (b"a" * (LONGEST_LINE + 1), "too_long"),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_refused_as_a_whole(line: bytes, code: str) -> None:
    good, [refused] = reader().read(7, [line])
    assert good == [] and (refused.number, refused.faults) == (7, (("", code),))


def test_empty_lines_are_neither_taken_nor_refused() -> None:
    assert reader().read(2, [b"\n", b"  \r\n", b""]) == ([], [])


@given(st.binary(max_size=400))
def test_whatever_stands_in_a_line_reading_it_ends_in_one_of_two_ways(line: bytes) -> None:
    for made in (reader(), Reader("patients", "ndjson", TODAY), Reader("professionals", "ndjson", TODAY)):
        good, refused = made.read(1, [line.replace(b"\n", b"")])
        assert len(good) + len(refused) <= 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["identifier", "system", "value", "name", "use", "family", "given", "address", "line", "coding", "code",
         "telecom", "communication", "language", "extension", "url", "valueAddress", "maritalStatus", "birthDate",
         "practitioner"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(["Patient", "Practitioner", "Organization"]), st.dictionaries(st.sampled_from(
    ["identifier", "name", "address", "telecom", "communication", "extension", "maritalStatus", "birthDate", "type"]
), ANYTHING, max_size=6))  # fmt: skip
def test_a_resource_of_any_shape_is_judged_and_never_breaks_the_load(kind: str, more: dict[str, Any]) -> None:
    of = {"Patient": "patients", "Practitioner": "professionals", "Organization": "establishments"}
    good, refused = Reader(of[kind], "ndjson", TODAY).read(1, [json.dumps({"resourceType": kind, **more}).encode()])
    assert (len(good), len(refused)) == (0, 1)


ODD: tuple[Any, ...] = (None, True, -1, 0.5, "", "x" * 5000, "\0", "\ud800", [], {}, [[]], [{}], {"value": []})


def bent(node: Any) -> Iterator[Any]:
    """All that becomes of a JSON value when one of its nodes is something odd, itself included."""
    yield from ODD
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        for instead in bent(inner):
            changed = copy.copy(node)
            changed[key] = instead
            yield changed


def test_a_resource_of_which_any_node_is_odd_is_judged_and_never_breaks_the_load() -> None:
    whole = {
        **formats.resources(SOMEBODY)[0],
        "telecom": [{"system": "phone", "use": "mobile", "value": "621 123 456"}],
        "maritalStatus": {"coding": [{"code": "W"}]},
        "extension": [
            {"url": BIRTH_PLACE, "valueAddress": {"city": "Porto"}},
            {"url": EVIDENCE, "valueCode": "declared"},
        ],
    }
    reader, seen = Reader("patients", "ndjson", TODAY), 0
    for seen, resource in enumerate(bent(whole), start=1):  # noqa: B007 (counted)
        good, refused = reader.read(1, [json.dumps(resource).encode()])
        assert len(good) + len(refused) == 1, resource
    assert seen > 500


def test_a_whole_fhir_patient_fills_the_whole_sheet() -> None:
    resource = {
        **formats.resources(SOMEBODY)[0],
        "maritalStatus": {"coding": [{"code": "W"}]},
        "telecom": [{"system": "phone", "use": "mobile", "value": "621 123 456"}, {"system": "fax", "value": "1"},
                    {"system": "phone", "value": "26 12 34"}, {"system": "email", "value": "a@b.lu"}],
        "extension": [
            {"url": BIRTH_PLACE, "valueAddress": {"city": "Porto", "postalCode": "4000", "country": "pt"}},
            {"url": EVIDENCE, "valueCode": "declared"},
        ],
    }  # fmt: skip
    resource["identifier"].append({"system": "urn:dsp:local", "value": "A-1"})
    [good], [] = Reader("patients", "ndjson", TODAY).read(1, [json.dumps(resource).encode()])
    sheet = patient_sheet(good.text.rpartition("\t")[0], good.identifier, good.identifiers)
    assert (sheet.matricule, sheet.birth_name) == (SOMEBODY.matricule, SOMEBODY.birth_name)
    assert (sheet.marital_status, sheet.mobile, sheet.phone, sheet.email) == (
        "widowed", "+352621123456", "+352261234", "a@b.lu",
    )  # fmt: skip
    assert (sheet.birth_place, sheet.birth_postal_code, sheet.birth_country) == ("Porto", "4000", "PT")
    assert sheet.birth_date_evidence == "declared" and good.unsaid == ""
    assert sheet.identifiers == ({"system": "urn:dsp:local", "value": "A-1"},)


def test_two_professions_of_one_professional_are_nobodys_guess() -> None:
    def role(profession: str) -> str:
        told = {"resourceType": "PractitionerRole", "code": [{"coding": [{"code": profession}]}],
                "practitioner": {"identifier": {"value": SOMEBODY.matricule}}}  # fmt: skip
        return json.dumps(told)

    roles = Roles()
    roles.add(role("nurse"))
    roles.add(role("midwife"))
    who = {"resourceType": "Practitioner", "identifier": [{"system": formats.MATRICULE, "value": SOMEBODY.matricule}],
           "name": [{"use": "official", "family": "A", "given": ["B"]}],
           "communication": [{"coding": [{"code": "fr-LU"}]}]}  # fmt: skip
    _, [refused] = Reader("professionals", "ndjson", TODAY, (), roles).read(1, [json.dumps(who).encode()])
    assert refused.faults == (("profession", "unknown"),)


# --- texts of COPY ----------------------------------------------------------------------------------------------------

NAMES = st.text(min_size=1, max_size=40).filter(lambda text: any(letter.isalpha() for letter in rules.fold(text)))


@given(NAMES, NAMES, st.none() | NAMES, st.none() | NAMES, st.sampled_from(["", "\\N", "\\", 'a"b', "{x}"]))
def test_a_sheet_written_for_copy_is_read_again_as_it_was(
    birth_name: str, first_names: str, usual_name: str | None, place: str | None, odd: str
) -> None:
    values: dict[str, Any] = {
        "matricule": SOMEBODY.matricule, "birth_name": birth_name + odd, "first_names": first_names, "sex": "X",
        "birth_date": "1980-02-29", "language": "lb", "address": {**HOME, "line": f"{odd} 4"}, "birth_place": place,
        "usual_name": usual_name,
    }  # fmt: skip
    try:
        sheet = require_patient_sheet(values, TODAY)
    except rules.InvalidInput:
        return
    text = patient_text(sheet)
    assert "\n" not in text and text.count("\t") == len(PATIENT_COLUMNS) - 1
    assert patient_sheet(text.rpartition("\t")[0], sheet.matricule, ()) == sheet
    assert text.rpartition("\t")[2] == cell(array(keys_of(sheet)))


# --- who stands twice -------------------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from([each.matricule for each in patients(60, 1, 0)] + ["urn:dsp:local 1", "urn:dsp:local 2"]))
)
def test_somebody_is_new_once(identifiers: list[str]) -> None:
    seen, known = Seen(), set[str]()
    for identifier in identifiers:
        assert seen.is_new(identifier) is (identifier not in known)
        known.add(identifier)


def test_a_nation_is_told_apart_exactly() -> None:
    everyone: list[Patient] = list(patients(20_000, 5, 0))
    seen = Seen()
    assert all(seen.is_new(one.matricule) for one in everyone)
    assert not any(seen.is_new(one.matricule) for one in everyone)
