"""Whom the holder side hides a document from: one professional or another, and the representatives of a minor."""

from __future__ import annotations

import json

import pytest

from services.db import new_id, rfc3339
from services.documents.contract import (
    TEXT,
    DocumentDeposited,
    DocumentNotFound,
    DocumentRestricted,
    DocumentWithheld,
)
from services.documents.document_types import document_types
from services.dossier.contract import RecordClosed, RecordNotFound
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import caller, pdf
from tests.services.ward import Ward, at_once


def sees(ward: Ward, who: Caller, document_id: str) -> bool:
    """Whether somebody sees a document: list, facts and bytes, which must say the same."""
    answers = [document_id in ward.listed(who)]
    for look in (lambda: ward.ask("read_document", who, document_id=document_id),
                 lambda: ward.read(who, document_id)):  # fmt: skip
        try:
            look()
            answers.append(True)
        except DocumentNotFound:
            answers.append(False)
    assert len(set(answers)) == 1, answers
    return answers[0]


def says(ward: Ward, method: str, who: Caller, **asked: object) -> str:
    """The code of the refusal, or "done"."""
    try:
        ward.ask(method, who, **asked)
        return "done"
    except Refusal as refusal:
        return refusal.code


# --- restrictions -----------------------------------------------------------------------------------------------------


def test_a_restricted_document_is_absent_for_that_professional_alone_until_it_is_lifted(ward: Ward) -> None:
    author, barred, nurse = ward.present(), ward.present(), ward.present("nurse")
    document_id, other = ward.deposit(author), ward.deposit(author)
    assert sees(ward, barred, document_id)
    ward.restrict(ward.holder, document_id, barred)
    assert not sees(ward, barred, document_id)
    assert sees(ward, nurse, document_id) and sees(ward, ward.holder, document_id) and sees(ward, barred, other)
    ward.unrestrict(ward.holder, document_id, barred)
    assert sees(ward, barred, document_id)


def test_an_author_who_is_restricted_goes_on_reading_and_changes_no_level(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author)
    assert ward.set_level(author, document_id, "standard")
    ward.restrict(ward.holder, document_id, author)
    assert sees(ward, author, document_id)
    with pytest.raises(NotAllowed):
        ward.set_level(author, document_id, "standard")
    [trace] = [t for t in ward.traces("document.opened") if t["professional_id"] == author.professional_id]
    assert (trace["ground"], trace["rule"]) == ("author", "author/own")


def test_a_restriction_holds_in_every_ground_that_comes_later(ward: Ward) -> None:
    barred = ward.professional()
    document_id = ward.deposit(ward.present())
    ward.restrict(ward.holder, document_id, barred)
    ward.trust(barred)
    assert ward.listed(barred) == [] and not sees(ward, barred, document_id)


@pytest.mark.parametrize("who", ["holder", "representative", "assistant"])
def test_everybody_of_the_holder_side_restricts(ward: Ward, who: str) -> None:
    barred = ward.present()
    document_id = ward.deposit(ward.present())
    asked = ward.holder if who == "holder" else getattr(ward, who)()
    ward.restrict(asked, document_id, barred)
    assert not sees(ward, barred, document_id)
    [trace] = ward.traces("document.restricted")
    expected = {"representative": "legal_representative"}.get(who, who)
    assert (trace["outcome"], trace["ground"], trace["object_id"]) == ("allowed", expected, document_id)


def test_no_professional_restricts_not_even_the_author(ward: Ward) -> None:
    author, other, stranger = ward.present(), ward.present(), ward.professional()
    document_id = ward.deposit(author)
    for who in (author, other):
        with pytest.raises(NotAllowed):
            ward.restrict(who, document_id, other)
        assert says(ward, "list_restrictions", who, document_id=document_id) == "not_allowed"
    with pytest.raises(DocumentNotFound):
        ward.restrict(stranger, document_id, other)
    assert ward.sql("select 1 from restrictions where document_id = :d", d=document_id) == []
    assert [t["reason"] for t in ward.traces("document.restricted")] == ["not_allowed"] * 2 + ["document_not_found"]


def test_a_stranger_an_unknown_document_and_senseless_words_are_one_refusal(ward: Ward) -> None:
    document_id, stranger = ward.deposit(ward.present()), caller("patient")
    whom = ward.professional()
    for asked in (document_id, new_id(), "1; drop table restrictions"):
        with pytest.raises(DocumentNotFound) as refused:
            ward.restrict(stranger, asked, whom)
        assert refused.value.to_wire() == DocumentNotFound().to_wire()
        for method in ("list_restrictions", "readers", "show_document", "withhold_document", "release_document"):
            assert says(ward, method, stranger, document_id=asked) == "document_not_found"


def test_who_closed_the_record_restricts_nothing(ward: Ward) -> None:
    document_id, whom = ward.deposit(ward.present()), ward.present()
    ward.set_in_record(state="closed")
    with pytest.raises(DocumentNotFound):
        ward.restrict(ward.holder, document_id, whom)


def test_the_risk_must_be_accepted_in_a_wording_there_is(ward: Ward) -> None:
    document_id, whom = ward.deposit(ward.present()), ward.present()
    with pytest.raises(InvalidInput) as refused:
        ward.restrict(ward.holder, document_id, whom, risk_accepted=False, risk_version="risk-1789")
    assert refused.value.detail["errors"] == [
        {"pointer": "/risk_accepted", "message": "must_be_accepted"},
        {"pointer": "/risk_version", "message": "unknown"},
    ]
    with pytest.raises(InvalidInput):
        ward.restrict(ward.holder, document_id, whom, professional_id="nobody")
    assert sees(ward, whom, document_id)


def test_restricting_twice_is_one_restriction_and_every_one_stays_with_its_time(ward: Ward) -> None:
    document_id, whom = ward.deposit(ward.present()), ward.present()
    for _ in range(2):
        answer = ward.restrict(ward.holder, document_id, whom)
        assert answer == {"document_id": document_id, "professional_id": whom.professional_id, "restricted": True}
    [listed] = ward.ask("list_restrictions", ward.holder, document_id=document_id)["restrictions"]
    assert listed["professional_id"] == whom.professional_id
    for _ in range(2):
        assert ward.unrestrict(ward.holder, document_id, whom)["restricted"] is False
    assert ward.ask("list_restrictions", ward.holder, document_id=document_id) == {"restrictions": []}
    ward.restrict(ward.holder, document_id, whom)
    rows = ward.sql("select since, until, risk_version, account_id::text as account_id from restrictions"
                    " where document_id = :d order by since", d=document_id)  # fmt: skip
    assert [row.until is None for row in rows] == [False, True]
    assert rfc3339(rows[0].since) == listed["since"] and rows[0].since <= rows[0].until <= rows[1].since
    assert {(row.risk_version, row.account_id) for row in rows} == {("risk-2026-1", ward.holder.account_id)}
    events = ward.events(DocumentRestricted)
    assert [event["restricted"] for event in events] == [True, False, True]
    assert {(event["record_id"], event["document_id"], event["professional_id"]) for event in events} == {
        (ward.record_id, document_id, whom.professional_id)
    }
    assert len(ward.traces("document.restricted")) == 3 and len(ward.traces("document.unrestricted")) == 2
    assert len(ward.traces("restriction.searched")) == 2


def test_simultaneous_restrictions_are_one(ward: Ward) -> None:
    document_id, whom = ward.deposit(ward.present()), ward.present()
    answers = at_once(6, lambda _: ward.restrict(ward.holder, document_id, whom))
    assert all(answer["restricted"] for answer in answers)
    assert len(ward.sql("select 1 from restrictions where document_id = :d", d=document_id)) == 1
    assert len(ward.events(DocumentRestricted)) == 1 and len(ward.traces("document.restricted")) == 6


def test_restricting_takes_few_words_with_the_database(ward: Ward) -> None:
    document_id, whom = ward.deposit(ward.present()), ward.present()
    with ward.counted() as statements:
        ward.restrict(ward.holder, document_id, whom)
    assert len(statements) <= 6, statements


# --- withholding ------------------------------------------------------------------------------------------------------


def test_an_autonomous_minor_hides_a_document_from_the_parents_and_shows_it_again(ward: Ward) -> None:
    author, parent, assistant = ward.present(), ward.representative(), ward.assistant()
    document_id = ward.deposit(author)
    ward.set_in_record(autonomous_minor="yes")
    assert sees(ward, parent, document_id)
    ward.ask("withhold_document", ward.holder, document_id=document_id)
    assert not sees(ward, parent, document_id)
    assert all(sees(ward, who, document_id) for who in (ward.holder, assistant, author))
    for method in ("withhold_document", "show_document", "readers", "list_restrictions"):
        assert says(ward, method, parent, document_id=document_id) == "document_not_found"
    ward.ask("show_document", ward.holder, document_id=document_id)
    assert sees(ward, parent, document_id)
    begun, ended = ward.events(DocumentWithheld)
    assert (begun["withheld"], ended["withheld"]) == (True, False)
    assert begun["at"] == begun["since"] == ended["since"] < ended["at"]
    assert ward.traces("document.withheld")[0]["at"] == begun["at"]
    assert len(ward.traces("document.unwithheld")) == 2  # the parent's try, and the holder's


def test_a_minor_who_is_not_autonomous_hides_nothing_from_the_parents(ward: Ward) -> None:
    parent = ward.representative()
    document_id = ward.deposit(ward.present())
    assert says(ward, "withhold_document", ward.holder, document_id=document_id) == "not_allowed"
    assert sees(ward, parent, document_id)


def test_a_professional_who_deposits_the_category_withholds_and_one_who_reads_it_does_not(ward: Ward) -> None:
    parent, reader = ward.representative(), ward.present("pharmacist")
    document_id = ward.deposit(ward.present())
    ward.set_in_record(autonomous_minor="yes")
    assert says(ward, "withhold_document", reader, document_id=document_id) == "not_allowed"
    assert sees(ward, parent, document_id)
    assert says(ward, "withhold_document", ward.present("nurse"), document_id=document_id) == "done"
    assert not sees(ward, parent, document_id)


@pytest.mark.parametrize("who", ["representative", "assistant"])
def test_nobody_withholds_in_the_minors_place(ward: Ward, who: str) -> None:
    document_id, asked = ward.deposit(ward.present()), getattr(ward, who)()
    ward.set_in_record(autonomous_minor="yes")
    assert says(ward, "withhold_document", asked, document_id=document_id) == "not_allowed"


def test_who_came_of_age_shows_what_was_withheld(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    ward.set_in_record(autonomous_minor="yes")
    for _ in range(2):
        ward.ask("withhold_document", ward.holder, document_id=document_id)
    ward.set_in_record(autonomous_minor="no")
    for _ in range(2):
        assert ward.ask("show_document", ward.holder, document_id=document_id)["withheld"] is False
    [row] = ward.sql("select since, until from withholdings where document_id = :d", d=document_id)
    assert row.since <= row.until and len(ward.events(DocumentWithheld)) == 2


# --- the level that new documents get ---------------------------------------------------------------------------------

DEFAULTS = {"": "confidential", "medical_data": "private"}


def level_of(ward: Ward, document_id: str) -> tuple[str, str, str]:
    """The level as the document, its history and its event say it."""
    [[now]] = ward.sql("select level from documents where document_id = :d", d=document_id)
    [[kept]] = ward.sql("select level from levels where document_id = :d and valid_to is null", d=document_id)
    [told] = [e["level"] for e in ward.events(DocumentDeposited) if e["document_id"] == document_id]
    return now, kept, told


def test_a_new_document_is_standard_where_the_holder_set_nothing(ward: Ward) -> None:
    assert level_of(ward, ward.deposit(ward.present())) == ("standard",) * 3


def test_a_new_document_gets_the_level_of_its_folder_before_that_of_all(ward: Ward) -> None:
    doctor, nurse = ward.present(), ward.present("nurse")
    ward.set_in_record(default_levels=DEFAULTS)
    report = ward.deposit(doctor)
    assert level_of(ward, report) == ("private",) * 3
    assert sees(ward, doctor, report) and not sees(ward, nurse, report)
    expression = ward.deposit(ward.holder, b"Mes souhaits", TEXT, type="holder_expression")
    assert level_of(ward, expression) == ("confidential",) * 3
    ward.set_in_record(default_levels={"medical_data": "confidential"})
    assert level_of(ward, ward.deposit(doctor)) == ("confidential",) * 3
    expression = ward.deposit(ward.holder, b"Mes souhaits", TEXT, type="holder_expression")
    assert level_of(ward, expression) == ("standard",) * 3


def test_a_default_that_changes_changes_no_document_there_is(ward: Ward) -> None:
    before = ward.deposit(ward.present())
    ward.set_in_record(default_levels=DEFAULTS)
    assert level_of(ward, before) == ("standard",) * 3


# --- what may be deposited --------------------------------------------------------------------------------------------


def slugs(ward: Ward, who: Caller) -> list[str]:
    return [each["slug"] for each in ward.ask("depositable_types", who, record_id=ward.record_id)["types"]]


def test_everybody_is_told_exactly_the_types_they_can_deposit(ward: Ward) -> None:
    everybody = {"holder": ward.holder, "assistant": ward.assistant()}
    everybody |= {one: ward.present(one) for one in ("physician", "pharmacist", "medical_biologist", "care_assistant")}

    found = {}
    for name, who in everybody.items():
        found[name] = slugs(ward, who)
        may = [kind for kind in document_types() if says(ward, "prepare_deposit", who, record_id=ward.record_id,
                                                         type=kind, title="x") == "done"]  # fmt: skip
        assert found[name] == may, name
    assert found["assistant"] == ["holder_expression"] and "holder_expression" in found["holder"]
    assert "medical_report" in found["physician"] and "medical_report" not in found["pharmacist"]
    assert len({tuple(types) for types in found.values()}) > 3


def test_a_type_is_told_with_its_name_its_place_and_the_bytes_it_takes(ward: Ward) -> None:
    [found] = ward.ask("depositable_types", ward.assistant(), record_id=ward.record_id)["types"]
    assert found["slug"] == "holder_expression" and found["category"] == "personal_expression"
    assert found["label"] and found["folder"] and "application/pdf" in found["media_types"]
    [trace] = ward.traces()
    assert (trace["action"], trace["outcome"], trace["count"], trace["ground"]) == (
        "types.read", "allowed", 1, "assistant"
    )  # fmt: skip


def test_without_a_ground_nobody_is_told_any_type(ward: Ward) -> None:
    stranger = ward.professional()
    for record_id in (ward.record_id, new_id(), "x"):
        with pytest.raises(RecordNotFound):
            ward.ask("depositable_types", stranger, record_id=record_id)
    ward.set_in_record(state="closed")
    with pytest.raises(RecordClosed):
        ward.ask("depositable_types", ward.holder, record_id=ward.record_id)
    assert [t["reason"] for t in ward.traces("types.read")] == ["record_not_found"] * 3 + ["record_closed"]


def test_no_event_of_these_tells_a_title_or_a_reason(ward: Ward) -> None:
    doctor, whom = ward.present(), ward.present()
    document_id = ward.deposit(doctor, pdf(), title="Sérologie")
    ward.restrict(ward.holder, document_id, whom)
    ward.block(doctor, document_id, "Mauvaise nouvelle")
    ward.release(doctor, document_id)
    told = json.dumps(ward.house.events("documents"), ensure_ascii=False)
    assert "rologie" not in told and "nouvelle" not in told
