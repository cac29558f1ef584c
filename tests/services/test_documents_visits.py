"""New since my last visit: where a visit ends, what came after it, and for whom."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.dossier.contract import RecordNotFound
from services.refusals import InvalidInput
from services.tokens import Caller
from tests.services.ward import Ward, at_once


def look(ward: Ward, who: Caller, **wanted: Any) -> Any:
    return ward.ask("list_documents", who, record_id=ward.record_id, wanted=wanted)


def new(ward: Ward, who: Caller) -> list[str]:
    """What is marked as new; the filter shows the same."""
    marked = [each["document_id"] for each in look(ward, who)["documents"] if each["new"]]
    narrowed = look(ward, who, new_since_visit=True)["documents"]
    assert [each["document_id"] for each in narrowed] == marked and all(each["new"] for each in narrowed)
    return marked


def quiet(ward: Ward, minutes: int) -> None:
    """Lets so many minutes go by: every visit of this record was so much earlier."""
    ward.sql(
        "update visits set last_at = last_at - make_interval(mins => :m), since = since - make_interval(mins => :m)"
        " where record_id = :record", m=minutes, record=ward.record_id,
    )  # fmt: skip
    for table, column in (("documents", "deposited_at"), ("versions", "created_at"), ("versions", "checked_at"),
                          ("documents", "released_at")):  # fmt: skip
        ward.sql(f"update {table} set {column} = {column} - make_interval(mins => :m)", m=minutes)


def visit(ward: Ward, who: Caller) -> Any:
    [row] = ward.sql(
        "select since, last_at from visits where account_id = :who and record_id = :record",
        who=who.account_id, record=ward.record_id,
    )  # fmt: skip
    return row


def test_on_the_first_visit_everything_is_new_and_no_moment_is_compared_with(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    reader = ward.present("nurse")
    assert look(ward, reader)["new_since"] is None and new(ward, reader) == [document_id]


def test_what_came_after_the_last_visit_is_new_and_what_was_there_is_not(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    seen = ward.deposit(author)
    assert new(ward, reader) == [seen]
    quiet(ward, 31)
    late = ward.deposit(author)
    ended = visit(ward, reader).last_at
    assert new(ward, reader) == [late]
    told = look(ward, reader)["new_since"]
    assert datetime.fromisoformat(told) == ended


def test_a_visit_goes_on_while_no_thirty_quiet_minutes_pass_and_what_is_new_stays_so(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    look(ward, reader)
    quiet(ward, 31)
    late = ward.deposit(author)
    since = look(ward, reader)["new_since"]
    for _ in range(3):
        quiet(ward, 29)
        assert new(ward, reader) == [late], "the visit goes on"
    moved = timedelta(minutes=3 * 29)
    assert datetime.fromisoformat(look(ward, reader)["new_since"]) == datetime.fromisoformat(since) - moved
    quiet(ward, 30)
    assert new(ward, reader) == [], "another visit begins"


def test_a_request_of_any_kind_keeps_a_visit_going(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    document_id = ward.deposit(author)
    look(ward, reader)
    kept = visit(ward, reader).last_at
    for ask in ("read_tree", "timeline", "list_binders"):
        quiet(ward, 20)
        ward.ask(ask, reader, record_id=ward.record_id)
        assert visit(ward, reader).last_at > kept and visit(ward, reader).since is None
    quiet(ward, 20)
    ward.ask("read_document", reader, document_id=document_id)
    assert new(ward, reader) == [document_id], "since the first visit, which goes on"


def test_within_a_minute_a_visit_is_not_written_again(ward: Ward) -> None:
    reader = ward.present()
    look(ward, reader)
    before = visit(ward, reader).last_at
    look(ward, reader)
    assert visit(ward, reader).last_at == before
    quiet(ward, 2)
    look(ward, reader)
    assert visit(ward, reader).last_at > before


def test_nothing_of_ones_own_is_new(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author)
    assert new(ward, author) == [] and new(ward, ward.holder) == [document_id]


def test_a_released_document_is_new_to_the_holder_and_to_nobody_who_saw_it_all_the_time(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    document_id = ward.deposit(author)
    ward.block(author, document_id)
    assert new(ward, ward.holder) == [] and new(ward, reader) == [document_id]
    quiet(ward, 31)
    ward.release(author, document_id)
    assert new(ward, ward.holder) == [document_id] and new(ward, reader) == []


def test_what_was_checked_during_the_last_visit_and_shown_after_it_is_new(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    document_id = ward.deposit(author)
    ward.sql("update documents set state = 'checking' where document_id = :id", id=document_id)
    look(ward, reader)
    quiet(ward, 31)
    ward.sql("update documents set state = 'available' where document_id = :id", id=document_id)
    ward.sql("update versions set checked_at = now() where document_id = :id", id=document_id)
    assert new(ward, reader) == [document_id]


def test_what_is_hidden_is_not_new_to_the_one_it_is_hidden_from(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    look(ward, reader)
    quiet(ward, 31)
    hidden = ward.deposit(author)
    ward.restrict(ward.holder, hidden, reader)
    assert new(ward, reader) == [] == look(ward, reader)["documents"]


def test_everybody_has_visits_of_their_own(ward: Ward) -> None:
    author, one, other = ward.present(), ward.present(), ward.present()
    document_id = ward.deposit(author)
    look(ward, one)
    quiet(ward, 31)
    assert new(ward, one) == [] and new(ward, other) == [document_id]


def test_who_is_refused_was_not_there(ward: Ward) -> None:
    stranger = ward.professional()
    with pytest.raises(RecordNotFound):
        look(ward, stranger)
    assert ward.sql("select 1 from visits where account_id = :who", who=stranger.account_id) == []


def test_of_requests_that_begin_a_visit_together_all_see_the_same_one(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    look(ward, reader)
    quiet(ward, 31)
    late, ended = ward.deposit(author), visit(ward, reader).last_at
    told = at_once(6, lambda _: look(ward, reader))
    assert {each["new_since"] for each in told} == {look(ward, reader)["new_since"]}
    assert visit(ward, reader).since == ended and new(ward, reader) == [late]


def test_a_list_with_its_visit_asks_the_database_no_more_than_a_list(ward: Ward) -> None:
    reader = ward.present()
    ward.deposit(ward.present())
    with ward.counted() as statements:
        look(ward, reader)
    assert len(statements) == 2 and "insert into visits" in statements[-1] and statements[-1].endswith("commit")
    with ward.counted() as statements:
        ward.ask("read_tree", reader, record_id=ward.record_id)
    assert len(statements) == 2


def test_a_visit_that_was_not_committed_was_none(ward: Ward) -> None:
    reader = ward.present()
    look(ward, reader)
    quiet(ward, 31)
    before = visit(ward, reader)
    broken = ward.sql("alter table outbox rename to gone")
    assert broken is None
    try:
        with pytest.raises(Exception):  # noqa: B017
            look(ward, reader)
    finally:
        ward.sql("alter table gone rename to outbox")
    assert visit(ward, reader) == before


def test_a_search_is_not_narrowed_to_it(ward: Ward) -> None:
    with pytest.raises(InvalidInput):
        ward.ask("search_documents", ward.holder, record_id=ward.record_id, query="radio",
                 wanted={"new_since_visit": True})  # fmt: skip
