"""Who could see a document then, and what a professional is told of a restriction that was lifted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now, rfc3339
from services.documents.contract import DocumentNotFound
from services.refusals import InvalidInput, NotAllowed
from services.tokens import Caller
from tests.services.ward import Ward

DAY = timedelta(days=1)


def long_ago(ward: Ward, who: Caller) -> None:
    """Has everything so far been so for twenty days."""
    for table, column in (("state_changes", "at"), ("circle_members", "since")):
        ward.dossier_sql(f"update {table} set {column} = now() - interval '20 days' where record_id = :r",
                         r=ward.record_id)  # fmt: skip
    ward.dossier_sql("update professional_periods set since = now() - interval '20 days' where professional_id = :p",
                     p=who.professional_id)  # fmt: skip


def readers(ward: Ward, document_id: str, days: float | None = None) -> set[str]:
    moment = {} if days is None else {"moment": rfc3339(now() - days * DAY)}
    found = ward.ask("readers", ward.holder, document_id=document_id, **moment)["readers"]
    return {each["professional_id"] for each in found if each["professional_id"]}


@pytest.fixture
def restricted_once(ward: Ward) -> tuple[str, Caller]:
    """A document eight days old that was hidden from somebody from day five to day four."""
    doctor = ward.professional()
    ward.trust(doctor)
    long_ago(ward, doctor)
    document_id = ward.deposit(ward.present())
    ward.restrict(ward.holder, document_id, doctor)
    ward.unrestrict(ward.holder, document_id, doctor)
    then = now()
    ward.sql("update documents set deposited_at = :a where document_id = :d", a=then - 8 * DAY, d=document_id)
    ward.sql("update levels set valid_from = :a where document_id = :d", a=then - 8 * DAY, d=document_id)
    ward.sql("update restrictions set since = :a, until = :b where document_id = :d",
             a=then - 5 * DAY, b=then - 4 * DAY, d=document_id)  # fmt: skip
    return document_id, doctor


def explained(ward: Ward, asker: Caller, document_id: str, who: Any, days: float) -> Any:
    return ward.ask("explain_document", asker, document_id=document_id, who=who, action="read",
                    moment=rfc3339(now() - days * DAY))  # fmt: skip


def test_who_could_see_it_then_is_told_as_it_was_then(ward: Ward, restricted_once: tuple[str, Caller]) -> None:
    document_id, doctor = restricted_once
    seen = {days: doctor.professional_id in readers(ward, document_id, days) for days in (7, 4.5, 3, None)}
    assert seen == {7: True, 4.5: False, 3: True, None: True}
    assert [trace["action"] for trace in ward.traces("rights.searched")] == ["rights.searched"] * 4


def test_a_moment_that_is_none_is_to_come_or_lies_before_the_deposit_is_refused(
    ward: Ward, restricted_once: tuple[str, Caller]
) -> None:
    document_id, _ = restricted_once
    for moment, code in (
        ("yesterday", "moment"), ("2026-11-21T09:30:00", "moment"), (rfc3339(now() - 9 * DAY), "out_of_range"),
        (rfc3339(now() + DAY), "not_yet"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as refused:
            ward.ask("readers", ward.holder, document_id=document_id, moment=moment)
        assert refused.value.detail["errors"] == [{"pointer": "/moment", "message": code}]


def test_no_professional_asks_who_could_see_it_then_and_a_hidden_document_is_absent(
    ward: Ward, restricted_once: tuple[str, Caller]
) -> None:
    document_id, doctor = restricted_once
    moment = rfc3339(now() - 3 * DAY)
    with pytest.raises(NotAllowed):
        ward.ask("readers", doctor, document_id=document_id, moment=moment)
    for asked in (new_id(), document_id):
        with pytest.raises(DocumentNotFound):
            ward.ask("readers", ward.professional(), document_id=asked, moment=moment)


def test_a_lifted_restriction_is_told_to_the_holder_side_and_not_to_the_one_it_hid_from(
    ward: Ward, restricted_once: tuple[str, Caller]
) -> None:
    document_id, doctor = restricted_once
    about = {"professional_id": doctor.professional_id}
    assert explained(ward, ward.holder, document_id, about, 4.5)["step"] == "restriction"
    told = explained(ward, doctor, document_id, "me", 4.5)
    assert (told["allowed"], told["step"]) == (False, "ground") and "restriction" not in str(told)
    assert explained(ward, doctor, document_id, "me", 3)["allowed"] is True


def test_the_holder_asks_about_their_assistant(ward: Ward) -> None:
    assistant = ward.assistant()
    document_id = ward.deposit(ward.present())
    ask = {"document_id": document_id, "action": "read", "who": {"patient_id": assistant.patient_id}}
    assert ward.ask("explain_document", ward.holder, **ask)["ground"] == "assistant"
    with pytest.raises(InvalidInput):
        ward.ask("explain_document", ward.holder, **{**ask, "who": {}})


def test_nobody_whom_the_directory_does_not_know_can_be_kept_from_a_document(ward: Ward) -> None:
    document_id, reader = ward.deposit(ward.present()), ward.present("nurse")
    said = {"professional_id": new_id(), "risk_accepted": True, "risk_version": "risk-2026-1"}
    with pytest.raises(InvalidInput) as refused:
        ward.ask("restrict_document", ward.holder, document_id=document_id, **said)
    assert refused.value.detail["errors"] == [{"pointer": "/professional_id", "message": "unknown"}]
    assert ward.ask("list_restrictions", ward.holder, document_id=document_id)["restrictions"] == []
    with pytest.raises(DocumentNotFound):
        ward.ask("restrict_document", ward.holder, document_id=new_id(), **said)
    with pytest.raises(NotAllowed):
        ward.ask("restrict_document", reader, document_id=document_id, **said)
