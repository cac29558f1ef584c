"""The access scope as a whole: its ids, its shape on the wire, and a reference written differently."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dossier import rules
from services.dossier.contract import GROUNDS, LEVELS, NOBODY, PROFESSIONS, STATES, AccessScope, DocumentFacts
from services.dossier.rules import Facts, Grant
from tests.rules.situations import (
    COLUMNS,
    DECLARATIONS,
    DEPOSITING,
    EMERGENCY_LEVELS,
    HOLDER_SIDE,
    LEVELS_OF,
    MATRIX_READING,
    NOW,
    PATIENT,
    PROFESSIONAL,
    RECORD,
    SOMEBODY_ELSE,
    TYPES,
    cell_of,
    deposits,
    document,
    grant,
    holder,
    person,
    presence,
    professional,
    scope,
)  # fmt: skip

# --- ids and the wire ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 7, "", "x", "'; drop table records", RECORD + "0", [RECORD]])
def test_what_is_no_id_becomes_the_id_that_nothing_has(value: object) -> None:
    assert rules.id_of(value) == NOBODY


def test_an_id_has_one_spelling() -> None:
    assert rules.id_of(RECORD.upper()) == RECORD
    assert rules.id_of("{" + RECORD.replace("-", "") + "}") == RECORD


def test_a_scope_comes_back_from_the_wire_as_it_left() -> None:
    for facts in (holder(), professional(), professional(grant("circle"), presence(timedelta(hours=1)))):
        assert AccessScope.from_wire(scope(facts).to_wire()) == scope(facts)


def test_a_scope_on_the_wire_is_plain_json() -> None:
    wire = scope(professional(grant("circle"))).to_wire()
    assert json.loads(json.dumps(wire)) == wire
    assert set(wire) == {
        "record_id", "patient_id", "state", "holder_side", "may_see_blocked", "may_see_withheld", "author_id",
        "reader_id", "autonomous_minor", "default_levels", "clauses",
    }  # fmt: skip
    assert set(wire["clauses"][0]) == {
        "ground", "rule", "read", "deposit", "folders", "levels", "unread", "undeposited", "deposit_types",
        "dispenses",
    }  # fmt: skip


def test_a_document_comes_back_from_the_wire_as_it_left() -> None:
    for facts in (document(), document("private", author_id=None, restricted=(PROFESSIONAL,), patient_blocked=True)):
        assert DocumentFacts.from_wire(json.loads(json.dumps(facts.to_wire()))) == facts


# --- the whole, against a reference written differently -----------------------------------------------------

MINUTES = st.integers(-40 * 24 * 60, 40 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
PROFESSIONAL_GROUNDS = [ground for ground in GROUNDS if ground not in (*HOLDER_SIDE, "author")]


@st.composite
def grants(draw: st.DrawFn, grounds: list[str]) -> Grant:
    since = NOW + draw(MINUTES)
    read_until = draw(st.none() | MINUTES.map(lambda m: since + abs(m)))
    deposit_until = None if read_until is None else read_until + abs(draw(MINUTES))
    ground = draw(st.sampled_from(grounds))
    if ground != "legal_representative":
        return Grant(ground, since, read_until, deposit_until)
    together_until = draw(st.none() | MINUTES.map(lambda m: NOW + m))
    kind = draw(st.sampled_from(["parent", "guardian", "mandatary", "curator"]))
    return Grant(ground, since, read_until, read_until, kind, together_until)


@st.composite
def situations(draw: st.DrawFn) -> Facts:
    profession = draw(st.sampled_from([*PROFESSIONS, *PROFESSIONS, "homeopath", None]))
    claimed = draw(st.sampled_from([profession, profession, profession, "nurse"]))
    capacity = draw(st.sampled_from(["professional"] * 5 + ["patient"] * 3 + ["agent", "machine"]))
    of_capacity = ["legal_representative", "assistant"] if capacity == "patient" else PROFESSIONAL_GROUNDS
    return Facts(
        record_id=RECORD,
        patient_id=PATIENT,
        state=draw(st.sampled_from(["active", "active", "active", *STATES])),
        capacity=capacity,
        own_patient_id=draw(st.sampled_from([None, PATIENT, SOMEBODY_ELSE])),
        professional_id=draw(st.sampled_from([PROFESSIONAL] * 5 + [None])),
        profession=profession,
        claimed_profession=claimed,
        licence=draw(st.sampled_from(["valid", "valid", "valid", "suspended", "withdrawn", None])),
        blocked=draw(st.sampled_from([False, False, False, True])),
        grants=tuple(draw(st.lists(grants(of_capacity), max_size=4))),
        settings=draw(st.fixed_dictionaries({}, optional={
            "emergency": st.sampled_from(["refused", "normal", "with_confidential"]),
            "responsibility": st.sampled_from(["allowed", "refused"]),
        })),
    )  # fmt: skip


shown_documents = st.builds(
    document,
    level=st.sampled_from(LEVELS),
    type=st.sampled_from(sorted(TYPES)),
    author_id=st.sampled_from([None, PROFESSIONAL, SOMEBODY_ELSE]),
    patient_blocked=st.booleans(),
    withheld=st.booleans(),
    restricted=st.sampled_from([(), (), (PROFESSIONAL,), (SOMEBODY_ELSE,)]),
)


def reference(facts: Facts, action: str, shown: DocumentFacts) -> bool:
    """One document, one question, answered by going down the domain's list of conditions."""
    if facts.capacity == "patient":
        return any(_as_holder(facts, ground, action, shown) for ground in _held(facts))
    if facts.capacity != "professional" or facts.professional_id is None:
        return False
    if facts.state not in ("active", "open_by_lapse"):
        return False
    if facts.licence != "valid" or facts.profession is None or facts.profession != facts.claimed_profession:
        return False
    if action == "read" and shown.author_id == facts.professional_id:
        return True
    if facts.blocked or (action == "read" and facts.professional_id in shown.restricted):
        return False
    return any(_by(one, facts, action, shown) for one in facts.grants)


def _held(facts: Facts) -> list[str]:
    held = ["holder"] if facts.own_patient_id == PATIENT else []
    for one in facts.grants:
        runs = one.since <= NOW and (one.read_until is None or one.read_until > NOW)
        let = one.kind != "curator" or (one.together_until is not None and one.together_until > NOW)
        if runs and let:
            held.append(one.ground)
    return held


def _as_holder(facts: Facts, ground: str, action: str, shown: DocumentFacts) -> bool:
    """The holder who represents too sees what holders see; a representative who was made an assistant too does not."""
    if facts.state in ("closed", "deleted"):
        return False
    if ground == "assistant" and facts.state not in ("active", "open_by_lapse"):
        return False
    if action == "deposit":
        return shown.type == "holder_expression" or (ground != "assistant" and shown.type in DECLARATIONS)
    represents = "legal_representative" in _held(facts) and "holder" not in _held(facts)
    return not shown.patient_blocked and not (shown.withheld and represents)


def _by(one: Grant, facts: Facts, action: str, shown: DocumentFacts) -> bool:
    column = facts.profession or ""
    if one.ground == "referring_physician":
        if column != "physician":
            return False
        column = "referring_physician"
    elif column == "referring_physician" or column not in COLUMNS:
        return False
    reading = one.since <= NOW and (one.read_until is None or one.read_until > NOW)
    depositing = one.since <= NOW and (reading or one.deposit_until is None or one.deposit_until > NOW)
    cell = cell_of(shown.category, column)
    if action == "deposit":
        return depositing and one.ground in DEPOSITING and cell == "rw" and (reading or _goes_on(one.ground))
    levels = LEVELS_OF[one.ground]
    if one.ground == "emergency":
        levels = EMERGENCY_LEVELS[facts.settings.get("emergency", "normal")]
    if one.ground == "responsibility":
        if shown.folder not in ("prescription", "dispensations"):
            return False
        levels = levels if facts.settings.get("responsibility") != "refused" else ""
    return reading and one.ground in MATRIX_READING and shown.level in levels.split() and cell != ".."


def _goes_on(ground: str) -> bool:
    """Mandates and orders let deposit after they let read; the others end as one."""
    return ground in ("presence", "admission", "hospital_emergency", "order")


@settings(max_examples=400, deadline=None)
@given(situations(), st.lists(shown_documents, min_size=8, max_size=8))
def test_a_scope_grants_exactly_what_matrix_levels_and_time_do(facts: Facts, shown: list[DocumentFacts]) -> None:
    found = scope(facts)
    for each in shown:
        read = rules.grant_of_reading(found, each) is not None
        assert read is reference(facts, "read", each), each
        assert deposits(facts, each.type) is reference(facts, "deposit", each), each


@settings(max_examples=200, deadline=None)
@given(situations())
def test_taking_a_grant_away_never_gives_anything(facts: Facts) -> None:
    whole = scope(facts)
    for index in range(len(facts.grants)):
        less = scope(replace(facts, grants=facts.grants[:index] + facts.grants[index + 1 :]))
        assert set(less.clauses) <= set(whole.clauses)


@settings(max_examples=200, deadline=None)
@given(situations(), st.lists(grants(PROFESSIONAL_GROUNDS), max_size=3), st.sampled_from(["patient", "professional"]))
def test_a_ground_of_another_capacity_counts_for_nothing(facts: Facts, more: list[Grant], capacity: str) -> None:
    """A professional's ground gives a patient nothing, nor a holder's a professional."""
    here = replace(facts, capacity=capacity)
    foreign = tuple(more) if capacity == "patient" else (Grant("holder", NOW, None, None), *person("assistant").grants)
    own = tuple(one for one in here.grants if (one.ground in HOLDER_SIDE) is (capacity == "patient"))
    assert scope(replace(here, grants=(*own, *foreign))) == scope(replace(here, grants=own))
