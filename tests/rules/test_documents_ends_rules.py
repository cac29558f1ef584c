"""Who decides about the end of a document, when its time is over, and who hears of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.documents import rules_ends
from services.documents.contract import REMOVAL_CAUSES, REMOVAL_STATES, RemovalDecided, SecondAgentNeeded
from services.notifications import rules_record_news as news
from services.refusals import InvalidInput

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize("capacity", ["agent", "patient", "professional", "machine", ""])
def test_agents_alone_remove_documents(capacity: str) -> None:
    assert rules_ends.may_work(capacity) is (capacity == "agent")


@given(state=st.sampled_from(REMOVAL_STATES), asked_by=st.sampled_from(["a", "b", None]), agent=st.sampled_from("ab"))
def test_it_takes_a_second_agent_and_a_removal_that_is_not_decided(
    state: str, asked_by: str | None, agent: str
) -> None:  # fmt: skip
    found = rules_ends.refused_decision(state, asked_by, agent)
    if state != "asked":
        assert isinstance(found, RemovalDecided)
    else:
        assert isinstance(found, SecondAgentNeeded) is (asked_by == agent)


@given(MOMENTS, st.integers(1, 50))
def test_the_term_is_the_same_day_so_many_years_later(moment: datetime, years: int) -> None:
    before = rules_ends.years_before(moment, years)
    assert before.year == moment.year - years and before.month == moment.month
    assert before.day == moment.day or (moment.month, moment.day, before.day) == (2, 29, 28)
    assert before.timetz() == moment.timetz()


def test_the_29th_of_february_has_a_term_too() -> None:
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert rules_ends.years_before(leap, 10) == datetime(2018, 2, 28, 12, tzinfo=UTC)
    assert rules_ends.years_before(leap, 8) == datetime(2020, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("cause", REMOVAL_CAUSES)
def test_a_removal_has_one_of_the_causes_and_a_reason_in_one_line(cause: str) -> None:
    assert rules_ends.require_words(cause, "  Demande   écrite ") == (cause, "Demande écrite")
    for reason in (None, "", " ", "x" * 501, "a\0b", 7):
        with pytest.raises(InvalidInput):
            rules_ends.require_words(cause, reason)
    for wrong in (None, "term", "record_deleted", 7, ["x"]):
        with pytest.raises(InvalidInput):
            rules_ends.require_words(wrong, "x")


@pytest.mark.parametrize(
    ("state", "limit", "cursor"),
    [("x", 1, None), (None, 0, None), (None, 101, None), (None, True, None), (None, "5", None), (None, 1, "x")],
)
def test_a_list_is_asked_for_in_words_there_are(state: object, limit: object, cursor: object) -> None:
    with pytest.raises(InvalidInput):
        rules_ends.require_queue(state, limit, cursor)
    assert rules_ends.require_queue("asked", 100, None) == ("asked", 100, None)


@pytest.mark.parametrize("state", ["checking", "available", "rejected"])
@pytest.mark.parametrize("blocked", [True, False])
@pytest.mark.parametrize("withheld", [True, False])
@pytest.mark.parametrize("role", news.ROLES)
def test_nobody_hears_of_the_end_of_what_was_hidden_from_them(
    state: str, blocked: bool, withheld: bool, role: str
) -> None:  # fmt: skip
    hidden = rules_ends.hidden_how(state=state, blocked=blocked, withheld=withheld)
    reader = news.Reader("patient", "x", "record_news.document_removed", role)
    seen = state == "available" and not blocked and (not withheld or role == news.HOLDER)
    assert news.may_hear_of(reader, hidden) is seen


def test_of_a_deleted_record_no_document_has_news_of_its_own() -> None:
    told = {cause: news.occasion_of_removal(cause) for cause in ("request", "term", "record_deleted")}
    assert told == {"request": "record_news.document_removed", "term": "record_news.documents_expired",
                    "record_deleted": None}  # fmt: skip
