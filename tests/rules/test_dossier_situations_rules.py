"""Who is let in at all: state, licence, blocklist, capacity; the first access, and what the refused are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.dossier import contract, rules
from services.dossier.contract import NOBODY, STATES
from services.dossier.rules import Facts
from services.refusals import NotAllowed
from tests.rules.situations import (
    HOLDER_SIDE,
    PATIENT,
    PROFESSIONAL,
    RECORD,
    SOMEBODY_ELSE,
    TABLES,
    document,
    grant,
    holder,
    person,
    professional,
    reader,
    reads,
    scope,
)  # fmt: skip

# --- state, licence, blocklist, capacity --------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_professionals_enter_active_and_lapsed_records_only(state: str) -> None:
    found = scope(professional(grant("circle"), state=state))
    assert bool(found.clauses) is (state in ("active", "open_by_lapse"))


@pytest.mark.parametrize("state", STATES)
def test_the_holder_enters_until_closing_and_sees_the_state_of_a_closed_record(state: str) -> None:
    found = scope(holder(state=state))
    assert bool(found.clauses) is (state not in ("closed", "deleted"))
    assert found.holder_side is (state != "deleted")
    assert found.state == (None if state == "deleted" else state)


@pytest.mark.parametrize("licence", ["suspended", "withdrawn", None])
def test_a_professional_without_a_valid_licence_gets_nothing(licence: str | None) -> None:
    assert scope(professional(grant("circle"))).clauses
    assert scope(professional(grant("circle"), licence=licence)).clauses == ()


def test_a_professional_the_directory_never_announced_gets_nothing() -> None:
    assert scope(professional(grant("circle"), profession=None, licence=None)).clauses == ()


def test_a_token_that_claims_another_profession_than_the_directory_gets_nothing() -> None:
    assert scope(professional(grant("circle"), profession="nurse", claimed_profession="physician")).clauses == ()


def test_a_blocked_professional_looks_like_one_without_a_ground() -> None:
    assert scope(professional(grant("circle"))).clauses
    assert scope(professional(grant("circle"), blocked=True)) == scope(professional())


def test_an_author_keeps_their_own_documents_without_a_ground_and_through_a_block() -> None:
    for facts in (professional(), professional(grant("circle"), blocked=True)):
        assert scope(facts).author_id == PROFESSIONAL
        assert reads(facts, document("private", author_id=PROFESSIONAL))
        assert not reads(facts, document("private", author_id=SOMEBODY_ELSE))


@pytest.mark.parametrize("state", ["requested", "open", "closed", "deleted"])
def test_a_closed_record_is_unreadable_to_its_authors_too(state: str) -> None:
    assert scope(professional(state=state)).author_id == NOBODY


def test_an_author_without_a_valid_licence_reads_nothing() -> None:
    assert scope(professional(licence="suspended")).author_id == NOBODY


def test_authorship_deposits_nothing() -> None:
    assert reads(professional(), document(author_id=PROFESSIONAL))
    assert scope(professional()).clauses == ()
    assert rules.depositable(scope(professional())) == []


def test_a_document_without_an_author_belongs_to_no_one_without_a_ground() -> None:
    for facts in (Facts(RECORD, PATIENT, "active", "agent"), professional(), holder(own_patient_id=SOMEBODY_ELSE)):
        assert not reads(facts, document(author_id=None))


@pytest.mark.parametrize("capacity", ["agent", "machine", "nobody"])
def test_agents_and_machines_never_get_a_clause(capacity: str) -> None:
    facts = replace(professional(grant("circle")), capacity=capacity, own_patient_id=PATIENT)
    assert (scope(facts).clauses, scope(facts).author_id, scope(facts).holder_side) == ((), None, False)


def test_a_professional_who_is_also_the_holder_has_the_rights_of_the_chosen_capacity_alone() -> None:
    as_professional = professional(own_patient_id=PATIENT)
    as_patient = replace(professional(grant("circle")), capacity="patient", own_patient_id=PATIENT)
    assert scope(as_professional).clauses == ()
    assert [clause.ground for clause in scope(as_patient).clauses] == ["holder"]
    assert scope(as_patient).author_id is None


def test_a_professional_of_another_record_s_patient_gets_nothing_as_a_patient() -> None:
    facts = replace(professional(grant("circle")), capacity="patient", own_patient_id=SOMEBODY_ELSE)
    assert scope(facts).clauses == ()


def test_unknown_closed_blocked_and_groundless_differ_in_nothing_but_authorship() -> None:
    unknown = scope(professional(patient_id=None, state=None, licence="valid"))
    for facts in (
        professional(),
        professional(grant("circle"), blocked=True),
        professional(grant("circle"), state="closed"),
        professional(grant("circle"), licence="withdrawn"),
    ):
        assert replace(scope(facts), author_id=None) == replace(unknown, author_id=None)


def test_only_professionals_see_what_is_blocked_for_the_patient() -> None:
    assert scope(professional(grant("circle"))).may_see_blocked
    assert not scope(holder()).may_see_blocked


# --- first access, presence mandates ------------------------------------------------------------------------


def test_the_first_ground_is_told_and_the_second_is_not() -> None:
    newcomer = professional(grant("circle"))
    assert rules.is_first_access(newcomer, scope(newcomer))
    known = replace(newcomer, accessed_before=True)
    assert not rules.is_first_access(known, scope(known))


def test_authorship_and_the_holder_are_no_first_access() -> None:
    assert not rules.is_first_access(professional(), scope(professional()))
    assert not rules.is_first_access(holder(), scope(holder()))


def test_a_licensed_professional_may_open_a_presence_mandate() -> None:
    assert rules.may_open_presence_mandate(TABLES, professional())
    assert rules.may_open_presence_mandate(TABLES, professional(state="open_by_lapse"))


@pytest.mark.parametrize(
    "changes",
    [
        {"blocked": True},
        {"licence": "suspended"},
        {"licence": None, "profession": None},
        {"claimed_profession": "nurse"},
        {"profession": "homeopath", "claimed_profession": "homeopath"},
        {"state": "open"},
        {"state": "closed"},
        {"state": "deleted"},
        {"state": None, "patient_id": None},
        {"capacity": "patient"},
        {"capacity": "agent"},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items()),
)
def test_a_right_code_opens_nothing_for(changes: dict[str, Any]) -> None:
    assert not rules.may_open_presence_mandate(TABLES, professional(**changes))


def test_a_presence_mandate_reads_24_hours_and_deposits_15_days() -> None:
    kind = TABLES.mandate_kinds["presence"]
    assert (kind.reads, kind.deposits) == (timedelta(hours=24), timedelta(days=15))


# --- refusals -----------------------------------------------------------------------------------------------


def test_the_holder_of_a_closed_record_is_told_so_and_everybody_else_that_there_is_none() -> None:
    closed, stranger = scope(holder(state="closed")), scope(professional(grant("circle"), state="closed"))
    assert rules.require_ground(closed) is None
    assert isinstance(rules.require_open_ground(closed), contract.RecordClosed)
    assert isinstance(rules.require_holder_action(TABLES, closed, "circle"), contract.RecordClosed)
    assert isinstance(rules.require_holder_action(TABLES, stranger, "circle"), contract.RecordNotFound)
    for require in (rules.require_ground, rules.require_open_ground):
        assert isinstance(require(stranger), contract.RecordNotFound)


# What an assistant may not do in the holder's name; everything else of the table all three may.
NOT_FOR_ASSISTANTS = {
    "presence_code", "referring_physician", "assistants", "representatives", "life_cycle", "emergency",
    "responsibility", "longer_keeping", "organ_donation", "end_of_life", "export",
}  # fmt: skip
# What nobody does in the holder's name: to let somebody act beside them.
FOR_THE_HOLDER_ALONE = {"sitting"}
ACTIONS = sorted({action for action, _ in TABLES.holder_actions})


@pytest.mark.parametrize("action", ACTIONS)
def test_grants_are_the_holder_side_s_to_change_as_their_table_has_it_and_nobody_else_s(action: str) -> None:
    for ground in HOLDER_SIDE:
        refusal = rules.require_holder_action(TABLES, scope(person(ground)), action)
        allowed = ground == "holder" or (
            action not in FOR_THE_HOLDER_ALONE and (ground != "assistant" or action not in NOT_FOR_ASSISTANTS)
        )
        assert (refusal is None) is allowed, ground
        assert refusal is None or isinstance(refusal, NotAllowed)
    for ground in ("circle", "referring_physician", "author"):
        refusal = rules.require_holder_action(TABLES, scope(reader(ground)), action)
        assert isinstance(refusal, contract.RecordNotFound)


def test_nothing_may_be_done_that_the_table_does_not_name() -> None:
    assert set(ACTIONS) > NOT_FOR_ASSISTANTS | FOR_THE_HOLDER_ALONE
    assert isinstance(rules.require_holder_action(TABLES, scope(holder()), "no_such_action"), NotAllowed)


def test_who_is_holder_and_representative_acts_as_the_holder_first() -> None:
    both = person("legal_representative", own_patient_id=PATIENT)
    clause = rules.acting_clause(TABLES, scope(both), "presence_code")
    assert clause is not None
    assert clause.ground == "holder"
    assert [each.ground for each in scope(both).clauses] == ["holder", "legal_representative"]
