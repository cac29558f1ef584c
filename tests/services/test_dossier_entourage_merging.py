"""Representatives and assistants of two records that turned out to be one person's: who comes along, who goes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now, rfc3339
from services.tokens import Caller
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.dossier_twins import Pair, grounds, merged
from tests.services.entourage_house import Home


class Both:
    """Two records of what is one person, with the means to act in either."""

    def __init__(self, house: DossierHouse) -> None:
        self.house, self.pair = house, Pair(house)
        self.one, self.other = Home(house), Home(house)
        self.one.holder, self.one.record = self.pair.holder, self.pair.record
        self.other.holder, self.other.record = self.pair.twin, self.pair.other
        self.merge, self.unmerge = self.pair.merge, self.pair.unmerge

    def merge_again(self) -> None:
        self.pair.merge_id = new_id()
        self.merge()

    def grounds(self, who: Caller) -> tuple[list[str], list[str]]:
        """In the record that survives, and in the one that was merged into it."""
        return grounds(self.house, who, self.one.record), grounds(self.house, who, self.other.record)

    def shown(self, who: str) -> list[Any]:
        asked = getattr(self.house.dossier, who)
        return list(asked(self.pair.holder, record_id=self.one.record)[who])


@pytest.fixture
def both(house: DossierHouse) -> Both:
    return Both(house)


def test_who_acts_and_reads_in_one_does_in_the_other_and_goes_back(both: Both) -> None:
    parent, _ = both.other.represented_by()
    friend, _ = both.other.assisted_by(name="Paul")
    both.merge()
    assert both.grounds(parent) == (["legal_representative"], [])
    assert both.grounds(friend) == (["assistant"], [])
    for who in (parent, friend):
        [found] = both.house.dossier.my_records(who)["records"]
        assert found["record_id"] == both.one.record
    [copy] = both.shown("assistants")
    assert (copy["name"], copy["state"]) == ("Paul", "accepted")
    both.unmerge()
    assert both.grounds(parent) == ([], ["legal_representative"])
    assert both.grounds(friend) == ([], ["assistant"])
    both.merge_again()
    assert both.grounds(parent) == (["legal_representative"], [])
    assert both.grounds(friend) == (["assistant"], [])


def test_who_stands_in_both_stands_once(both: Both) -> None:
    parent, friend = both.one.person(), both.one.person()
    for home in (both.one, both.other):
        home.record_one(parent)
        home.dossier.accept_invitation(friend, code=home.invite()["code"])
    both.merge()
    assert len(both.shown("representatives")) == len(both.shown("assistants")) == 1
    both.unmerge()
    assert both.grounds(parent) == (["legal_representative"], ["legal_representative"])
    assert both.grounds(friend) == (["assistant"], ["assistant"])


def test_whoever_was_ended_meanwhile_is_ended_on_both_sides(both: Both) -> None:
    parent, _ = both.other.represented_by()
    friend, _ = both.other.assisted_by()
    kept, _ = both.other.assisted_by()
    twice = both.one.person()
    for home in (both.one, both.other):
        home.dossier.accept_invitation(twice, code=home.invite()["code"])
    both.merge()
    [copy] = both.shown("representatives")
    where = {"record_id": both.one.record}
    both.house.dossier.end_representative(
        both.house.agent, representative_id=copy["representative_id"], **where
    )  # fmt: skip
    for who in (friend, twice):
        [mine] = both.house.dossier.my_records(who)["records"]
        both.house.dossier.end_assistant(both.pair.holder, assistant_id=mine["grant_id"], **where)
    both.unmerge()
    for who in (parent, friend, twice):
        assert both.grounds(who) == ([], [])
    assert both.grounds(kept) == ([], ["assistant"])
    both.merge_again()
    assert both.grounds(parent) == both.grounds(friend) == ([], [])
    assert both.grounds(kept) == (["assistant"], [])


def test_what_was_given_after_the_merge_stays_with_the_survivor(both: Both) -> None:
    both.merge()
    parent, _ = both.one.represented_by()
    friend, _ = both.one.assisted_by()
    both.unmerge()
    assert both.grounds(parent) == (["legal_representative"], [])
    assert both.grounds(friend) == (["assistant"], [])


def test_an_invitation_does_not_come_along_and_is_good_again_when_the_merge_is_undone(both: Both) -> None:
    friend, invited = both.one.person(), both.other.invite()
    both.merge()
    refused = both.house.dossier.accept_invitation(friend, code=invited["code"])
    assert refusal_code(refused) == "invitation_refused" and both.shown("assistants") == []
    both.unmerge()
    both.house.dossier.accept_invitation(friend, code=invited["code"])
    assert both.grounds(friend) == ([], ["assistant"])


def test_a_sitting_that_was_ended_in_the_survivor_is_ended_on_both_sides(both: Both) -> None:
    curator, recorded = both.other.represented_by("curator", majority_at=None)
    both.house.dossier.open_sitting(both.other.holder, record_id=both.other.record, representative_id=recorded)
    both.merge()
    assert both.grounds(curator) == (["legal_representative"], [])
    [copy] = both.shown("representatives")
    where = {"record_id": both.one.record, "representative_id": copy["representative_id"]}
    both.house.dossier.end_sitting(both.pair.holder, **where)
    both.unmerge()
    assert both.grounds(curator) == ([], [])


def test_nobody_assists_themself_in_the_record_that_speaks_for_them(both: Both) -> None:
    accepted = both.other.dossier.accept_invitation(both.pair.holder, code=both.other.invite()["code"])
    assert isinstance(accepted, dict)
    both.merge()
    assert both.grounds(both.pair.holder) == (["holder"], [])
    both.unmerge()
    assert both.grounds(both.pair.holder) == (["holder"], ["assistant"])


def test_an_end_by_time_is_told_once_from_the_record_that_speaks(both: Both) -> None:
    ends = rfc3339(now() + timedelta(days=30))
    both.other.represented_by(until=ends)
    both.other.assisted_by(until=ends)
    both.merge()
    both.one.time_passes(now() + timedelta(days=31))
    told = both.house.events("grant_ended.v1")
    assert sorted((each["record_id"], each["ground"]) for each in told) == [
        (both.one.record, "assistant"), (both.one.record, "legal_representative"),
    ]  # fmt: skip


def test_the_copies_of_copies_go_back_too(house: DossierHouse) -> None:
    oldest = Home(house)  # survives
    both = Both(house)
    friend, _ = both.other.assisted_by()
    parent, _ = both.other.represented_by()
    both.merge()
    undo = merged(house, oldest.holder, both.pair.holder)
    for who, ground in ((friend, "assistant"), (parent, "legal_representative")):
        assert grounds(house, who, oldest.record) == [ground]
    both.unmerge()
    for who, ground in ((friend, "assistant"), (parent, "legal_representative")):
        assert grounds(house, who, oldest.record) == []
        assert both.grounds(who) == ([], [ground])
    house.hear("directory", undo)
    assert both.grounds(friend) == ([], ["assistant"])
