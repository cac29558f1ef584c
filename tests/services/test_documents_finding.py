"""Finding without words: the tree, what a list is narrowed to, its orders and pages, and what is new to a reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.bus import Received
from services.db import new_id, now
from services.directory.contract import ProfessionalUpdated
from services.directory.models import Professional
from services.documents import rules_words, store_words
from services.documents.contract import TEXT
from services.dossier.contract import RecordClosed, RecordNotFound
from services.refusals import InvalidInput
from services.tokens import Caller
from tests.builders import House, context
from tests.services.ward import Ward


def listed(ward: Ward, who: Caller, limit: int = 50, **wanted: Any) -> list[str]:
    return ward.listed(who, wanted=wanted, limit=limit)


def tree(ward: Ward, who: Caller, **changes: Any) -> dict[str, dict[str, int]]:
    """The folders that are not empty, with the counts of their types."""
    told = ward.ask("read_tree", who, record_id=ward.record_id, **changes)["folders"]
    assert all(each["count"] == sum(kind["count"] for kind in each["types"]) for each in told)
    return {one["folder"]: {kind["type"]: kind["count"] for kind in one["types"]} for one in told if one["types"]}


# --- the tree ---------------------------------------------------------------------------------------------------------


def test_the_tree_has_all_folders_in_their_order_and_the_names_of_ones_language(ward: Ward) -> None:
    doctor = ward.present()
    ward.deposit(doctor)
    told = ward.ask("read_tree", doctor, record_id=ward.record_id)["folders"]
    assert [one["folder"] for one in told] == [
        "personal_data", "summaries", "certificates", "dispensations", "medical_data", "social_data", "imaging",
        "laboratory", "prevention", "care_follow_up", "prescription", "vaccination",
    ]  # fmt: skip
    assert told[4] == {
        "folder": "medical_data", "label": "Données Médicales", "count": 1,
        "types": [{"type": "medical_report", "label": "Rapports médicaux", "count": 1}],
    }  # fmt: skip
    assert told[5] == {"folder": "social_data", "label": "Données Sociales", "count": 0, "types": []}
    german = ward.house.ask(
        "documents", "read_tree", _speaking(doctor, "de"), record_id=ward.record_id
    )["folders"]  # fmt: skip
    assert (german[4]["label"], german[4]["types"][0]["label"]) == ("Medizinische Daten", "Arztberichte")


def _speaking(who: Caller, language: str) -> Caller:
    return Caller(**{**vars(who), "context": context(locale=language)})


def test_the_tree_counts_what_the_reader_may_see_and_nothing_else(ward: Ward) -> None:
    author, reader, pharmacist = ward.present(), ward.present(), ward.present("pharmacist")
    ward.deposit(author)
    restricted, blocked, private = (ward.deposit(author) for _ in range(3))
    ward.deposit(author, type="medical_certificate")
    ward.deposit(ward.holder, b"x", TEXT, type="holder_expression")
    ward.restrict(ward.holder, restricted, reader)
    ward.block(author, blocked)
    ward.set_level(ward.holder, private, "private")
    ward.sql("delete from outbox")
    whole = {"medical_data": {"medical_report": 4}, "certificates": {"medical_certificate": 1}}
    own_words = {"personal_data": {"holder_expression": 1}}
    assert {name: tree(ward, author)[name] for name in whole} == whole
    assert tree(ward, reader)["medical_data"] == {"medical_report": 2}
    assert tree(ward, ward.holder) == {**own_words, **whole, "medical_data": {"medical_report": 3}}
    assert sum(map(sum, (kinds.values() for kinds in tree(ward, pharmacist).values()))) == len(ward.listed(pharmacist))
    counts = [trace["count"] for trace in ward.traces("document.searched")]
    assert counts[2:4] == [sum(map(sum, (kinds.values() for kinds in tree(ward, who).values())))
                           for who in (reader, ward.holder)]  # fmt: skip


def test_without_a_ground_there_is_no_tree_and_an_author_has_that_of_their_own(ward: Ward) -> None:
    author, stranger = ward.present(), ward.professional()
    ward.deposit(author)
    ward.deposit(ward.present())
    ward.end_mandates()
    assert tree(ward, author) == {"medical_data": {"medical_report": 1}}
    refused = []
    for record_id in (ward.record_id, new_id(), "x"):
        with pytest.raises(RecordNotFound) as refusal:
            ward.ask("read_tree", stranger, record_id=record_id)
        refused.append(refusal.value.to_wire())
    assert refused == [refused[0]] * 3
    ward.set_in_record(state="closed")
    with pytest.raises(RecordClosed):
        tree(ward, ward.holder)


def test_the_tree_is_one_word_to_the_database_and_one_with_its_trace(ward: Ward) -> None:
    doctor = ward.present()
    with ward.counted() as statements:
        tree(ward, doctor)
    assert len(statements) == 2


# --- the list ---------------------------------------------------------------------------------------------------------


def test_a_list_is_narrowed_by_each_word_and_by_all_of_them(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    report = ward.deposit(doctor, act_date="2026-05-01")
    certificate = ward.deposit(other, type="medical_certificate", act_date="2026-06-01")
    own = ward.deposit(ward.holder, b"x", TEXT, type="holder_expression", act_date="2026-07-01")
    ward.set_level(ward.holder, report, "confidential")
    for wanted, right in (
        ({"type": "medical_report"}, [report]),
        ({"category": "certificates"}, [certificate]),
        ({"folder": "personal_data"}, [own]),
        ({"level": "confidential"}, [report]),
        ({"author": doctor.professional_id}, [report]),
        ({"author": "holder"}, [own]),
        ({"acted_from": "2026-05-02"}, [own, certificate]),
        ({"acted_until": "2026-06-01"}, [certificate, report]),
        ({"acted_from": "2026-06-01", "acted_until": "2026-06-01"}, [certificate]),
        ({"author": other.professional_id, "folder": "certificates", "level": "standard"}, [certificate]),
        ({"author": other.professional_id, "folder": "personal_data"}, []),
        ({"type": None, "new_to_me": False}, [own, certificate, report]),
    ):
        assert listed(ward, ward.holder, **wanted) == right, wanted


def test_a_narrowed_list_shows_nothing_that_the_whole_one_does_not(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    shown, hidden = ward.deposit(author), ward.deposit(author)
    ward.restrict(ward.holder, hidden, reader)
    for wanted in ({"author": author.professional_id}, {"type": "medical_report"}, {"order": "acted"},
                   {"new_to_me": True}, {"level": "standard"}):  # fmt: skip
        assert listed(ward, reader, **wanted) == [shown], wanted
    assert [trace["count"] for trace in ward.traces("document.searched")] == [1] * 5


def test_the_order_of_acts_counts_an_undated_one_on_the_day_of_its_deposit(ward: Ward) -> None:
    doctor = ward.present()
    old = ward.deposit(doctor, act_date="2020-01-01")
    undated = ward.deposit(doctor)
    older = ward.deposit(doctor, act_date="2019-01-01")
    assert listed(ward, doctor) == [older, undated, old]
    assert listed(ward, doctor, order="acted") == [undated, old, older]
    today = now().date().isoformat()
    assert listed(ward, doctor, acted_from=today) == [undated]


@pytest.mark.parametrize("wanted", [{"order": "acted"}, {"type": "medical_report"}, {"new_to_me": True}, {}])
def test_pages_of_every_question_follow_each_other_without_gap_or_repetition(
    ward: Ward, wanted: dict[str, Any]
) -> None:
    doctor, reader = ward.present(), ward.present()
    for day in ("2026-05-01", "2026-05-01", None, "2026-03-01", "2026-05-01"):
        ward.deposit(doctor, act_date=day)
    whole, seen, cursor = listed(ward, reader, **wanted), [], None
    while True:
        page = ward.ask("list_documents", reader, record_id=ward.record_id, limit=2, cursor=cursor, wanted=wanted)
        seen += [one["document_id"] for one in page["documents"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        with pytest.raises(InvalidInput):
            ward.ask("list_documents", reader, record_id=ward.record_id, cursor=cursor, wanted={"level": "private"})
    assert seen == whole and len(seen) == 5


def test_an_empty_answer_to_a_narrow_question_is_no_refusal_where_there_is_something(ward: Ward) -> None:
    author = ward.present()
    ward.deposit(author)
    ward.end_mandates()
    assert listed(ward, author, type="imaging") == []
    with pytest.raises(RecordNotFound):
        listed(ward, ward.professional(), type="imaging")


def test_what_makes_no_sense_is_pointed_at(ward: Ward) -> None:
    doctor = ward.present()
    wrong = {"type": "x", "category": 1, "folder": [], "acted_from": "2026", "acted_until": "x", "author": "me",
             "level": "secret", "new_to_me": "true", "binder_id": "x", "order": "best", "title": "x"}  # fmt: skip
    with pytest.raises(InvalidInput) as refused:
        listed(ward, doctor, **wrong)
    assert {error["pointer"] for error in refused.value.detail["errors"]} == {f"/{name}" for name in wrong}
    assert ward.traces("document.searched") == []


# --- new to a reader --------------------------------------------------------------------------------------------------


def test_a_document_is_new_until_its_reader_opens_it_in_that_capacity(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    one, other = ward.deposit(author), ward.deposit(author)
    assert listed(ward, reader, new_to_me=True) == [other, one]
    assert listed(ward, author, new_to_me=True) == [], "nobody's own deposit is new to them"
    ward.ask("read_document", reader, document_id=one)
    assert listed(ward, reader, new_to_me=True) == [other, one], "to read about it is not to open it"
    ward.read(reader, one)
    ward.read(reader, one)
    assert listed(ward, reader, new_to_me=True) == [other]
    assert listed(ward, ward.holder, new_to_me=True) == [other, one]


# --- the names of authors ---------------------------------------------------------------------------------------------


@pytest.fixture
def named_house(database: Callable[[str], str]) -> House:
    return House(database, ("dossier", "documents", "directory"))


def test_names_of_authors_are_asked_for_in_bulk_and_again_when_they_may_have_changed(named_house: House) -> None:
    house: Any = named_house
    known, unknown, sessions = new_id(), new_id(), house.sessions["documents"]
    _register(house, known, "Müller")
    with sessions.transaction() as session:
        store_words.add_author(session, known)
        store_words.add_author(session, unknown)
        store_words.add_author(session, known)
    house.documents.name_authors()
    assert _names(sessions) == {known: "MÜLLER Anne", unknown: ""} and _due(sessions) == []
    _register(house, known, "Weber")
    for professional_id in (known, new_id()):
        told = ProfessionalUpdated(professional_id, "physician", "valid", [], 2)
        event = Received(new_id(), "directory", told.type, "2026-11-21T00:00:00.000000Z", None, None, told, context())
        with sessions.transaction() as session:
            house.documents.on_professional_updated(session, event)
    assert _due(sessions) == [known]
    house.documents.name_authors()
    assert _names(sessions)[known] == "WEBER Anne" and _due(sessions) == []
    house.close()


def _register(house: Any, professional_id: str, family_name: str) -> None:
    with house.sessions["directory"].transaction() as session:
        session.merge(Professional(
            professional_id=professional_id, family_name=family_name, first_name="Anne", profession="physician",
            specialities=[], licence="valid", language="fr", version=1, names_folded="x", found_by="x",
            registered_at=now(), updated_at=now(),
        ))  # fmt: skip


def _names(sessions: Any) -> dict[str, str]:
    with sessions.transaction() as session:
        return {str(row[0]): row[1] for row in session.execute(sa.text("select professional_id, name from authors"))}


def _due(sessions: Any) -> list[str]:
    with sessions.transaction() as session:
        return list(store_words.authors_due(session, 10))


def test_documents_are_found_by_the_name_of_their_author(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    one = ward.deposit(doctor)
    ward.deposit(other)
    assert ward.sql("select count(*) from authors where asked_at is null and professional_id in (:a, :b)",
                    a=doctor.professional_id, b=other.professional_id) == [(2,)]  # fmt: skip
    with ward.house.sessions["documents"].transaction() as session:
        store_words.name_author(session, doctor.professional_id or "", "MÜLLER Anne",
                                rules_words.indexed("MÜLLER Anne"), now())  # fmt: skip
    for query in ("muller", '"muller anne"', "anne rapports"):
        found = ward.ask("search_documents", ward.holder, record_id=ward.record_id, query=query)["documents"]
        assert [each["document_id"] for each in found] == [one], query
