"""The decision turned round: what somebody sees of a record, who sees a document, why, and why then."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, rfc3339
from services.documents import models
from services.documents.contract import LEVELS, PDF, DocumentNotFound
from services.documents.document_types import document_types
from services.dossier.contract import RecordClosed, RecordNotFound
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import caller
from tests.services.test_documents_hidden import says
from tests.services.test_documents_patient_blocks import referring_physician
from tests.services.ward import Ward

# --- a ward full of people --------------------------------------------------------------------------------------------


class FullWard:
    """A ward with people of every kind around the record, and documents hidden from them in every way."""

    def __init__(self, ward: Ward, seed: int, documents: int) -> None:
        self.ward, self.draw = ward, random.Random(seed)
        ward.set_in_record(autonomous_minor="yes")
        self.family = {"holder": ward.holder, "representative": ward.representative(), "assistant": ward.assistant()}
        self.care = {
            "physician": ward.present(), "nurse": ward.present("nurse"), "pharmacist": ward.present("pharmacist"),
            "biologist": ward.present("medical_biologist"), "referring": referring_physician(ward),
            "author": ward.professional(), "stranger": ward.professional(),
        }  # fmt: skip
        for name, profession in (("trusted", "physician"), ("trusted_nurse", "nurse"), ("stopped", "physician")):
            self.care[name] = ward.professional(profession)
            ward.trust(self.care[name])
        self.care["barred"] = ward.present()
        ward.dossier_sql(
            "insert into blocklist (block_id, record_id, professional_id, since)"
            " values (:id, :record, :whom, now() - interval '1 hour')",
            id=new_id(), record=ward.record_id, whom=self.care["barred"].professional_id,
        )  # fmt: skip
        ward.dossier_sql(
            "update professionals set licence = 'suspended' where professional_id = :whom",
            whom=self.care["stopped"].professional_id,
        )
        self.documents = [self._document(number) for number in range(documents)]

    def _document(self, number: int) -> str:
        draw, at, document_id, version_id = self.draw, now() - timedelta(minutes=number), new_id(), new_id()
        kind = draw.choice(list(document_types().values()))
        author = draw.choice((None, self.care["author"], *self.care.values()))
        blocked, withheld = (at if draw.random() < 0.25 else None for _ in range(2))
        mine = {"document_id": document_id, "account_id": new_id()}
        with self.ward.house.sessions["documents"].transaction() as session:
            key = sa.dialects.postgresql.insert(models.record_keys)
            session.execute(key.values(record_id=self.ward.record_id, wrapped_key=b"k", created_at=at)
                            .on_conflict_do_nothing())  # fmt: skip
            session.execute(sa.insert(models.documents).values(
                document_id=document_id, record_id=self.ward.record_id, home_record_id=self.ward.record_id,
                type=kind.slug, category=kind.category, folder=kind.folder, title="x",
                author_kind="professional" if author else "holder", author_id=author and author.professional_id,
                level=draw.choice(LEVELS), patient_blocked_at=blocked, withheld_at=withheld,
                current_version_id=version_id, deposited_at=at, upload_id=new_id(),
            ))  # fmt: skip
            session.execute(sa.insert(models.versions).values(
                version_id=version_id, content_id=version_id, number=1, wrapped_key=b"k",
                key_record_id=self.ward.record_id, media_type=PDF, size=1, sha256=bytes(32), created_at=at, **mine,
            ))  # fmt: skip
            if blocked:
                session.execute(sa.insert(models.patient_blocks).values(
                    block_id=new_id(), professional_id=new_id(), reason="x", since=blocked, **mine))  # fmt: skip
            if withheld:
                session.execute(sa.insert(models.withholdings).values(withholding_id=new_id(), since=withheld, **mine))
            for whom in self.care.values():
                if draw.random() < 0.2:
                    session.execute(sa.insert(models.restrictions).values(
                        restriction_id=new_id(), professional_id=whom.professional_id, since=at, risk_version="r",
                        until=draw.choice((None, None, at + timedelta(seconds=1))), **mine))  # fmt: skip
        return document_id

    def listed(self, who: Caller) -> list[str]:
        """What somebody lists, where nothing is what who has no ground gets."""
        return paged(lambda cursor: self._page(who, cursor))

    def _page(self, who: Caller, cursor: str | None) -> Any:
        try:
            return self.ward.ask("list_documents", who, record_id=self.ward.record_id, limit=100, cursor=cursor)
        except RecordNotFound:
            return {"documents": [], "next_cursor": None}

    def shown(self, who: Caller, whom: Caller, limit: int = 100) -> list[str]:
        return paged(lambda cursor: shown_as(self.ward, who, whom.professional_id, limit=limit, cursor=cursor))


def shown_as(ward: Ward, who: Caller, professional_id: str | None, **more: Any) -> Any:
    return ward.ask("list_documents_as", who, record_id=ward.record_id, professional_id=professional_id, **more)


def paged(page: Callable[[str | None], Any]) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        answer = page(cursor)
        found += [item["document_id"] for item in answer["documents"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found


def readers(ward: Ward, who: Caller, document_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ward.ask("readers", who, document_id=document_id)["readers"]
    return found


@pytest.mark.parametrize("seed", [5, 23])
def test_shown_as_somebody_is_what_they_list_themselves_without_what_is_hidden_from_who_asks(
    ward: Ward, seed: int
) -> None:
    full = FullWard(ward, seed, documents=70)
    own = {name: set(full.listed(who)) for name, who in full.family.items()}
    assert len(own["representative"]) < len(own["holder"]) < len(full.documents)
    sizes = set()
    for name, whom in full.care.items():
        theirs = full.listed(whom)
        for asker, who in full.family.items():
            expected = [document_id for document_id in theirs if document_id in own[asker]]
            assert full.shown(who, whom, limit=random.Random(seed).choice((7, 100))) == expected, (name, asker)
            sizes.add((len(theirs), len(expected)))
    assert any(seen > shown > 0 for seen, shown in sizes), "nothing was ever left out"


@pytest.mark.parametrize("seed", [6, 24])
def test_who_can_see_a_document_are_exactly_those_who_do(ward: Ward, seed: int) -> None:
    full = FullWard(ward, seed, documents=40)
    everybody = full.care | full.family
    lists = {name: set(full.listed(who)) for name, who in everybody.items()}
    hidden = 0
    for document_id in full.documents:
        if document_id not in lists["holder"]:
            hidden += 1
            for who in full.family.values():
                assert says(ward, "readers", who, document_id=document_id) == "document_not_found"
            continue
        told = readers(ward, ward.holder, document_id)
        named = {each["professional_id"] or each["patient_id"] for each in told}
        assert len(named) == len(told)
        expected = {name for name in everybody if document_id in lists[name]}
        ids = {who.professional_id or who.patient_id: name for name, who in everybody.items()}
        assert {ids[each] for each in named} == expected
        for each in told:
            assert each["ground"] and each["rule"] and set(each) == {
                "professional_id", "patient_id", "establishment_id", "ground", "rule", "until",
            }  # fmt: skip
    assert 0 < hidden < len(full.documents)


# --- as Dr X ----------------------------------------------------------------------------------------------------------


def test_the_look_leaves_one_trace_of_who_asks_and_none_of_who_was_asked_about(ward: Ward) -> None:
    doctor = ward.present()
    ward.deposit(doctor)
    trusted = ward.professional()
    ward.trust(trusted)
    ward.sql("delete from outbox")
    ward.dossier_sql("delete from outbox")
    assert len(shown_as(ward, ward.holder, trusted.professional_id)["documents"]) == 1
    [trace] = ward.traces()
    assert (trace["action"], trace["outcome"], trace["ground"], trace["count"]) == (
        "document.shown", "allowed", "holder", 1,
    )  # fmt: skip
    assert (trace["account_id"], trace["professional_id"]) == (ward.holder.account_id, None)
    assert (trace["object_type"], trace["object_id"]) == ("professional", trusted.professional_id)
    told = [event["type"] for event in ward.house.events("dossier")]
    assert "record_first_accessed_by.v1" not in told and "access_traced.v1" not in told


def test_of_who_would_see_nothing_and_who_is_nobody_the_list_is_empty(ward: Ward) -> None:
    ward.deposit(ward.present())
    for whom in (ward.professional().professional_id, new_id(), "nobody"):
        assert shown_as(ward, ward.holder, whom) == {"documents": [], "next_cursor": None}


def test_nobody_but_the_holder_side_looks_as_somebody_else(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    ward.deposit(doctor)
    for who in (doctor, ward.professional(), caller("agent"), caller("patient")):
        with pytest.raises(RecordNotFound):
            shown_as(ward, who, other.professional_id)
    for who in (ward.representative(), ward.assistant()):
        assert len(shown_as(ward, who, other.professional_id)["documents"]) == 1
    with pytest.raises(RecordNotFound):
        ward.ask("list_documents_as", ward.holder, record_id=new_id(), professional_id=other.professional_id)
    ward.set_in_record(state="closed")
    with pytest.raises(RecordClosed):
        shown_as(ward, ward.holder, other.professional_id)


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 101}, {"cursor": "x"}])
def test_a_page_that_cannot_be_is_refused(ward: Ward, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        shown_as(ward, ward.holder, new_id(), **wrong)


# --- who can see it ---------------------------------------------------------------------------------------------------


def test_each_reader_is_named_with_ground_rule_and_end(ward: Ward) -> None:
    author, nurse, trusted = ward.present(), ward.present("nurse"), ward.professional()
    ward.trust(trusted)
    document_id = ward.deposit(author)
    ward.set_level(ward.holder, document_id, "confidential")
    found = {each["professional_id"] or each["patient_id"]: each for each in readers(ward, ward.holder, document_id)}
    assert set(found) == {ward.holder.patient_id, author.professional_id, trusted.professional_id}
    assert {each["ground"] for each in found.values()} == {"holder", "author", "circle"}
    assert found[author.professional_id]["rule"] == "author/own"
    ward.set_level(ward.holder, document_id, "standard")
    found = {each["professional_id"]: each for each in readers(ward, ward.holder, document_id)}
    assert found[nurse.professional_id]["ground"] == "presence" and found[nurse.professional_id]["until"]
    assert found[trusted.professional_id]["until"] is None
    ward.restrict(ward.holder, document_id, trusted)
    assert trusted.professional_id not in {each["professional_id"] for each in readers(ward, ward.holder, document_id)}
    traces = ward.traces("rights.searched")
    assert [(t["outcome"], t["ground"], t["object_id"]) for t in traces] == [("allowed", "holder", document_id)] * 3


def test_a_professional_who_sees_a_document_is_not_told_who_else_does(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    document_id = ward.deposit(author)
    for who in (author, other):
        with pytest.raises(NotAllowed):
            readers(ward, who, document_id)
    with pytest.raises(DocumentNotFound):
        readers(ward, ward.professional(), document_id)
    assert [t["reason"] for t in ward.traces("rights.searched")] == ["not_allowed"] * 2 + ["document_not_found"]


# --- why --------------------------------------------------------------------------------------------------------------


def explained(ward: Ward, asker: Caller, document_id: str, about: Caller | str, moment: Any = None, **more: Any) -> Any:
    whom = "me" if about == "me" else {"professional_id": about.professional_id}  # type: ignore[union-attr]
    asked = {"who": whom, "action": "read", "moment": moment and rfc3339(moment), **more}
    return ward.ask("explain_document", asker, document_id=document_id, **asked)


def test_the_holder_is_told_which_rule_lets_somebody_read_and_which_refuses(ward: Ward) -> None:
    author, nurse, stranger = ward.present(), ward.present("nurse"), ward.professional()
    document_id = ward.deposit(author)
    answer = explained(ward, ward.holder, document_id, nurse)
    assert (answer["allowed"], answer["ground"], answer["step"]) == (True, "presence", None)
    assert explained(ward, ward.holder, document_id, stranger)["step"] == "ground"
    ward.set_level(ward.holder, document_id, "private")
    answer = explained(ward, ward.holder, document_id, nurse)
    assert (answer["allowed"], answer["step"], answer["rule"]) == (False, "level", "level/private")
    assert explained(ward, ward.holder, document_id, author)["rule"] == "author/own"
    ward.set_level(ward.holder, document_id, "standard")
    ward.restrict(ward.holder, document_id, nurse)
    assert explained(ward, ward.holder, document_id, nurse)["step"] == "restriction"
    traces = ward.traces("rights.explained")
    assert [(t["outcome"], t["ground"], t["object_id"]) for t in traces] == [("allowed", "holder", document_id)] * 5
    assert not [e for e in ward.house.events("dossier") if e["data"].get("action") == "rights.explained"]


def at(ward: Ward, table: str, column: str, document_id: str, moment: datetime) -> None:
    ward.sql(f"update {table} set {column} = :m where document_id = :d", m=moment, d=document_id)


def test_at_a_past_moment_level_and_restrictions_count_as_they_were(ward: Ward) -> None:
    doctor = ward.professional()
    ward.trust(doctor)
    ward.dossier_sql("update circle_members set since = now() - interval '9 days' where record_id = :r",
                     r=ward.record_id)  # fmt: skip
    ward.dossier_sql("update state_changes set at = now() - interval '20 days' where record_id = :r", r=ward.record_id)
    ward.dossier_sql("update professional_periods set since = now() - interval '20 days' where professional_id = :p",
                     p=doctor.professional_id)  # fmt: skip
    document_id = ward.deposit(ward.present())
    ward.set_level(ward.holder, document_id, "private")
    ward.restrict(ward.holder, document_id, doctor)
    ward.unrestrict(ward.holder, document_id, doctor)
    day = timedelta(days=1)
    then = now()
    at(ward, "documents", "deposited_at", document_id, then - 8 * day)
    ward.sql("update levels set valid_from = :a, valid_to = :b where document_id = :d and level = 'standard'",
             a=then - 8 * day, b=then - 2 * day, d=document_id)  # fmt: skip
    ward.sql("update levels set valid_from = :a where document_id = :d and level = 'private'",
             a=then - 2 * day, d=document_id)  # fmt: skip
    ward.sql("update restrictions set since = :a, until = :b where document_id = :d",
             a=then - 5 * day, b=then - 4 * day, d=document_id)  # fmt: skip
    steps = {days: explained(ward, ward.holder, document_id, doctor, then - days * day)["step"]
             for days in (7, 4.5, 3, 1)}  # fmt: skip
    assert steps == {7: None, 4.5: "restriction", 3: None, 1: "level"}
    for days, code in ((8.5, "out_of_range"), (-1, "not_yet")):
        with pytest.raises(InvalidInput) as refused:
            explained(ward, ward.holder, document_id, doctor, then - days * day)
        assert refused.value.detail["errors"] == [{"pointer": "/moment", "message": code}]
    with pytest.raises(InvalidInput):
        ward.ask("explain_document", ward.holder, document_id=document_id, who="me", action="read", moment="yesterday")


def test_a_professional_may_ask_about_themself_and_about_nobody_else(ward: Ward) -> None:
    author, nurse, pharmacist = ward.present(), ward.present("nurse"), ward.present("pharmacist")
    document_id = ward.deposit(author)
    assert explained(ward, pharmacist, document_id, "me")["ground"] == "presence"
    answer = explained(ward, pharmacist, document_id, pharmacist, action="change_level")
    assert (answer["allowed"], answer["step"]) == (False, "matrix")
    assert explained(ward, nurse, document_id, "me", action="change_level")["allowed"]
    with pytest.raises(Refusal) as refused:
        explained(ward, nurse, document_id, author)
    assert refused.value.code == "record_not_found"
    ward.end_mandates()
    assert explained(ward, author, document_id, "me")["rule"] == "author/own"
    with pytest.raises(DocumentNotFound):
        explained(ward, nurse, document_id, "me")


def test_a_holder_cannot_ask_why_about_a_blocked_document_and_can_once_it_is_released(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    since = now()
    ward.block(doctor, document_id)
    during = now()
    for whom in ("me", doctor):
        with pytest.raises(DocumentNotFound):
            explained(ward, ward.holder, document_id, whom)
    ward.release(doctor, document_id)
    assert explained(ward, ward.holder, document_id, "me")["allowed"]
    then = explained(ward, ward.holder, document_id, "me", during)
    assert (then["allowed"], then["step"]) == (False, "patient_block") and since < during


def test_the_representatives_cannot_ask_why_about_what_is_withheld_from_them(ward: Ward) -> None:
    parent, doctor = ward.representative(), ward.present()
    document_id = ward.deposit(doctor)
    ward.set_in_record(autonomous_minor="yes")
    assert explained(ward, parent, document_id, doctor)["allowed"]
    ward.ask("withhold_document", ward.holder, document_id=document_id)
    with pytest.raises(DocumentNotFound):
        explained(ward, parent, document_id, doctor)
    assert explained(ward, ward.holder, document_id, doctor)["allowed"]
