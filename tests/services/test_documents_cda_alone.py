"""A CDA document that comes alone says what it is: code, title, day, language, patient; over directory and dossier."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.documents import contract
from services.documents.contract import (
    MATRICULE_ROOT,
    AuthorUnknown,
    TypeCodeUnknown,
    TypeNotDepositable,
    WrongPatient,
)
from services.dossier.contract import RecordNotFound
from services.refusals import InvalidInput, KeyReused
from services.settings import Settings
from services.tokens import Caller
from tests.builders import House, any_matricule, birth_date, caller, pdf
from tests.services.test_directory import a_patient
from tests.services.test_documents_deposits import machine
from tests.services.ward import Ward

BODY = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"></ClinicalDocument>'


class Clinic(Ward):
    """A ward whose holder has an identity sheet."""

    def __init__(self, house: House, settings: Settings) -> None:
        super().__init__(house, settings)
        self.matricule = any_matricule()
        sheet = a_patient(matricule=self.matricule, birth_date=birth_date(self.matricule))
        told = house.ask("directory", "register_patient", caller("agent"), **sheet)
        self.holder = caller("patient", patient_id=told["patient_id"])
        self.record_id = self.new_record(self.holder)
        self.letter()

    def establishment(self, kind: str) -> str:
        told = self.house.ask("directory", "register_establishment", caller("agent"), name="x", kind=kind)
        return str(told["establishment_id"])

    def header(self, **changes: Any) -> dict[str, Any]:
        return {
            "type_code": "11488-4", "title": "Lettre de sortie", "act_date": "2026-11-20", "language": "fr-LU",
            "patient_ids": [
                [{"root": MATRICULE_ROOT, "extension": self.matricule}, {"root": "1.2.3", "extension": "7"}]
            ],
            "author_ids": [{"root": "1.2.3", "extension": "x"}], **changes,
        }  # fmt: skip

    def cda(self, who: Caller, **changes: Any) -> Any:
        header = self.header(**changes)
        return self.ask(
            "prepare_cda", who, record_id=self.record_id, header=header, gateway_key=self.gateway.public
        )  # fmt: skip

    def deposited(
        self, who: Caller, started: dict[str, Any], data: bytes = BODY, media_type: str = contract.CDA
    ) -> Any:
        self.put(started, data)
        return self.commit(who, started, data, media_type=media_type)


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, ("directory", "dossier", "documents"))
    yield made
    made.close()


@pytest.fixture
def clinic(house: House, bucket: Settings) -> Clinic:
    made = Clinic(house, bucket)
    made.sql("delete from outbox")
    return made


def test_the_header_names_type_title_day_and_language(clinic: Clinic) -> None:
    doctor = clinic.present()
    document_id = clinic.deposited(doctor, clinic.cda(doctor))["document_id"]
    item = clinic.ask("read_document", doctor, document_id=document_id)
    assert (item["type"], item["title"], item["act_date"], item["language"]) == (
        "medical_report", "Lettre de sortie", "2026-11-20", "fr",
    )  # fmt: skip
    assert item["author_id"] == doctor.professional_id
    assert len(clinic.traces("document.created")) == 1


def test_a_document_without_title_and_day_is_called_by_its_type(clinic: Clinic) -> None:
    doctor = clinic.present()
    started = clinic.cda(doctor, title=None, act_date=None, language=None)
    item = clinic.ask("read_document", doctor, document_id=clinic.deposited(doctor, started)["document_id"])
    assert (item["title"], item["act_date"], item["language"]) == ("Rapports médicaux", None, None)


@pytest.mark.parametrize(
    "patients",
    [
        [], [[]], [[{"root": MATRICULE_ROOT, "extension": ""}]], [[{"root": "1.2.3", "extension": "own"}]],
        [[{"root": MATRICULE_ROOT, "extension": "own"}, {"root": MATRICULE_ROOT, "extension": "other"}]],
        [[{"root": MATRICULE_ROOT, "extension": "other"}]],
        [[{"root": MATRICULE_ROOT, "extension": "own"}], [{"root": "9.9", "extension": "other"}]],
        [[{"root": "9.9", "extension": "other"}], [{"root": MATRICULE_ROOT, "extension": "own"}]],
        [[{"root": MATRICULE_ROOT, "extension": "own"}], [{"root": MATRICULE_ROOT, "extension": "other"}]],
        [[{"root": MATRICULE_ROOT, "extension": "own"}], []],
    ],
)  # fmt: skip
def test_a_document_that_does_not_name_the_records_patient_alone_is_refused(
    clinic: Clinic, patients: list[list[dict[str, str]]]
) -> None:
    words = {"own": clinic.matricule, "other": any_matricule(), "": ""}
    named = [[{**each, "extension": words[each["extension"]]} for each in ids] for ids in patients]
    with pytest.raises(WrongPatient):
        clinic.cda(clinic.present(), patient_ids=named)
    [trace] = clinic.traces()
    assert (trace["outcome"], trace["reason"], trace["record_id"]) == ("refused", "wrong_patient", clinic.record_id)
    assert clinic.matricule not in json.dumps(clinic.house.events("documents"))


def test_a_document_that_names_the_records_patient_twice_is_taken(clinic: Clinic) -> None:
    own = {"root": MATRICULE_ROOT, "extension": clinic.matricule}
    assert clinic.cda(clinic.present(), patient_ids=[[own], [{"root": "9.9", "extension": "7"}, own]])["upload_id"]


def test_one_key_is_one_deposit_whether_described_or_describing_itself(clinic: Clinic) -> None:
    doctor = clinic.present()
    one, other = (replace(doctor, context=replace(doctor.context, idempotency_key=key)) for key in ("one", "other"))
    started = clinic.prepare(one)
    with pytest.raises(KeyReused):
        clinic.cda(one)
    assert clinic.prepare(one)["upload_id"] == started["upload_id"]
    alone = clinic.cda(other)
    with pytest.raises(KeyReused):
        clinic.prepare(other)
    assert clinic.cda(other)["upload_id"] == alone["upload_id"] != started["upload_id"]


def test_a_former_matricule_of_the_patient_counts(clinic: Clinic) -> None:
    other = any_matricule()
    with clinic.house.sessions["directory"].transaction() as session:
        session.execute(sa.text("update matricules set matricule = :new where matricule = :old"),
                        {"new": other, "old": clinic.matricule})  # fmt: skip
    with pytest.raises(WrongPatient):
        clinic.cda(clinic.present())
    clinic.matricule = other
    assert clinic.cda(clinic.present())["upload_id"]


def test_a_code_that_is_no_type_and_a_type_that_is_no_right_are_refused(clinic: Clinic) -> None:
    for code in (None, "", "99999-9", "medical_report"):
        with pytest.raises(TypeCodeUnknown):
            clinic.cda(clinic.present(), type_code=code)
    with pytest.raises(TypeNotDepositable):
        clinic.cda(clinic.present("pharmacist"))
    with pytest.raises(TypeNotDepositable):
        clinic.cda(clinic.holder)


def test_without_a_ground_the_patient_is_not_even_compared(clinic: Clinic) -> None:
    stranger = clinic.professional()
    for ids in ([{"root": MATRICULE_ROOT, "extension": clinic.matricule}], []):
        with pytest.raises(RecordNotFound):
            clinic.cda(stranger, patient_ids=[ids])


@pytest.mark.parametrize("wrong", [None, [], {}, {"type_code": "x"}, "x"])
def test_a_header_in_no_shape_is_refused(clinic: Clinic, wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        clinic.ask("prepare_cda", clinic.present(), record_id=clinic.record_id, header=wrong,
                   gateway_key=clinic.gateway.public)  # fmt: skip


def test_software_deposits_for_the_author_in_the_header(clinic: Clinic) -> None:
    doctor = clinic.present()
    software = machine(doctor.establishment_id)
    named = [{"root": "1.2.3", "extension": "x"}, {"root": "2.25", "extension": str(doctor.professional_id)}]
    document_id = clinic.deposited(software, clinic.cda(software, author_ids=named))["document_id"]
    clinic.examine()
    assert clinic.sql("select author_id from documents where document_id = :d", d=document_id)[0][0] is not None
    elsewhere = machine(clinic.establishment("practice"))
    for who, ids in ((software, []), (elsewhere, named), (software, [{"root": "2.25", "extension": new_id()}])):
        with pytest.raises(AuthorUnknown):
            clinic.cda(who, author_ids=ids)


# --- the health fund --------------------------------------------------------------------------------------------------


def fund(clinic: Clinic) -> Caller:
    return machine(clinic.establishment("health_fund"))


def test_the_health_fund_deposits_its_document_as_an_institution(clinic: Clinic) -> None:
    software, data = fund(clinic), pdf("Décompte")
    started = clinic.prepare(software, type="health_fund_document", title="Résumé")
    clinic.put(started, data)
    document_id = clinic.commit(software, started, data)["document_id"]
    [row] = clinic.sql(
        "select author_kind, author_id, institution_id, establishment_id from documents where document_id = :d",
        d=document_id,
    )
    assert (row.author_kind, row.author_id, str(row.institution_id)) == ("institution", None, software.establishment_id)
    assert row.establishment_id == row.institution_id
    [trace] = clinic.traces("document.created")
    assert (trace["ground"], trace["rule"]) == ("institution", "institution/health_fund")
    assert trace["establishment_id"] == software.establishment_id and trace["professional_id"] is None
    clinic.examine()
    assert document_id in clinic.listed(clinic.holder)


def test_the_health_fund_deposits_nothing_else_and_nobody_else_deposits_for_it(clinic: Clinic) -> None:
    software = fund(clinic)
    for kind in ("medical_report", "patient_summary", "holder_expression"):
        with pytest.raises(TypeNotDepositable):
            clinic.prepare(software, type=kind)
    with pytest.raises(RecordNotFound):
        clinic.prepare(software, type="health_fund_document", record_id=new_id())
    for kind in ("practice", "hospital", "laboratory"):
        with pytest.raises(AuthorUnknown):
            clinic.prepare(machine(clinic.establishment(kind)), type="health_fund_document")
    with pytest.raises(AuthorUnknown):
        clinic.prepare(machine(new_id()), type="health_fund_document")
    clinic.set_in_record(state="closed")
    with pytest.raises(RecordNotFound):
        clinic.prepare(software, type="health_fund_document")
