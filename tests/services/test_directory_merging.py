"""Merging over a real database: one merge however many agents ask, both ids resolving, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, plumbing
from services.directory import store_patients
from services.directory.contract import AlreadyMerged, MergeNotFound, PersonNotFound
from services.directory.models import Patient, PossibleDuplicate, metadata
from services.refusals import ChangedMeanwhile, InvalidInput, KeyReused, NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import House, any_matricule, caller, context
from tests.services.ward import at_once

HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
AGENT = caller("agent")


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory",))
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    with built.sessions["directory"].transaction() as session:
        session.execute(sa.update(Patient).values(merged_into=None))
        for table in (*reversed(metadata.sorted_tables), *plumbing.sorted_tables):
            session.execute(table.delete())
    return built


def registered(house: House, name: str = "Weber", matricule: str = "") -> str:
    given = {
        "matricule": matricule or any_matricule(), "birth_name": name, "first_names": "Zoé Anne", "sex": "F",
        "birth_date": "1980-05-17", "language": "lb", "address": HOME | {"line": f"1, rue {name}"},
    }  # fmt: skip
    return str(house.ask("directory", "register_patient", AGENT, **given)["patient_id"])


def merged(house: House, survivor: str, other: str, who: Caller = AGENT, reason: str = "other") -> str:
    given = {"survivor_id": survivor, "merged_id": other, "reason": reason}
    return str(house.ask("directory", "merge_patients", who, **given)["merge_id"])


def undone(house: House, merge_id: str, who: Caller = AGENT) -> dict[str, Any]:
    answer: dict[str, Any] = house.ask("directory", "unmerge_patients", who, merge_id=merge_id)
    return answer


def living(house: House, *patient_ids: str) -> list[str | None]:
    with house.sessions["directory"].transaction() as session:
        return [store_patients.living(session, patient_id) for patient_id in patient_ids]


def told(house: House, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in house.events("directory") if event["type"] == kind]


def traces(house: House, action: str) -> list[tuple[Any, ...]]:
    kept = [trace for trace in told(house, "access_traced.v1") if trace["action"] == action]
    return [(trace["outcome"], trace["object_id"], trace["purpose"], trace["reason"]) for trace in kept]


def settled(house: House) -> list[tuple[str, str, str | None]]:
    with house.sessions["directory"].transaction() as session:
        pairs = session.scalars(sa.select(PossibleDuplicate)).all()
        return [(pair.one_id, pair.other_id, pair.settled) for pair in pairs]


def version_under(house: House, patient_id: str) -> int:
    return int(house.ask("directory", "read_sheet", AGENT, patient_id=patient_id)["version"])


def renamed(house: House, patient_id: str, version: int, name: str) -> str:
    given = {"patient_id": patient_id, "version": version, "changes": {"usual_name": name}}
    return str(house.ask("directory", "change_sheet", AGENT, **given)["patient_id"])


# --- one merge --------------------------------------------------------------------------------------------------------


def test_a_merged_id_and_its_matricule_lead_to_the_survivor_everywhere(house: House) -> None:
    first, second = any_matricule(), any_matricule()
    survivor, other = registered(house, "Weber", first), registered(house, "Wéber", second)
    merged(house, survivor, other)
    assert living(house, survivor, other, new_id()) == [survivor, survivor, None]
    names = house.ask("directory", "names", AGENT, patient_ids=[survivor, other, new_id()])["patients"]
    assert names == {survivor: "WEBER Zoé Anne", other: "WEBER Zoé Anne"}
    for patient_id in (survivor, other):
        address = house.ask("directory", "letter_address", context(), process="notifications", patient_id=patient_id)
        assert address["address_lines"][0] == "1, rue Weber"
        sheet = house.ask("directory", "person_sheet", context(), process="identity", patient_id=patient_id)
        assert sheet["birth_name"] == "Weber"
    for matricule in (first, second, second[:11]):
        person = house.ask("directory", "person_of_matricule", context(), process="identity", matricule=matricule)
        assert person["patient_id"] == survivor and person["matricule"] in (first, second)
    found = house.ask("directory", "search_patients", AGENT, matricule=second)["patients"]
    assert [patient["patient_id"] for patient in found] == [survivor]


def test_a_merge_is_told_and_traced_once_with_both_ids_and_no_name(house: House) -> None:
    survivor, other = registered(house), registered(house, "Wéber")
    merge_id = merged(house, survivor, other)
    [event] = told(house, "patients_merged.v1")
    assert event.pop("at") and event == {
        "merge_id": merge_id, "survivor_id": survivor, "merged_id": other, "by": AGENT.account_id
    }  # fmt: skip
    assert traces(house, "patient.merged") == [("allowed", survivor, other, None)]
    assert "eber" not in json.dumps(house.events("directory"))
    assert settled(house) == [(*sorted((survivor, other)), "merged")]


def test_an_unmerge_gives_each_what_was_theirs(house: House) -> None:
    matricule = any_matricule()
    survivor, other = registered(house), registered(house, "Schmit", matricule)
    merge_id = merged(house, survivor, other)
    answer = undone(house, merge_id)
    assert answer["undone_at"] and answer["undone_by"] == AGENT.account_id
    assert living(house, survivor, other) == [survivor, other]
    assert house.ask("directory", "names", AGENT, patient_ids=[other])["patients"] == {other: "SCHMIT Zoé Anne"}
    person = house.ask("directory", "person_of_matricule", context(), process="identity", matricule=matricule)
    assert person["patient_id"] == other
    [event] = told(house, "patients_unmerged.v1")
    assert event.pop("at") and event == {
        "merge_id": merge_id, "survivor_id": survivor, "merged_id": other, "by": AGENT.account_id
    }  # fmt: skip
    assert traces(house, "patient.unmerged") == [("allowed", survivor, other, None)]
    assert settled(house) == [(*sorted((survivor, other)), "distinct")]
    again = undone(house, merge_id)
    assert again == answer and len(told(house, "patients_unmerged.v1")) == 1


def test_a_pair_that_was_put_before_an_agent_keeps_its_rate(house: House) -> None:
    survivor, other = registered(house), registered(house, "Wéber")
    one, two = sorted((survivor, other))
    with house.sessions["directory"].transaction() as session:
        # Whoever is registered may have been compared already.
        session.merge(PossibleDuplicate(one_id=one, other_id=two, rate=87, found_at=now() - timedelta(days=1)))
    merged(house, survivor, other)
    with house.sessions["directory"].transaction() as session:
        pair = session.scalars(sa.select(PossibleDuplicate)).one()
        assert (pair.rate, pair.settled, pair.settled_by) == (87, "merged", AGENT.account_id)


def test_after_an_unmerge_the_same_two_can_be_merged_again_the_other_way_round(house: House) -> None:
    survivor, other = registered(house), registered(house, "Wéber")
    undone(house, merged(house, survivor, other))
    assert merged(house, other, survivor)
    assert living(house, survivor, other) == [other, other]


# --- who may, and what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", ["patient", "professional"])
def test_nobody_but_an_agent_merges_unmerges_or_lists(house: House, capacity: str) -> None:
    survivor, other = registered(house), registered(house, "Wéber")
    merge_id, stranger = merged(house, survivor, other), caller(capacity)
    for work in (
        lambda: merged(house, other, survivor, stranger),
        lambda: undone(house, merge_id, stranger),
        lambda: house.ask("directory", "merges", stranger),
    ):
        with pytest.raises(NotAllowed):
            work()
    assert traces(house, "patient.merged")[-1] == ("refused", None, None, "not_allowed")
    assert traces(house, "patient.unmerged") == [("refused", None, None, "not_allowed")]
    assert traces(house, "merge.searched") == [("refused", None, None, "not_allowed")]
    assert living(house, other) == [survivor]


def test_a_sheet_is_not_merged_with_itself(house: House) -> None:
    patient = registered(house)
    with pytest.raises(InvalidInput):
        merged(house, patient, patient)


@pytest.mark.parametrize("who", ["survivor", "other"])
def test_an_unknown_patient_is_refused_and_traced(house: House, who: str) -> None:
    known, unknown = registered(house), new_id()
    pair = (unknown, known) if who == "survivor" else (known, unknown)
    with pytest.raises(PersonNotFound):
        merged(house, *pair)
    assert traces(house, "patient.merged") == [("refused", pair[0], None, "person_not_found")]


def test_who_is_merged_is_merged_no_second_time_and_takes_nobody_in(house: House) -> None:
    a, b, c = registered(house), registered(house, "Wéber"), registered(house, "Webber")
    merge_id = merged(house, a, b)
    for survivor, other in ((b, a), (c, b), (b, c)):
        with pytest.raises(AlreadyMerged):
            merged(house, survivor, other)
    assert merged(house, a, b, caller("agent"), "matricule_changed") == merge_id
    assert len(told(house, "patients_merged.v1")) == 1
    assert [trace[0] for trace in traces(house, "patient.merged")] == ["allowed", *["refused"] * 3, "allowed"]


def test_an_unknown_merge_cannot_be_undone(house: House) -> None:
    for merge_id in (new_id(), "x"):
        with pytest.raises(MergeNotFound):
            undone(house, merge_id)


def test_a_merge_asked_twice_under_one_key_is_one_and_another_body_is_refused(house: House) -> None:
    a, b, c = registered(house), registered(house, "Wéber"), registered(house, "Webber")
    keyed = replace(AGENT, context=context(idempotency_key=new_id()))
    first = merged(house, a, b, keyed)
    undone(house, first)
    assert merged(house, a, b, keyed) == first and living(house, b) == [b]
    with pytest.raises(KeyReused):
        merged(house, a, c, keyed)


# --- at once ----------------------------------------------------------------------------------------------------------


def test_two_agents_merging_the_same_pair_at_once_make_one_merge(house: House) -> None:
    for _ in range(5):
        a, b = registered(house), registered(house, "Wéber")
        before = len(told(house, "patients_merged.v1"))
        answers = at_once(4, lambda number, a=a, b=b: merged(house, a, b, caller("agent")))
        assert len(set(answers)) == 1 and isinstance(answers[0], str)
        assert len(told(house, "patients_merged.v1")) == before + 1


def test_of_two_crosswise_merges_at_once_exactly_one_wins(house: House) -> None:
    for _ in range(5):
        a, b = registered(house), registered(house, "Wéber")
        pairs = [(a, b), (b, a)]
        answers = at_once(2, lambda number, pairs=pairs: merged(house, *pairs[number], caller("agent")))
        won = [number for number, answer in enumerate(answers) if isinstance(answer, str)]
        assert len(won) == 1 and isinstance(answers[1 - won[0]], AlreadyMerged)
        assert living(house, a, b) == [pairs[won[0]][0]] * 2


def test_merges_of_three_at_once_never_make_a_circle(house: House) -> None:
    for _ in range(5):
        a, b, c = registered(house), registered(house, "Wéber"), registered(house, "Webber")
        pairs = [(a, b), (b, c), (c, a)]
        answers = at_once(3, lambda number, pairs=pairs: merged(house, *pairs[number], caller("agent")))
        assert all(isinstance(answer, str | AlreadyMerged) for answer in answers)
        assert None not in living(house, a, b, c) and not all(isinstance(answer, Refusal) for answer in answers)


def test_an_undone_merge_is_undone_once_however_many_ask(house: House) -> None:
    a, b = registered(house), registered(house, "Wéber")
    merge_id = merged(house, a, b)
    answers = at_once(4, lambda _: undone(house, merge_id, caller("agent"))["undone_by"])
    assert len(set(answers)) == 1 and len(told(house, "patients_unmerged.v1")) == 1


# --- chains -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def chain(house: House) -> tuple[list[str], list[str]]:
    """C was merged into B, then B into A; the three, and the two merges in this order."""
    a, b, c = registered(house), registered(house, "Wéber"), registered(house, "Webber")
    return [a, b, c], [merged(house, b, c), merged(house, a, b)]


def test_a_chain_leads_to_its_end(house: House, chain: tuple[list[str], list[str]]) -> None:
    people, _ = chain
    assert living(house, *people) == [people[0]] * 3
    names = house.ask("directory", "names", AGENT, patient_ids=people)["patients"]
    assert set(names.values()) == {"WEBER Zoé Anne"} and set(names) == set(people)
    assert merged(house, people[1], people[2]) == chain[1][0]  # the very same merge, asked again


def test_notifications_learns_every_id_of_one_person_who_speaks_for_them_first(
    house: House, chain: tuple[list[str], list[str]]
) -> None:
    (a, b, c), alone = chain[0], registered(house, "Faber")
    for asked, expected in ((a, [a, b, c]), (c, [a, b, c]), (alone, [alone]), (new_id(), []), ("x", [])):
        found = house.ask("directory", "ids_of_patient", context(), process="notifications", patient_id=asked)
        assert found == {"patient_ids": expected}
    with pytest.raises(NotAllowed):
        house.ask("directory", "ids_of_patient", context(), process="gateway", patient_id=a)


def test_unmerging_the_end_of_a_chain_takes_along_whoever_hangs_there(
    house: House, chain: tuple[list[str], list[str]]
) -> None:
    (a, b, c), (_, second) = chain
    undone(house, second)
    assert living(house, a, b, c) == [a, b, b]


def test_unmerging_the_middle_of_a_chain_frees_its_beginning_alone(
    house: House, chain: tuple[list[str], list[str]]
) -> None:
    (a, b, c), (first, _) = chain
    undone(house, first)
    assert living(house, a, b, c) == [a, a, c]


# --- what was read before ---------------------------------------------------------------------------------------------


def test_what_was_read_of_one_sheet_is_never_written_into_another(house: House) -> None:
    survivor, other = registered(house), registered(house, "Wéber")
    read_of_other, read_of_survivor = version_under(house, other), version_under(house, survivor)
    merge_id = merged(house, survivor, other)
    for patient_id, version in ((other, read_of_other), (survivor, read_of_survivor)):
        with pytest.raises(ChangedMeanwhile):
            renamed(house, patient_id, version, "Stale")
    assert renamed(house, other, version_under(house, other), "Both") == survivor
    while_merged = version_under(house, other)
    undone(house, merge_id)
    with pytest.raises(ChangedMeanwhile):
        renamed(house, other, while_merged, "Stale")
    assert renamed(house, other, version_under(house, other), "Own") == other
    assert renamed(house, survivor, while_merged, "Mine") == survivor  # who was read is who is changed


def test_so_it_is_where_another_speaks_for_the_survivor(house: House, chain: tuple[list[str], list[str]]) -> None:
    (a, _, c), (first, _) = chain
    for number in range(5):
        renamed(house, a, version_under(house, a), f"Name {chr(65 + number)}")
    while_merged = [version_under(house, c)]
    undone(house, first)
    assert version_under(house, c) > while_merged[0]
    with pytest.raises(ChangedMeanwhile):
        renamed(house, c, while_merged[0], "Stale")


# --- the list ---------------------------------------------------------------------------------------------------------


def test_an_agent_reads_the_merges_newest_first_a_page_at_a_time(house: House) -> None:
    made = []
    for _ in range(3):
        made.insert(0, merged(house, registered(house), registered(house, "Wéber"), reason="duplicate_registration"))
    undone(house, made[1])
    page = house.ask("directory", "merges", AGENT, limit=2)
    rest = house.ask("directory", "merges", AGENT, limit=2, cursor=page["next_cursor"])
    assert [merge["merge_id"] for merge in (*page["merges"], *rest["merges"])] == made
    assert [bool(merge["undone_at"]) for merge in (*page["merges"], *rest["merges"])] == [False, True, False]
    assert rest["next_cursor"] is None and page["merges"][0]["reason"] == "duplicate_registration"
    counts = [event["count"] for event in told(house, "access_traced.v1") if event["action"] == "merge.searched"]
    assert counts == [2, 1]


def test_a_list_of_names_without_merges_costs_one_statement(house: House) -> None:
    people = [registered(house) for _ in range(3)]
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    engine = house.sessions["directory"].engine
    sa.event.listen(engine, "before_cursor_execute", note)
    with house.sessions["directory"].transaction() as session:
        store_patients.patient_names(session, people)
    sa.event.remove(engine, "before_cursor_execute", note)
    assert len([statement for statement in seen if "from patients" in statement.lower()]) == 1
