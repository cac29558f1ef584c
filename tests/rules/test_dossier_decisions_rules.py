"""Why somebody may or may not: the first step that refuses, its rule, what would change it, each beside its twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.documents import rules as documents_rules
from services.dossier import rules, rules_decisions
from services.dossier.contract import AUTHOR_RULE, DECISION_ACTIONS, STEPS, DocumentFacts
from services.dossier.rules import Facts, Grant
from services.dossier.rules_decisions import Decision
from tests.rules.situations import (
    HOLDER_SIDE,
    NOW,
    PROFESSIONAL,
    TABLES,
    document,
    grant,
    holder,
    person,
    presence,
    professional,
    reader,
    scope,
)
from tests.rules.test_dossier_scope_rules import shown_documents, situations


def decide(facts: Facts, shown: DocumentFacts, action: str = "read", now: datetime = NOW) -> Decision:
    return rules_decisions.decide(TABLES, facts, shown, action, now)


DOCTOR = professional(grant("circle"))
PHARMACIST = professional(grant("circle"), profession="pharmacist")

# The situation, the document, what is asked; the step that refuses and its rule. Before each stands what allows it.
REFUSALS: list[tuple[Facts, DocumentFacts, str, str, str]] = [
    (replace(DOCTOR, state="closed"), document(), "read", "state", "state/closed"),
    (replace(DOCTOR, state="requested"), document(), "deposit", "state", "state/requested"),
    (replace(DOCTOR, state=None, patient_id=None), document(), "read", "state", "state/none"),
    (replace(DOCTOR, licence="suspended"), document(), "read", "licence", "licence/suspended"),
    (replace(DOCTOR, licence=None, profession=None), document(), "read", "licence", "licence/unknown"),
    (replace(DOCTOR, claimed_profession="nurse"), document(), "read", "licence", "licence/profession"),
    (replace(DOCTOR, blocked=True), document(), "read", "blocklist", "blocklist"),
    (professional(), document(), "read", "ground", "ground/none"),
    (professional(grant("circle", until=timedelta())), document(), "read", "ground", "ground/ended"),
    (professional(grant("circle", since=timedelta(hours=1))), document(), "read", "ground", "ground/not_begun"),
    (professional(presence(timedelta(days=2))), document(), "read", "ground", "ground/deposit-only"),
    (professional(grant("order")), document(), "read", "ground", "ground/deposit-only"),
    (reader("emergency"), document(), "deposit", "ground", "ground/read-only"),
    (reader("emergency", settings={"emergency": "refused"}), document(), "read", "ground", "ground/setting"),
    (PHARMACIST, document(type="patient_summary"), "read", "matrix", "matrix/pharmacist/summaries"),
    (PHARMACIST, document(type="laboratory_results"), "deposit", "matrix", "matrix/pharmacist/laboratory"),
    (professional(grant("circle"), profession="homeopath"), document(), "read", "matrix",
     "matrix/homeopath/prescriptions"),
    (DOCTOR, document("private"), "read", "level", "level/private"),
    (reader("presence"), document("confidential"), "change_level", "level", "level/confidential"),
    (reader("responsibility"), document(type="medical_report"), "read", "level", "level/folders"),
    (DOCTOR, document(restricted=(PROFESSIONAL,)), "read", "restriction", "restriction"),
    (DOCTOR, document(restricted=(PROFESSIONAL,)), "change_level", "restriction", "restriction"),
    (holder(), document(patient_blocked=True), "read", "patient_block", "patient_block"),
    (person("legal_representative"), document(withheld=True), "read", "patient_block", "withholding"),
    (holder(state="closed"), document(), "read", "state", "state/closed"),
    (person("assistant", state="open"), document(), "read", "state", "state/open"),
    (holder(own_patient_id=None), document(), "read", "ground", "ground/none"),
    (holder(), document(), "deposit", "ground", "ground/holder/deposits"),
    (person("assistant"), document(type="advance_directives"), "deposit", "ground", "ground/assistant/deposits"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "shown", "action", "step", "rule"), REFUSALS, ids=[row[4] for row in REFUSALS])
def test_a_refusal_names_the_first_step_that_refuses_its_rule_and_what_would_change_it(
    facts: Facts, shown: DocumentFacts, action: str, step: str, rule: str
) -> None:
    decision = decide(facts, shown, action)
    assert (decision.allowed, decision.ground, decision.step, decision.rule) == (False, None, step, rule)
    assert decision.remedies == TABLES.remedies[step] != ()


@pytest.mark.parametrize(
    "ground", ["referring_physician", "circle", "presence", "admission", "emergency", *HOLDER_SIDE]
)
def test_what_is_allowed_names_the_ground_and_the_rule_that_stand_in_the_trace(ground: str) -> None:
    decision = decide(reader(ground), document())
    named = rules.grant_of_reading(scope(reader(ground)), document())
    assert (decision.allowed, decision.step, decision.remedies) == (True, None, ())
    assert (decision.ground, decision.rule) == named
    assert decision.ground == ground


def test_an_author_reads_by_authorship_and_is_told_why_they_may_not_change_the_level() -> None:
    mine = document("private", author_id=PROFESSIONAL)
    assert decide(professional(), mine).rule == AUTHOR_RULE
    assert decide(professional(), mine, "change_level").rule == "ground/none"
    assert decide(DOCTOR, mine, "change_level").rule == "level/private"
    assert decide(DOCTOR, replace(mine, level="confidential"), "change_level").allowed


def test_a_curator_who_was_not_let_is_told_that_they_act_together_with_the_holder() -> None:
    curator = person("legal_representative", grants=(Grant("legal_representative", NOW, None, None, "curator", None),))
    assert decide(curator, document()).rule == "ground/together"
    let = replace(curator.grants[0], together_until=NOW + timedelta(hours=1))
    assert decide(replace(curator, grants=(let,)), document()).allowed


def test_of_several_grounds_the_one_that_came_furthest_gives_the_reason() -> None:
    both = professional(grant("order"), presence(timedelta(hours=1)), grant("circle", until=timedelta()))
    assert decide(both, document("private")).rule == "level/private"


@settings(max_examples=300, deadline=None)
@given(situations(), shown_documents, st.sampled_from(DECISION_ACTIONS))
def test_a_decision_is_what_the_scope_grants_and_a_refusal_always_has_a_reason(
    facts: Facts, shown: DocumentFacts, action: str
) -> None:
    decision = decide(facts, shown, action)
    given_scope = scope(facts)
    theirs = documents_rules.Facts(
        shown.category, shown.folder, shown.level, shown.author_id, shown.patient_blocked, shown.type, shown.withheld,
        given_scope.reader_id in shown.restricted,
    )  # fmt: skip
    kind = documents_rules.DocumentType(shown.type, "", shown.folder, shown.category, None)
    granted = {
        "read": documents_rules.may_read(given_scope, theirs),
        "deposit": documents_rules.may_deposit(given_scope, kind),
        "change_level": documents_rules.may_change_level(given_scope, theirs),
    }[action]
    assert decision.allowed is (granted is not None)
    if granted is not None:
        assert (decision.ground, decision.rule) == (granted.ground, granted.rule)
    else:
        assert decision.step in STEPS


# What sets right the step that refused, done as the remedies say.
CURES: dict[str, dict[str, Any]] = {
    "state": {"state": "active", "patient_id": holder().patient_id},
    "licence": {"licence": "valid", "profession": "physician", "claimed_profession": "physician"},
    "blocklist": {"blocked": False},
}


@settings(max_examples=300, deadline=None)
@given(situations().filter(lambda facts: facts.capacity == "professional" and facts.professional_id), shown_documents)
def test_what_would_change_a_refusal_leads_to_a_later_step_until_it_is_allowed(
    facts: Facts, shown: DocumentFacts
) -> None:
    before = -1
    for _ in STEPS:
        decision = decide(facts, shown)
        if decision.step is None:
            break
        assert STEPS.index(decision.step) > before, (decision, facts)
        before = STEPS.index(decision.step)
        if decision.step in CURES:
            facts = replace(facts, **CURES[decision.step])
        elif decision.step == "ground":
            facts = replace(facts, grants=(*facts.grants, grant("circle")))
        elif decision.step == "matrix":  # another category, and a profession that Annex 1 names
            facts = replace(facts, profession="physician", claimed_profession="physician")
            shown = replace(shown, category="prescriptions")
        elif decision.step == "level":
            shown = replace(shown, level="standard", folder="prescription")
        else:
            shown = replace(shown, restricted=())
    assert decide(facts, shown).allowed


@settings(max_examples=300, deadline=None)
@given(
    situations().filter(lambda facts: facts.capacity == "professional" and facts.professional_id), shown_documents,
    st.sampled_from(DECISION_ACTIONS), st.booleans(),
)  # fmt: skip
def test_of_themself_a_professional_is_told_a_block_and_a_closed_record_as_the_lack_of_a_ground(
    facts: Facts, shown: DocumentFacts, action: str, past: bool
) -> None:
    def told(of: Facts) -> rules_decisions.Decision:
        decided = decide(of, shown, action)
        return rules_decisions.told_to_themself(TABLES, of, decided, shown, action, NOW, past=past)

    assert told(facts).step not in ("state", "blocklist")
    assert told(facts).allowed is decide(facts, shown, action).allowed
    untold = ("state", "blocklist", "restriction") if past else ("state", "blocklist")
    assert told(facts).step not in untold
    if decide(facts, shown, action).step not in untold:
        assert told(facts) == decide(facts, shown, action)
    barred = replace(facts, state="active", patient_id=holder().patient_id, blocked=True)
    assert past or told(barred) == told(replace(barred, blocked=False, grants=()))


def test_a_right_ends_with_the_last_grant_that_gives_it_and_the_holder_s_never() -> None:
    early, late = presence(timedelta(hours=5)), presence(timedelta(hours=1))
    both = professional(early, late)
    assert rules_decisions.ends(TABLES, both, decide(both, document()), NOW) == late.read_until
    forever = professional(early, grant("circle"))
    assert rules_decisions.ends(TABLES, forever, decide(forever, document()), NOW) is None
    assert rules_decisions.ends(TABLES, holder(), decide(holder(), document()), NOW) is None
