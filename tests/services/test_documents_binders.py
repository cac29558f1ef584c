"""Binders: a reader's own collections, seen by nobody else, that never show more than their reader may see."""

from __future__ import annotations

import pytest

from services.db import new_id
from services.documents.contract import (
    BINDERS_MOST,
    BinderNameTaken,
    BinderNotFound,
    DocumentNotFound,
    TooManyBinders,
)
from services.dossier.contract import RecordNotFound
from services.refusals import InvalidInput
from services.tokens import Caller
from tests.builders import caller
from tests.services.ward import Ward, at_once


def made(ward: Ward, who: Caller, name: str = "Cardiologie") -> str:
    return str(ward.ask("create_binder", who, record_id=ward.record_id, name=name)["binder_id"])


def fill(ward: Ward, who: Caller, binder_id: str, document_id: str) -> None:
    ward.ask("fill_binder", who, binder_id=binder_id, document_id=document_id)


def counts(ward: Ward, who: Caller) -> dict[str, int]:
    found = ward.ask("list_binders", who, record_id=ward.record_id)["binders"]
    return {each["name"]: each["documents"] for each in found}


def test_a_reader_fills_a_binder_and_empties_it(ward: Ward) -> None:
    doctor = ward.present()
    document_id, binder_id = ward.deposit(doctor), made(ward, doctor)
    fill(ward, doctor, binder_id, document_id)
    fill(ward, doctor, binder_id, document_id)
    assert counts(ward, doctor) == {"Cardiologie": 1}
    for _ in range(2):
        ward.ask("empty_binder", doctor, binder_id=binder_id, document_id=document_id)
    assert counts(ward, doctor) == {"Cardiologie": 0} and ward.listed(doctor) == [document_id]


def test_a_binder_is_renamed_and_removed_and_its_documents_stay(ward: Ward) -> None:
    document_id, binder_id = ward.deposit(ward.present()), made(ward, ward.holder)
    fill(ward, ward.holder, binder_id, document_id)
    renamed = ward.ask("rename_binder", ward.holder, binder_id=binder_id, name="  Mon   cœur ")
    assert (renamed["name"], renamed["documents"]) == ("Mon cœur", 1)
    ward.ask("remove_binder", ward.holder, binder_id=binder_id)
    assert counts(ward, ward.holder) == {} and ward.listed(ward.holder) == [document_id]


def test_nobody_else_sees_or_touches_a_binder_not_even_the_holder(ward: Ward) -> None:
    doctor, colleague = ward.present(), ward.present("nurse")
    document_id, binder_id = ward.deposit(doctor), made(ward, doctor)
    for who in (colleague, ward.holder):
        assert counts(ward, who) == {}
        with pytest.raises(BinderNotFound):
            ward.ask("rename_binder", who, binder_id=binder_id, name="Autre")
        with pytest.raises(BinderNotFound):
            ward.ask("remove_binder", who, binder_id=binder_id)
        with pytest.raises(BinderNotFound):
            fill(ward, who, binder_id, document_id)
        with pytest.raises(BinderNotFound):
            ward.ask("empty_binder", who, binder_id=binder_id, document_id=document_id)


def test_a_document_hidden_since_is_in_the_binder_no_more_and_comes_back(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    document_id, binder_id = ward.deposit(author), made(ward, reader)
    fill(ward, reader, binder_id, document_id)
    ward.restrict(ward.holder, document_id, reader)
    assert counts(ward, reader) == {"Cardiologie": 0}
    ward.unrestrict(ward.holder, document_id, reader)
    assert counts(ward, reader) == {"Cardiologie": 1}


def test_a_hidden_document_and_one_of_another_record_cannot_be_put_in(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    hidden, binder_id = ward.deposit(author), made(ward, reader)
    ward.restrict(ward.holder, hidden, reader)
    for document_id in (hidden, new_id(), "x"):
        with pytest.raises(DocumentNotFound):
            fill(ward, reader, binder_id, document_id)


def test_without_a_ground_there_are_no_binders_and_those_there_were_are_absent(ward: Ward) -> None:
    reader = ward.present()
    binder_id = made(ward, reader)
    ward.end_mandates()
    with pytest.raises(RecordNotFound):
        counts(ward, reader)
    with pytest.raises(RecordNotFound):
        made(ward, reader, "Autre")
    with pytest.raises(BinderNotFound):
        ward.ask("rename_binder", reader, binder_id=binder_id, name="Autre")
    with pytest.raises(BinderNotFound):
        ward.ask("rename_binder", caller("professional"), binder_id=new_id(), name="Autre")


def test_a_name_stands_once_among_a_readers_binders_of_a_record(ward: Ward) -> None:
    doctor = ward.present()
    made(ward, doctor)
    other = made(ward, doctor, "Autre")
    with pytest.raises(BinderNameTaken):
        made(ward, doctor, " Cardiologie")
    with pytest.raises(BinderNameTaken):
        ward.ask("rename_binder", doctor, binder_id=other, name="Cardiologie")
    assert ward.ask("rename_binder", doctor, binder_id=other, name="Autre")["name"] == "Autre"
    made(ward, ward.holder)


def test_of_two_binders_made_at_once_with_one_name_one_is_made(ward: Ward) -> None:
    doctor = ward.present()
    told = at_once(4, lambda _: made(ward, doctor))
    assert sum(isinstance(answer, BinderNameTaken) for answer in told) == 3 and len(counts(ward, doctor)) == 1


def test_there_is_an_end_to_the_number_of_binders(ward: Ward) -> None:
    for number in range(BINDERS_MOST):
        made(ward, ward.holder, f"Classeur {number}")
    with pytest.raises(TooManyBinders) as refused:
        made(ward, ward.holder, "De trop")
    assert refused.value.detail == {"most": BINDERS_MOST}


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\u202eb", "a\x00b", None, 7])
def test_a_name_that_is_none_is_refused(ward: Ward, name: object) -> None:
    with pytest.raises(InvalidInput):
        ward.ask("create_binder", ward.holder, record_id=ward.record_id, name=name)


def test_every_look_at_binders_and_every_change_leaves_one_trace(ward: Ward) -> None:
    doctor = ward.present()
    document_id, binder_id = ward.deposit(doctor), made(ward, doctor)
    before = len(ward.traces())
    counts(ward, doctor)
    fill(ward, doctor, binder_id, document_id)
    ward.ask("empty_binder", doctor, binder_id=binder_id, document_id=document_id)
    ward.ask("rename_binder", doctor, binder_id=binder_id, name="Autre")
    ward.ask("remove_binder", doctor, binder_id=binder_id)
    told = [(trace["action"], trace["outcome"], trace["record_id"]) for trace in ward.traces()[before:]]
    actions = ("binder.searched", "binder.filled", "binder.emptied", "binder.changed", "binder.removed")
    assert told == [(action, "allowed", ward.record_id) for action in actions]
