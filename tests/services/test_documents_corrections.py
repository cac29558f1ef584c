"""Corrections of what a document says of itself: who may, what is kept of before, and that none is lost unseen."""

from __future__ import annotations

from typing import Any

import pytest

from services.db import new_id
from services.documents.contract import (
    TEXT,
    DocumentCorrected,
    DocumentNotFound,
    MediaTypeNotAllowed,
    TypeNotDepositable,
)
from services.refusals import ChangedMeanwhile, InvalidInput, NotAllowed
from services.tokens import Caller
from tests.services.entourage_house import with_key
from tests.services.ward import Ward, at_once


def correct(ward: Ward, who: Caller, document_id: str, version: int | None = None, **changes: Any) -> Any:
    return ward.ask("correct_document", who, document_id=document_id, version=version, changes=changes)


def told(ward: Ward, who: Caller, document_id: str) -> Any:
    return ward.ask("read_document", who, document_id=document_id)


def wordings(ward: Ward, who: Caller, document_id: str) -> list[tuple[Any, ...]]:
    found = ward.ask("read_history", who, document_id=document_id)["wordings"]
    return [(w["number"], w["type"], w["title"], w["act_date"], w["language"], w["author_id"]) for w in found]


def test_a_correction_changes_the_words_and_keeps_those_before(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    document_id = ward.deposit(author, b"eins", TEXT, title="Compte rendu", language="fr")
    done = correct(ward, other, document_id, 1, title="Compte rendu opératoire", act_date="2026-11-20")
    assert (done["title"], done["act_date"], done["language"], done["version"]) == (
        "Compte rendu opératoire", "2026-11-20", "fr", 2
    )  # fmt: skip
    after = told(ward, ward.holder, document_id)
    assert (after["title"], after["act_date"], after["version"]) == ("Compte rendu opératoire", "2026-11-20", 2)
    assert ward.read(ward.holder, document_id) == b"eins"
    assert wordings(ward, author, document_id) == [
        (2, "medical_report", "Compte rendu opératoire", "2026-11-20", "fr", other.professional_id),
        (1, "medical_report", "Compte rendu", None, "fr", author.professional_id),
    ]
    correct(ward, author, document_id, 2, act_date=None)
    assert [row[:1] + row[3:4] for row in wordings(ward, author, document_id)] == [
        (3, None), (2, "2026-11-20"), (1, None)
    ]  # fmt: skip
    assert [trace["professional_id"] for trace in ward.traces("document.corrected")] == [
        other.professional_id, author.professional_id
    ]  # fmt: skip


def test_another_type_takes_the_document_to_its_category_and_folder_and_tells_so(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT, type="medical_report")
    correct(ward, author, document_id, 1, type="medical_certificate")
    after = told(ward, author, document_id)
    assert (after["type"], after["category"], after["folder"]) == (
        "medical_certificate", "certificates", "certificates"
    )  # fmt: skip
    [event] = ward.events(DocumentCorrected)
    assert (event["number"], event["document_type"], event["category"], event["folder"]) == (
        2, "medical_certificate", "certificates", "certificates"
    )  # fmt: skip
    assert "title" not in event


def test_a_type_that_who_corrects_may_not_deposit_is_refused(ward: Ward) -> None:
    author, nurse = ward.present(), ward.present("nurse")
    document_id = ward.deposit(author, b"eins", TEXT)
    for who, kind in ((nurse, "medical_certificate"), (author, "drug_dispensation"), (author, "holder_expression")):
        with pytest.raises(TypeNotDepositable):
            correct(ward, who, document_id, type=kind)
    assert told(ward, author, document_id)["type"] == "medical_report"
    assert {trace["reason"] for trace in ward.traces("document.corrected")} == {"type_not_depositable"}


def test_a_type_whose_documents_are_of_another_kind_of_bytes_is_refused(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT, type="imaging")
    ward.sql("update versions set media_type = 'application/dicom' where document_id = :d", d=document_id)
    with pytest.raises(MediaTypeNotAllowed):
        correct(ward, author, document_id, type="medical_certificate")
    correct(ward, author, document_id, type="medical_report")


def test_the_holder_corrects_what_they_deposited_and_nothing_else(ward: Ward) -> None:
    own = ward.deposit(ward.holder, b"mein", TEXT, type="holder_expression", title="Mein Wille")
    foreign, doctor = ward.deposit(ward.present(), b"eins", TEXT), ward.present()
    correct(ward, ward.holder, own, title="Mein letzter Wille")
    correct(ward, ward.holder, own, type="advance_directives")
    with pytest.raises(TypeNotDepositable):
        correct(ward, ward.holder, own, type="medical_report")
    for who, document_id in ((ward.holder, foreign), (doctor, own)):
        with pytest.raises(NotAllowed):
            correct(ward, who, document_id, title="Anders")


def test_who_reads_only_who_sees_nothing_and_whose_ground_ended_correct_nothing(ward: Ward) -> None:
    author, reader, stranger = ward.present(), ward.present("pharmacist"), ward.professional()
    document_id = ward.deposit(author, b"eins", TEXT)
    with pytest.raises(NotAllowed):
        correct(ward, reader, document_id, title="Anders")
    for asked in (document_id, new_id(), "'; --"):
        with pytest.raises(DocumentNotFound):
            correct(ward, stranger, asked, title="Anders")
    ward.end_mandates()
    with pytest.raises(NotAllowed):
        correct(ward, author, document_id, title="Anders")


def test_of_two_corrections_of_what_both_read_one_is_made(ward: Ward) -> None:
    people = [ward.present() for _ in range(4)]
    document_id = ward.deposit(people[0], b"eins", TEXT)
    answers = at_once(4, lambda n: correct(ward, people[n], document_id, 1, title=f"Titel {n}"))
    assert sorted(type(answer).__name__ for answer in answers) == ["ChangedMeanwhile"] * 3 + ["dict"]
    with pytest.raises(ChangedMeanwhile):
        correct(ward, people[0], document_id, 1, title="Spaet")
    assert correct(ward, people[0], document_id, None, title="Egal")["version"] == 3


def test_a_correction_that_changes_nothing_makes_no_wording_and_a_repeat_none_either(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT, title="Compte rendu")
    assert correct(ward, author, document_id, 1, title=" Compte  rendu ")["version"] == 1
    assert wordings(ward, author, document_id) == [] and ward.events(DocumentCorrected) == []
    again = with_key(author, "k")
    assert correct(ward, again, document_id, 1, title="Neu") == correct(ward, again, document_id, 1, title="Neu")
    assert len(wordings(ward, author, document_id)) == 2 and len(ward.events(DocumentCorrected)) == 1


@pytest.mark.parametrize(
    "changes",
    [{}, {"title": ""}, {"title": "a" * 201}, {"type": "nothing"}, {"act_date": "2026-13-01"}, {"language": "fra"},
     {"level": "private"}, {"author_id": "x"}],
)  # fmt: skip
def test_senseless_corrections_are_refused_without_a_trace(ward: Ward, changes: dict[str, Any]) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    with pytest.raises(InvalidInput):
        correct(ward, author, document_id, 1, **changes)
    assert ward.traces("document.corrected") == []


def test_a_document_is_found_by_its_corrected_title(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"inhalt", TEXT, title="Compte rendu")
    correct(ward, author, document_id, title="Cholécystectomie")
    [[words]] = ward.sql("select words::text from texts where document_id = :d", d=document_id)
    assert "cholecystectomie" in words and "rendu" not in words and "inhalt" in words
