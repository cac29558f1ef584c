"""Which record speaks for a person who was registered twice, as a table, and that no order of the news matters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier.rules_merges import (
    STATES_BY_USE,
    Kept,
    Merge,
    Place,
    content_follows,
    downwards,
    moves,
    places,
    running,
    speakers,
    survivor,
)


def merge(number: int, survivor_id: str, merged_id: str, undone: bool = False) -> Merge:
    return Merge(str(number), survivor_id, merged_id, undone)


def kept(record_id: str, state: str = "active", owner: str = "A", into: str | None = None) -> Kept:
    return Kept(record_id, owner, owner, state, into)


# --- which record survives --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        ("active", "active", "older"),
        ("active", "open_by_lapse", "older"),
        ("open_by_lapse", "active", "newer"),
        ("open_by_lapse", "open", "older"),
        ("open", "open_by_lapse", "newer"),
        ("open", "active", "newer"),
        ("open", "open", "older"),
        ("requested", "open", "newer"),
        ("closed", "active", "newer"),
        ("closed", "requested", "newer"),
        ("active", "closed", "older"),
        ("closed", "closed", "older"),
    ],
)
def test_of_two_records_the_one_in_use_survives_and_of_two_alike_the_older(
    older: str, newer: str, expected: str
) -> None:
    pair = [kept("1", older), kept("2", newer)]
    record_id = {"older": "1", "newer": "2"}[expected]
    for records in (pair, pair[::-1]):
        found = survivor(records)
        assert found is not None and found.record_id == record_id


def test_one_record_survives_alone_and_of_none_there_is_none() -> None:
    assert survivor([kept("1", "closed")]) == kept("1", "closed") and survivor([]) is None


@pytest.mark.parametrize("merged", STATES_BY_USE)
@pytest.mark.parametrize("surviving", STATES_BY_USE)
def test_what_its_holder_closed_goes_into_no_record_that_is_read(merged: str, surviving: str) -> None:
    assert content_follows(merged, surviving) is not (merged == "closed" and surviving != "closed")


# --- who speaks for whom ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], {}),
        ([merge(1, "A", "B")], {"B": "A"}),
        ([merge(1, "A", "B", undone=True)], {}),
        ([merge(1, "B", "C"), merge(2, "A", "B")], {"C": "A", "B": "A"}),
        ([merge(1, "B", "C", undone=True), merge(2, "A", "B")], {"B": "A"}),
        ([merge(1, "B", "C"), merge(2, "A", "B", undone=True)], {"C": "B"}),
        ([merge(1, "A", "B"), merge(2, "B", "A")], {"A": "B"}),
        ([merge(1, "A", "B"), merge(2, "C", "B")], {"B": "C"}),
        ([merge(1, "A", "B"), merge(2, "B", "C")], {"C": "B"}),
    ],
)
def test_a_later_merge_of_somebody_led_away_says_that_the_earlier_one_is_over(
    told: list[Merge], expected: dict[str, str]
) -> None:
    """Directory merges living sheets alone: the last three of these are news that came before that of an end."""
    assert speakers(told) == expected == speakers(told[::-1])
    assert {each.merged_id for each in running(told)} == set(expected)


# --- where records belong ---------------------------------------------------------------------------------------------


def test_the_only_record_of_two_people_goes_to_who_speaks_for_both() -> None:
    assert places({"B": "A"}, [kept("1", owner="B")]) == {"1": Place("A", None)}
    assert places({}, [kept("1", owner="B")]) == {"1": Place("B", None)}


def test_the_surviving_record_may_be_that_of_the_merged_patient() -> None:
    records = [kept("1", "open", "A"), kept("2", "active", "B")]
    assert places({"B": "A"}, records) == {"1": Place("A", "2"), "2": Place("A", None)}


def test_a_record_stays_where_it_was_merged_though_the_other_has_lost_its_advantage() -> None:
    records = [kept("1", "closed", "A"), kept("2", "active", "B", into="1")]
    assert places({"B": "A"}, records) == {"1": Place("A", None), "2": Place("A", "1")}


def test_a_chain_is_taken_apart_where_it_is_undone() -> None:
    chain = [kept("1", owner="A"), kept("2", owner="B", into="1"), kept("3", owner="C", into="2")]
    assert places({"C": "B"}, chain) == {"1": Place("A", None), "2": Place("B", None), "3": Place("B", "2")}
    assert places({"B": "A"}, chain) == {"1": Place("A", None), "2": Place("A", "1"), "3": Place("C", None)}


def test_what_led_past_the_one_that_leaves_is_weighed_anew() -> None:
    star = [kept("1", owner="A"), kept("2", owner="B", into="1"), kept("3", owner="C", into="1")]
    assert places({"C": "B"}, star) == {"1": Place("A", None), "2": Place("B", None), "3": Place("B", "2")}


def test_ways_are_walked_from_the_surviving_record_down() -> None:
    assert downwards({"3": "2", "2": "1", "4": "1"}) == [("2", "1"), ("4", "1"), ("3", "2")]


def test_a_record_moves_when_its_place_is_another() -> None:
    assert not moves(kept("1"), Place("A", None))
    assert moves(kept("1"), Place("B", None)) and moves(kept("1"), Place("A", "2"))


PEOPLE = "ABCDE"


@st.composite
def stories(draw: st.DrawFn) -> list[Merge]:
    """What directory can have done: merges of living sheets, some undone before the next."""
    merges: list[Merge] = []
    leads: dict[str, int] = {}
    for number in range(draw(st.integers(1, 8))):
        living = [person for person in PEOPLE if person not in leads]
        if leads and (len(living) < 2 or draw(st.booleans())):
            person = draw(st.sampled_from(sorted(leads)))
            index = leads.pop(person)
            merges[index] = Merge(merges[index].merge_id, merges[index].survivor_id, person, True)
        else:
            one, other = draw(st.permutations(living))[:2]
            leads[other] = len(merges)
            merges.append(merge(number, one, other))
    return merges


@given(story=stories(), heard=st.data())
def test_in_whatever_order_the_news_come_everybody_has_one_record_in_the_end(
    story: list[Merge], heard: st.DataObject
) -> None:
    states = {person: heard.draw(st.sampled_from(STATES_BY_USE)) for person in PEOPLE}
    records = [Kept(str(at), person, person, states[person], None) for at, person in enumerate(PEOPLE)]
    known: dict[str, Merge] = {}
    news = [(each.merge_id, end) for each in story for end in (False, True) if end <= each.undone]
    for merge_id, end in heard.draw(st.permutations(news)):
        told = next(each for each in story if each.merge_id == merge_id)
        undone = end or (merge_id in known and known[merge_id].undone)
        known[merge_id] = Merge(merge_id, told.survivor_id, told.merged_id, undone)
        found = places(speakers(known.values()), records)
        records = [
            Kept(each.record_id, each.owner_id, found[each.record_id].patient_id, each.state,
                 found[each.record_id].merged_into) for each in records
        ]  # fmt: skip
        heads = [each.patient_id for each in records if each.merged_into is None]
        assert len(set(heads)) == len(heads)
    assert speakers(known.values()) == speakers(story)
    by_person = {each.owner_id: each for each in records}
    for person in PEOPLE:
        head = by_person[person]
        while head.merged_into is not None:
            head = next(each for each in records if each.record_id == head.merged_into)
        speaker = speakers(story).get(person, person)
        assert head.patient_id == by_person[person].patient_id == speaker
