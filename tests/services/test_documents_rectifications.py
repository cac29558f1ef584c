"""Rectifications: the holder side asks, the author alone answers, and for 15 days may make a new version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now
from services.documents.contract import (
    TEXT,
    DocumentNotFound,
    RectificationAnswered,
    RectificationAsked,
    RectificationNotFound,
    RectificationOpen,
    RectificationOverdue,
    RectificationSettled,
)
from services.refusals import InvalidInput, NotAllowed
from services.tokens import Caller
from tests.services.entourage_house import with_key
from tests.services.test_documents_versions import prepared, replaced
from tests.services.ward import Ward, at_once

WISH = "La date de l'opération n'est pas la bonne."


def asks(ward: Ward, who: Caller, document_id: str, wish: str = WISH) -> Any:
    return ward.ask("ask_rectification", who, document_id=document_id, wish=wish)


def answers(ward: Ward, who: Caller, asked: Any, answer: str = "done", words: str | None = None) -> Any:
    said = {"rectification_id": asked["rectification_id"], "answer": answer, "words": words}
    return ward.ask("answer_rectification", who, **said)


def listed(ward: Ward, who: Caller, document_id: str) -> list[Any]:
    found: list[Any] = ward.ask("list_rectifications", who, document_id=document_id)["rectifications"]
    return found


def for_me(ward: Ward, who: Caller) -> list[str]:
    return [each["rectification_id"] for each in ward.ask("rectifications_for_me", who)["rectifications"]]


def test_the_holder_asks_the_author_makes_a_version_and_answers_and_both_see_it(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    asked = asks(ward, ward.holder, document_id)
    assert (asked["wish"], asked["answer"], asked["overdue"]) == (WISH, None, False)
    ward.end_mandates()
    assert for_me(ward, author) == [asked["rectification_id"]]
    version_id = replaced(ward, author, document_id, b"zwei", 1)
    done = answers(ward, author, asked, words="Corrigé.")
    assert (done["answer"], done["words"], done["version_id"]) == ("done", "Corrigé.", version_id)
    assert listed(ward, ward.holder, document_id) == listed(ward, author, document_id) == [done]
    assert ward.read(ward.holder, document_id) == b"zwei"
    [told], [settled] = ward.events(RectificationAsked), ward.events(RectificationAnswered)
    assert told["professional_id"] == author.professional_id and settled["answer"] == "done"
    assert WISH not in str(told) + str(settled) and "Corrigé" not in str(settled)
    [trace] = ward.traces("rectification.answered")
    assert (trace["ground"], trace["object_id"]) == ("author", document_id)


def test_an_author_whose_grounds_ended_has_fifteen_days_for_that_document_alone(ward: Ward) -> None:
    author = ward.present()
    document_id, other = ward.deposit(author, b"eins", TEXT), ward.deposit(author, b"anderes", TEXT)
    ward.end_mandates()
    with pytest.raises(NotAllowed):
        prepared(ward, author, document_id)
    asks(ward, ward.holder, document_id)
    assert prepared(ward, author, document_id, 1)
    with pytest.raises(NotAllowed):
        prepared(ward, author, other)
    ward.sql("update rectifications set asked_at = now() - interval '15 days 1 minute' where document_id = :d",
             d=document_id)  # fmt: skip
    with pytest.raises(NotAllowed):
        prepared(ward, author, document_id)


def test_nobody_but_the_author_answers_lists_or_hears_of_it(ward: Ward) -> None:
    author, other, stranger = ward.present(), ward.present(), ward.professional()
    document_id = ward.deposit(author, b"eins", TEXT)
    asked = asks(ward, ward.holder, document_id)
    for who in (other, stranger, ward.holder):
        with pytest.raises(RectificationNotFound):
            answers(ward, who, asked)
    with pytest.raises(RectificationNotFound):
        answers(ward, author, {"rectification_id": new_id()})
    with pytest.raises(NotAllowed):
        listed(ward, other, document_id)
    with pytest.raises(DocumentNotFound):
        listed(ward, stranger, document_id)
    assert for_me(ward, other) == for_me(ward, stranger) == []
    with pytest.raises(NotAllowed):
        for_me(ward, ward.holder)
    assert listed(ward, ward.holder, document_id)[0]["answer"] is None


def test_no_professional_asks_and_nobody_asks_about_what_has_no_author(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    own = ward.deposit(ward.holder, b"mein", TEXT, type="holder_expression")
    for who, asked in ((author, document_id), (ward.present(), document_id), (ward.holder, own)):
        with pytest.raises(NotAllowed):
            asks(ward, who, asked)
    assert ward.events(RectificationAsked) == []


def test_nobody_asks_about_a_document_that_is_hidden_from_them(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    ward.block(author, document_id)
    for asked in (document_id, new_id()):
        with pytest.raises(DocumentNotFound):
            asks(ward, ward.holder, asked)
        with pytest.raises(DocumentNotFound):
            listed(ward, ward.holder, asked)
    ward.release(author, document_id)
    assert asks(ward, ward.holder, document_id)


def test_a_representative_asks_as_the_holder_does(ward: Ward) -> None:
    document_id, parent = ward.deposit(ward.present(), b"eins", TEXT), ward.representative()
    asked = asks(ward, parent, document_id)
    assert [each["rectification_id"] for each in listed(ward, ward.holder, document_id)] == [asked["rectification_id"]]


def test_one_request_is_open_at_a_time_and_another_may_follow_its_answer(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    made = at_once(4, lambda _: asks(ward, ward.holder, document_id))
    assert sorted(type(each).__name__ for each in made) == ["RectificationOpen"] * 3 + ["dict"]
    [asked] = [each for each in made if isinstance(each, dict)]
    answers(ward, author, asked, "refused", "C'est la bonne date.")
    assert asks(ward, ward.holder, document_id)["rectification_id"] != asked["rectification_id"]
    with pytest.raises(RectificationOpen):
        asks(ward, ward.holder, document_id)


def test_a_repeated_request_and_a_repeated_answer_change_nothing(ward: Ward) -> None:
    author = ward.present()
    document_id, holder = ward.deposit(author, b"eins", TEXT), with_key(ward.holder, "k")
    asked = asks(ward, holder, document_id)
    assert asks(ward, holder, document_id) == asked
    assert answers(ward, author, asked) == answers(ward, author, asked)
    assert len(ward.events(RectificationAsked)) == len(ward.events(RectificationAnswered)) == 1
    with pytest.raises(RectificationSettled):
        answers(ward, author, asked, "refused", "Non.")


@pytest.mark.parametrize(
    ("answer", "words"), [("later", None), ("refused", None), ("refused", "  "), ("done", "x" * 2001)]
)
def test_senseless_answers_and_wishes_are_refused(ward: Ward, answer: str, words: str | None) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    with pytest.raises(InvalidInput):
        asks(ward, ward.holder, document_id, "x\u202ey" if words is None else words or "")
    with pytest.raises(InvalidInput):
        answers(ward, author, {"rectification_id": new_id()}, answer, words)


def test_a_closed_record_shows_its_authors_no_request(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    asked = asks(ward, ward.holder, document_id)
    assert for_me(ward, author) == [asked["rectification_id"]]
    ward.set_in_record(state="closed")
    assert for_me(ward, author) == []
    with pytest.raises(RectificationNotFound):
        answers(ward, author, asked)


def test_an_overdue_answer_is_told_of_once_and_an_answered_one_never(ward: Ward) -> None:
    author = ward.present()
    late, done = ward.deposit(author, b"eins", TEXT), ward.deposit(author, b"zwei", TEXT)
    open_one, answered = asks(ward, ward.holder, late), asks(ward, ward.holder, done)
    answers(ward, author, answered)
    service = ward.house.documents
    service._look_after_rectifications(now() + timedelta(days=14))
    assert ward.events(RectificationOverdue) == []
    for _ in range(2):
        service._look_after_rectifications(now() + timedelta(days=16))
    told = [e["rectification_id"] for e in ward.events(RectificationOverdue) if e["record_id"] == ward.record_id]
    assert told == [open_one["rectification_id"]]
    ward.sql("update rectifications set due_at = now() where document_id = :d", d=late)
    assert [each["overdue"] for each in listed(ward, ward.holder, late)] == [True]
