"""Coded entries: what is read from a CDA, what is not, and that they follow their document's current version."""

from __future__ import annotations

import pytest

from services.documents.contract import CDA
from services.documents.ports import cda as port
from services.documents.ports.cda_entries import MOST
from services.documents.rules_findings import Entry
from tests.cda_documents import ALLERGIES, ATC, ICD10, LOINC, PROBLEMS, RISKS, SNOMED, allergy, cda, factor, problem
from tests.cda_documents import section as part
from tests.services.ward import Ward


def read(*sections: str) -> list[Entry]:
    return list(port.examine(cda(*sections), CDA, {}).entries)


def test_problems_allergies_and_risk_factors_are_read_with_their_codes_and_days() -> None:
    smoking = factor("74011-8", "Consommation tabagique", '<value xsi:type="PQ" value="25" unit="{pack}/a"/>')
    drugs = factor("11343-1", "Drogues", f'<value xsi:type="CD" code="398705004" displayName="Cannabis"'
                   f' codeSystem="{SNOMED}"/>')  # fmt: skip
    found = read(
        part(PROBLEMS, problem("I20.0", "Angine de poitrine instable", "20190811")),
        part(ALLERGIES, allergy("N02BE01", "paracétamol", "201806031200+0200")),
        part(RISKS, smoking, drugs),
    )
    assert found == [
        Entry("problem", "Angine de poitrine instable", "I20.0", ICD10, "2019-08-11"),
        Entry("allergy", "paracétamol", "N02BE01", ATC, "2018-06-03"),
        Entry("risk_factor", "Consommation tabagique: 25 pack/a", "74011-8", LOINC, None),
        Entry("risk_factor", "Drogues: Cannabis", "11343-1", LOINC, None),
    ]


def test_what_is_denied_refuted_void_or_a_relatives_is_no_entry() -> None:
    refuted = (
        '<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN"><code code="66455-7"/>'
        '<value xsi:type="CD" code="refuted"/></observation></entryRelationship>'
    )
    of_mother = (
        '<organizer classCode="CLUSTER" moodCode="EVN"><subject><relatedSubject classCode="PRS"/></subject><component>'
        f"{problem('D57.1', 'Drépanocytose')}</component></organizer>"
    )
    found = read(
        part(
            PROBLEMS, problem("I10", "Hypertension", denied=True), problem("I26", "Embolie", inside=refuted),
            problem("J40", "Bronchite").replace('code="active"', 'code="nullified"'), of_mother,
            problem("160245001", "Pas de problème", system=SNOMED), problem("J45", "Asthme"),
        ),
        part(ALLERGIES, allergy("716186003", "Pas d'allergie connue")),
        part(
            RISKS, factor("74011-8", "Tabac", '<value xsi:type="PQ" value="0" unit="{pack}/a"/>'),
            factor("x", "Voyage", '<value xsi:type="BL" value="false"/>'),
            factor("y", "Solitude", '<value xsi:type="BL" value="true"/>'),
        ),
        part("10157-6", problem("E10", "Diabète")), part("11348-0", problem("N10", "Pyélonéphrite")),
    )  # fmt: skip
    assert [each.display for each in found] == ["Asthme", "Solitude"]


def test_what_stands_inside_an_observation_is_about_it_and_not_beside_it() -> None:
    severe = (
        '<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN"><code code="SEV"/>'
        f'<value xsi:type="CD" code="24484000" displayName="sévère" codeSystem="{SNOMED}"/></observation>'
        "</entryRelationship>"
    )
    assert [each.display for each in read(part(PROBLEMS, problem("J45", "Asthme", inside=severe)))] == ["Asthme"]


@pytest.mark.parametrize(
    ("told", "day"),
    [("2019", "2019-01-01"), ("201903", "2019-03-01"), ("20190230", None), ("1002", None), ("x", None), ("", None)],
)
def test_a_day_is_read_as_far_as_it_is_told_and_never_made_up(told: str, day: str | None) -> None:
    [entry] = read(part(PROBLEMS, problem("J45", "Asthme", told)))
    assert entry.since == day


def test_a_name_that_is_only_pointed_to_is_read_from_the_narrative() -> None:
    pointed = problem("J45", "").replace("/></observation>", "><originalText><reference value='#a1'/></originalText>"
                                         "</value></observation>")  # fmt: skip
    text = "<table><tbody><tr><td ID='a1'>Asthme <content>sévère</content></td></tr></tbody></table>"
    assert [each.display for each in read(part(PROBLEMS, pointed, text=text))] == ["Asthme sévère"]


def test_the_same_entry_twice_is_one_and_there_is_an_end_to_them() -> None:
    twice = [problem("J45", "Asthme", "2019")] * 2
    assert len(read(part(PROBLEMS, *twice))) == 1
    assert len(read(part(PROBLEMS, *(problem(f"A{n}", f"P{n}") for n in range(MOST + 5))))) == MOST


def test_entries_of_a_deposit_are_kept_in_their_order(ward: Ward) -> None:
    file = cda(part(PROBLEMS, problem("J45", "Asthme", "2019"), problem("I10", "Hypertension")))
    document_id = ward.deposit(ward.present(), file, CDA, type="patient_summary")
    kept = ward.sql(
        "select number, kind, display, code, since from entries where document_id = :id order by number",
        id=document_id,
    )
    assert [(row.number, row.kind, row.display, row.code) for row in kept] == [
        (1, "problem", "Asthme", "J45"), (2, "problem", "Hypertension", "I10"),
    ]  # fmt: skip
    assert [row.since and row.since.isoformat() for row in kept] == ["2019-01-01", None]


def test_a_file_without_coded_entries_has_none(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    assert ward.sql("select 1 from entries where document_id = :id", id=document_id) == []


def test_a_new_version_tells_its_own_entries_and_those_of_the_one_before_no_more(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor, cda(part(PROBLEMS, problem("J45", "Asthme"))), CDA, type="patient_summary")
    data = cda(part(PROBLEMS, problem("I10", "Hypertension")))
    started = ward.ask("prepare_version", doctor, document_id=document_id, version=None,
                       gateway_key=ward.gateway.public)  # fmt: skip
    ward.put(started, data)
    ward.commit(doctor, started, data, media_type=CDA)
    displays = "select display from entries where document_id = :id"
    assert [row.display for row in ward.sql(displays, id=document_id)] == ["Asthme"], "while it is looked at"
    ward.examine()
    assert [row.display for row in ward.sql(displays, id=document_id)] == ["Hypertension"]
