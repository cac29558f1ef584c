"""Versions: who makes one, what it inherits, who sees it when, that none is overwritten unseen, bringing one back."""

from __future__ import annotations

from typing import Any

import pytest

from services.db import new_id
from services.documents.contract import (
    TEXT,
    AuthorUnknown,
    DocumentDeposited,
    DocumentNotFound,
    DocumentRejected,
    DocumentUnfinished,
    DocumentVersioned,
    MediaTypeNotAllowed,
    UploadExpired,
    UploadIncomplete,
)
from services.refusals import ChangedMeanwhile, NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import caller, pdf
from tests.services.entourage_house import with_key as keyed
from tests.services.test_documents_deposits import machine
from tests.services.ward import Ward, at_once


def told(ward: Ward, who: Caller, document_id: str) -> Any:
    return ward.ask("read_document", who, document_id=document_id)


def prepared(ward: Ward, who: Caller, document_id: str, version: int | None = None, **changes: Any) -> Any:
    said = {"document_id": document_id, "version": version, **changes}
    return ward.ask("prepare_version", who, gateway_key=ward.gateway.public, **said)


def replace(
    ward: Ward, who: Caller, document_id: str, data: bytes, version: int | None = None, media_type: str = TEXT
) -> Any:
    """A new version as the gateway makes it, not looked at yet."""
    started = prepared(ward, who, document_id, version)
    ward.put(started, data)
    return ward.commit(who, started, data, media_type=media_type)


def replaced(ward: Ward, who: Caller, document_id: str, data: bytes, version: int | None = None) -> str:
    made = replace(ward, who, document_id, data, version)
    ward.examine()
    return str(made["version_id"])


def history(ward: Ward, who: Caller, document_id: str) -> Any:
    return ward.ask("read_history", who, document_id=document_id)


def says(ward: Ward, method: str, who: Caller, **asked: object) -> str:
    try:
        ward.ask(method, who, **asked)
        return "done"
    except Refusal as refusal:
        return refusal.code


# --- making one -------------------------------------------------------------------------------------------------------


def test_a_version_is_its_depositors_alone_until_it_was_looked_at_and_then_everybodys(ward: Ward) -> None:
    author, reader = ward.present(), ward.present("nurse")
    document_id = ward.deposit(author, b"eins", TEXT)
    made = replace(ward, author, document_id, b"zwei", 1)
    assert ward.read(reader, document_id) == ward.read(author, document_id) == b"eins"
    assert ward.read(author, document_id, version_id=made["version_id"]) == b"zwei"
    with pytest.raises(DocumentNotFound):
        ward.open(reader, document_id, version_id=made["version_id"])
    states = [[(v["number"], v["state"]) for v in history(ward, who, document_id)["versions"]]
              for who in (author, reader)]  # fmt: skip
    assert states == [[(2, "checking"), (1, "available")], [(1, "available")]]
    assert [v["number"] for v in told(ward, reader, document_id)["versions"]] == [1]
    ward.examine()
    assert ward.read(reader, document_id) == b"zwei"
    assert (
        ward.read(reader, document_id, version_id=told(ward, reader, document_id)["versions"][1]["version_id"])
        == b"eins"
    )
    assert told(ward, reader, document_id)["version"] == 2


def test_the_first_version_is_told_as_a_deposit_and_the_next_as_a_version(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    version_id = replaced(ward, other, document_id, b"zwei")
    assert len(ward.events(DocumentDeposited)) == 1
    [event] = ward.events(DocumentVersioned)
    assert (event["version_id"], event["number"], event["restores"]) == (version_id, 2, None)
    assert event["author_id"] == other.professional_id
    [trace] = ward.traces("document.versioned")
    assert (trace["outcome"], trace["professional_id"], trace["object_id"]) == (
        "allowed", other.professional_id, document_id
    )  # fmt: skip


def test_a_version_is_signed_by_who_made_it_and_inherits_all_that_hides_the_document(ward: Ward) -> None:
    author, barred = ward.present(), ward.present()
    ward.trust(author)
    document_id = ward.deposit(author, b"eins", TEXT)
    ward.set_level(author, document_id, "confidential")
    ward.restrict(ward.holder, document_id, barred)
    ward.block(author, document_id)
    replaced(ward, author, document_id, b"zwei")
    after = told(ward, author, document_id)
    assert (after["level"], after["versions"][0]["author_id"]) == ("confidential", author.professional_id)
    for who in (barred, ward.holder):
        with pytest.raises(DocumentNotFound):
            ward.open(who, document_id)


@pytest.mark.parametrize(
    ("profession", "code"),
    [("physician", "done"), ("nurse", "done"), ("pharmacist", "not_allowed"), ("medical_biologist", "not_allowed")],
)
def test_who_may_deposit_the_category_may_make_a_version_and_who_only_reads_may_not(
    ward: Ward, profession: str, code: str
) -> None:
    document_id, who = ward.deposit(ward.present(), b"eins", TEXT), ward.present(profession)
    assert says(ward, "prepare_version", who, document_id=document_id, version=1) == code


def test_authorship_alone_reads_and_makes_no_version(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    ward.end_mandates()
    assert ward.read(author, document_id) == b"eins"
    with pytest.raises(NotAllowed):
        prepared(ward, author, document_id)


def test_the_holder_makes_versions_of_what_they_deposited_and_of_nothing_else(ward: Ward) -> None:
    own = ward.deposit(ward.holder, b"mein", TEXT, type="holder_expression")
    foreign = ward.deposit(ward.present(), b"eins", TEXT)
    replaced(ward, ward.holder, own, b"mein neues")
    assert ward.read(ward.present(), own) == b"mein neues"
    with pytest.raises(NotAllowed):
        prepared(ward, ward.holder, foreign)
    with pytest.raises(NotAllowed):
        prepared(ward, ward.present(), own)


def test_a_stranger_and_an_unknown_document_are_one_refusal(ward: Ward) -> None:
    document_id, stranger = ward.deposit(ward.present(), b"eins", TEXT), ward.professional()
    seen = set()
    for asked in (document_id, new_id(), "1; drop table versions"):
        for method, more in (("prepare_version", {"version": 1}), ("read_history", {}),
                             ("restore_version", {"version": 1, "version_id": new_id()})):  # fmt: skip
            seen.add(says(ward, method, stranger, document_id=asked, **more))
    assert seen == {"document_not_found"}


def test_whose_right_ended_meanwhile_commits_no_version(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    started = prepared(ward, author, document_id, 1)
    ward.put(started, b"zwei")
    ward.end_mandates()
    with pytest.raises(NotAllowed):
        ward.commit(author, started, b"zwei", media_type=TEXT)
    assert ward.sql("select number from versions where document_id = :d", d=document_id) == [(1,)]


def test_a_version_of_bytes_that_its_type_does_not_take_or_that_are_not_there_is_none(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT, type="medical_certificate")
    started = prepared(ward, author, document_id, 1)
    with pytest.raises(UploadIncomplete):
        ward.commit(author, started, b"zwei", media_type=TEXT)
    ward.put(started, b"zwei")
    with pytest.raises(MediaTypeNotAllowed):
        ward.commit(author, started, b"zwei", media_type="application/dicom")
    assert ward.commit(author, started, b"zwei", media_type=TEXT)["version_id"] == started["version_id"]


def test_a_try_of_another_upload_makes_no_version(ward: Ward) -> None:
    author = ward.present()
    document_id, other_id = (ward.deposit(author, text, TEXT) for text in (b"eins", b"one"))
    started, other = prepared(ward, author, document_id, 1), prepared(ward, author, other_id, 1)
    ward.put(started, b"zwei")
    ward.put(other, b"vier")
    exchanged = {**started, "version_id": other["version_id"]}
    with pytest.raises(UploadExpired):
        ward.commit(author, exchanged, b"vier", media_type=TEXT)
    assert ward.sql("select number from versions where document_id = :d", d=document_id) == [(1,)]
    assert ward.commit(author, started, b"zwei", media_type=TEXT)["version_id"] == started["version_id"]
    assert ward.commit(author, other, b"vier", media_type=TEXT)["version_id"] == other["version_id"]


def test_a_rejected_version_stays_its_depositors_and_the_one_before_the_current_one(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    made = replace(ward, other, document_id, b"%PDF-1.7 nothing of the kind", media_type="application/pdf")
    ward.examine()
    assert ward.read(author, document_id) == b"eins"
    shown = {
        who.account_id: [(v["number"], v["state"], v["reason"]) for v in history(ward, who, document_id)["versions"]]
        for who in (author, other)
    }
    assert shown[author.account_id] == [(1, "available", None)]
    assert shown[other.account_id] == [(2, "rejected", "broken"), (1, "available", None)]
    [event] = ward.events(DocumentRejected)
    assert (event["version_id"], event["account_id"]) == (made["version_id"], other.account_id)
    replaced(ward, author, document_id, b"drei", 1)
    assert [v["number"] for v in history(ward, author, document_id)["versions"]] == [3, 1]


def test_what_is_still_looked_at_for_the_first_time_has_no_next_version(ward: Ward) -> None:
    author = ward.present()
    started = ward.prepare(author)
    ward.put(started, pdf())
    document_id = ward.commit(author, started, pdf())["document_id"]
    with pytest.raises(DocumentUnfinished):
        prepared(ward, author, document_id)


def test_software_makes_a_version_in_the_name_of_an_author_of_its_establishment_alone(ward: Ward) -> None:
    author, stranger = ward.present(), ward.present()
    document_id, software = ward.deposit(author, b"eins", TEXT), machine(author.establishment_id)
    started = prepared(ward, software, document_id, 1, author=author.professional_id)
    ward.put(started, b"zwei")
    ward.commit(software, started, b"zwei", media_type=TEXT)
    ward.examine()
    assert ward.read(author, document_id) == b"zwei"
    assert told(ward, author, document_id)["versions"][0]["author_id"] == author.professional_id
    with pytest.raises(AuthorUnknown):
        prepared(ward, software, document_id, author=stranger.professional_id)
    with pytest.raises(NotAllowed):
        prepared(ward, author, document_id, author=stranger.professional_id)


# --- not unseen, not twice --------------------------------------------------------------------------------------------


def test_who_read_an_older_version_is_refused_when_preparing_and_when_committing(ward: Ward) -> None:
    one, two = ward.present(), ward.present()
    document_id = ward.deposit(one, b"eins", TEXT)
    late = prepared(ward, two, document_id, 1)
    ward.put(late, b"spaet")
    replaced(ward, one, document_id, b"zwei", 1)
    with pytest.raises(ChangedMeanwhile):
        prepared(ward, two, document_id, 1)
    with pytest.raises(ChangedMeanwhile):
        ward.commit(two, late, b"spaet", media_type=TEXT)
    assert ward.read(two, document_id) == b"zwei"
    replaced(ward, two, document_id, b"drei", 2)
    assert ward.read(one, document_id) == b"drei"


def test_what_somebody_else_just_put_and_nobody_could_see_yet_is_not_overwritten_unseen(ward: Ward) -> None:
    one, two = ward.present(), ward.present()
    document_id = ward.deposit(one, b"eins", TEXT)
    replace(ward, one, document_id, b"zwei", 1)
    with pytest.raises(ChangedMeanwhile):
        prepared(ward, two, document_id, 1)
    replaced(ward, two, document_id, b"drei")
    assert [v["number"] for v in history(ward, one, document_id)["versions"]] == [3, 2, 1]


def test_of_versions_at_the_same_moment_each_has_a_number_of_its_own(ward: Ward) -> None:
    people = [ward.present() for _ in range(6)]
    document_id = ward.deposit(people[0], b"eins", TEXT)
    begun = [prepared(ward, who, document_id) for who in people]
    for number, started in enumerate(begun):
        ward.put(started, b"%d" % number)
    at_once(6, lambda n: ward.commit(people[n], begun[n], b"%d" % n, media_type=TEXT))
    ward.examine()
    rows = ward.sql("select number, state from versions where document_id = :d order by number", d=document_id)
    assert [tuple(row) for row in rows] == [(number, "available") for number in range(1, 8)]
    [newest] = ward.sql(
        "select number from versions join documents on current_version_id = version_id where number = 7"
        " and versions.document_id = :d", d=document_id
    )  # fmt: skip
    assert newest == (7,)


def test_of_two_who_read_the_same_at_the_same_moment_one_makes_a_version(ward: Ward) -> None:
    people = [ward.present() for _ in range(2)]
    document_id = ward.deposit(people[0], b"eins", TEXT)
    begun = [prepared(ward, who, document_id, 1) for who in people]
    for started in begun:
        ward.put(started, b"zwei")
    answers = at_once(2, lambda n: ward.commit(people[n], begun[n], b"zwei", media_type=TEXT))
    assert sorted(type(answer).__name__ for answer in answers) == ["ChangedMeanwhile", "dict"]


def test_a_repeated_commit_and_a_repeated_preparation_get_the_first_answer(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    again = keyed(author, "one")
    first = prepared(ward, again, document_id, 1)
    ward.put(first, b"zwei")
    made = ward.commit(author, first, b"zwei", media_type=TEXT)
    ward.examine()
    second = prepared(ward, again, document_id, 1)
    assert second["upload_id"] == first["upload_id"] and second["version_id"] != first["version_id"]
    assert ward.commit(author, first, b"zwei", media_type=TEXT) == made
    assert len(history(ward, author, document_id)["versions"]) == 2


# --- bringing one back ------------------------------------------------------------------------------------------------


def restored(ward: Ward, who: Caller, document_id: str, number: int, version: int | None = None) -> Any:
    [wanted] = [v for v in history(ward, who, document_id)["versions"] if v["number"] == number]
    return ward.ask("restore_version", who, document_id=document_id, version_id=wanted["version_id"], version=version)


def test_an_older_version_comes_back_as_the_newest_without_its_bytes_being_copied(ward: Ward) -> None:
    author, reader = ward.present(), ward.present("nurse")
    document_id = ward.deposit(author, b"eins", TEXT)
    replaced(ward, author, document_id, b"zwei")
    done = restored(ward, author, document_id, 1, 2)
    assert (done["number"], done["restores"], done["version"]) == (3, 1, 3)
    assert ward.read(reader, document_id) == b"eins"
    rows = ward.sql(
        "select content_id, store_version, sha256, size, wrapped_key, key_record_id from versions"
        " where document_id = :d and number in (1, 3)", d=document_id
    )  # fmt: skip
    assert len({tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows}) == 1
    event = ward.events(DocumentVersioned)[-1]
    assert (event["number"], event["restores"]) == (3, 1)
    [trace] = ward.traces("document.restored")
    assert (trace["outcome"], trace["object_id"]) == ("allowed", document_id)


def test_what_comes_back_is_found_by_its_own_words_again(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"pneumonie", TEXT)
    replaced(ward, author, document_id, b"angine")
    restored(ward, author, document_id, 1)
    ward.examine()
    assert ward.sql("select body from texts where document_id = :d", d=document_id) == [("pneumonie",)]
    assert len(ward.events(DocumentVersioned)) == 2


def test_only_what_everybody_may_see_comes_back_and_only_by_who_may_change_it(ward: Ward) -> None:
    author, reader = ward.present(), ward.present("pharmacist")
    document_id = ward.deposit(author, b"eins", TEXT)
    other = ward.deposit(author, b"anderes", TEXT)
    foreign = told(ward, author, other)["version_id"]
    pending = replace(ward, author, document_id, b"zwei")["version_id"]
    for version_id in (pending, foreign, new_id()):
        with pytest.raises(DocumentNotFound):
            ward.ask("restore_version", author, document_id=document_id, version_id=version_id, version=None)
    ward.examine()
    with pytest.raises(NotAllowed):
        restored(ward, reader, document_id, 1)
    with pytest.raises(ChangedMeanwhile):
        restored(ward, author, document_id, 1, 1)


def test_a_repeated_restoration_makes_one_version(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    replaced(ward, author, document_id, b"zwei")
    again = keyed(author, "back")
    assert restored(ward, again, document_id, 1, 2) == restored(ward, again, document_id, 1, 2)
    assert len(history(ward, author, document_id)["versions"]) == 3


def test_a_version_in_one_capacity_is_not_shown_to_the_same_account_in_another(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    replace(ward, author, document_id, b"zwei")
    ward.sql("update versions set account_id = :a where number = 2 and document_id = :d",
             a=ward.holder.account_id, d=document_id)  # fmt: skip
    assert [v["number"] for v in history(ward, ward.holder, document_id)["versions"]] == [1]


# --- what is gone -----------------------------------------------------------------------------------------------------


def test_a_removed_document_is_gone_to_who_could_see_it_and_unknown_to_all_others(ward: Ward) -> None:
    author, stranger, barred = ward.present(), caller("patient"), ward.present()
    document_id = ward.deposit(author, b"eins", TEXT)
    ward.restrict(ward.holder, document_id, barred)
    ward.sql("update documents set state = 'removed', removed_at = now() where document_id = :d", d=document_id)
    asked = {"document_id": document_id}
    calls: dict[str, dict[str, object]] = {
        "read_document": asked, "read_history": asked,
        "open_content": {**asked, "gateway_key": ward.gateway.public},
        "open_rendition": {**asked, "kind": "view", "gateway_key": ward.gateway.public},
    }  # fmt: skip
    for who, code in ((author, "document_removed"), (ward.holder, "document_removed"),
                      (stranger, "document_not_found"), (barred, "document_not_found")):  # fmt: skip
        assert {says(ward, method, who, **more) for method, more in calls.items()} == {code}
