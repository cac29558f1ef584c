"""The term: ten years after its deposit a document ends, unless its holder's consent to longer keeping stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from services.db import now
from services.documents import ends
from services.documents.contract import DocumentRemoved
from services.refusals import Unavailable
from tests.builders import caller, pdf
from tests.services.ward import Ward, at_once

ALMOST = timedelta(days=3650)  # ten years have 3652 days or 3653
OVER = timedelta(days=3654)


@pytest.fixture(autouse=True)
def a_house_without_old_documents(ward: Ward) -> None:
    """Documents of other tests are as old in ten years: they end before, and are not counted."""
    ward.dossier_sql("update record_settings set value = 'no' where name = 'longer_keeping'")
    ward.house.documents._end_terms(now() + OVER)
    ward.sql("delete from condemned")
    ward.sql("delete from outbox")


def consent(ward: Ward, value: str) -> None:
    ward.house.ask(
        "dossier", "change_setting", ward.holder, record_id=ward.record_id, name="longer_keeping", value=value
    )


def ended(ward: Ward, after: timedelta = OVER) -> int:
    return int(ward.house.documents._end_terms(now() + after))


def test_a_document_ends_ten_years_after_its_deposit_and_not_before(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    assert ended(ward, ALMOST) == 0 and ward.listed(ward.holder) == [document_id]
    assert ended(ward) == 1 and ward.listed(ward.holder) == []
    assert ended(ward) == 0
    [event] = ward.events(DocumentRemoved)
    assert (event["document_id"], event["cause"]) == (document_id, "term")
    [trace] = ward.traces("document.removed")
    assert (trace["record_id"], trace["rule"], trace["account_id"]) == (ward.record_id, "term", None)
    [row] = ward.sql("select cause, state, asked_by, objects from removals where document_id = :id", id=document_id)
    assert (row.cause, row.state, row.asked_by) == ("term", "approved", None) and row.objects >= 1


def test_a_standing_consent_keeps_it_and_one_taken_back_does_not(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    consent(ward, "yes")
    assert ended(ward) == 0 and ward.listed(ward.holder) == [document_id]
    consent(ward, "no")
    assert ended(ward) == 1 and ward.listed(ward.holder) == []


def test_one_holders_consent_keeps_nothing_of_anothers(ward: Ward) -> None:
    other = caller("patient")
    record_id = ward.new_record(other)
    kept = ward.deposit(ward.present())
    consent(ward, "yes")
    ward.deposit(other, record_id=record_id, type="holder_expression")
    assert ended(ward) == 1 and ward.listed(ward.holder) == [kept]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ends, "ENDED_AT_ONCE", 2)
    yield


class Asked:
    """dossier, with a count of how often it was asked; out of reach from some question on."""

    def __init__(self, dossier: Any, until: int = 99) -> None:
        self._dossier, self._until, self.questions = dossier, until, 0

    def __getattr__(self, method: str) -> Any:
        return getattr(self._dossier, method)

    def kept_longer(self, context: Any, *, record_ids: list[str]) -> Any:
        self.questions += 1
        if self.questions > self._until:
            raise Unavailable(service="dossier")
        return self._dossier.kept_longer(context, record_ids=record_ids)


@pytest.fixture
def dossier(ward: Ward) -> Iterator[Any]:
    real = ward.house.documents.dossier
    yield real
    ward.house.documents.dossier = real


def test_kept_documents_at_the_front_hold_up_no_others_and_dossier_is_asked_once_a_batch(
    ward: Ward, dossier: Any, small_batches: None
) -> None:
    doctor, other = ward.present(), caller("patient")
    record_id = ward.new_record(other)
    kept = [ward.deposit(doctor) for _ in range(3)]
    consent(ward, "yes")
    for _ in range(2):
        ward.deposit(other, record_id=record_id, type="holder_expression")
    ward.house.documents.dossier = asked = Asked(dossier)
    assert ended(ward) == 2 and sorted(ward.listed(ward.holder)) == sorted(kept)
    assert asked.questions == 3  # five documents, two at a time


def test_while_dossier_cannot_be_asked_nothing_ends_and_it_goes_on_later(
    ward: Ward, dossier: Any, small_batches: None
) -> None:
    doctor = ward.present()
    documents = [ward.deposit(doctor) for _ in range(3)]
    ward.house.documents.dossier = Asked(dossier, until=1)
    assert ended(ward) == 2
    ward.house.documents.dossier = dossier
    assert ended(ward) == 1
    assert sorted(e["document_id"] for e in ward.events(DocumentRemoved)) == sorted(documents)


def test_two_replicas_end_each_document_once(ward: Ward) -> None:
    doctor = ward.present()
    documents = [ward.deposit(doctor, pdf(str(n))) for n in range(4)]
    at_once(3, lambda _: ended(ward))
    ended(ward)
    assert sorted(e["document_id"] for e in ward.events(DocumentRemoved)) == sorted(documents)


def test_what_an_agent_had_asked_for_is_settled_by_the_term(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    said = {"cause": "wrong_patient", "reason": "Demande écrite"}
    removal = ward.ask("ask_removal", caller("agent"), document_id=document_id, **said)
    assert ended(ward) == 1
    told = ward.ask("read_removal", caller("agent"), removal_id=removal["removal_id"])
    assert (told["state"], told["cause"], told["decided_by"]) == ("approved", "term", None)
