"""Access on a professional's own word: who may ask, what it opens, what closes it, each beside its forbidden twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from services.dossier import rules, rules_own_access
from services.dossier.contract import EMERGENCY_REASONS, PROFESSIONS, RESPONSIBILITY_CONDITIONS, RESPONSIBILITY_WORDINGS
from services.refusals import InvalidInput
from tests.rules.situations import COLUMNS, EMERGENCY_LEVELS, NOW, TABLES, cell_of, grant, professional

KINDS = ("emergency", "responsibility")
DAY = timedelta(hours=24)
PHARMACIST = professional(profession="pharmacist")
PHYSICIAN = professional()
ASKER = {"emergency": PHYSICIAN, "responsibility": PHARMACIST}


def opens(kind: str, facts: rules.Facts) -> bool:
    return rules_own_access.opened_clause(TABLES, facts, kind, NOW) is not None


# --- who may ask --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profession", COLUMNS)
def test_in_an_emergency_physicians_and_nurses_of_an_emergency_service_may_ask(profession: str) -> None:
    may = rules_own_access.may_ask(TABLES, "emergency", profession, attached=True)
    assert may is (profession in ("physician", "nurse"))
    assert not rules_own_access.may_ask(TABLES, "emergency", profession, attached=False)


@pytest.mark.parametrize("profession", COLUMNS)
def test_on_their_own_responsibility_those_may_ask_whose_dispensation_cell_is_rw(profession: str) -> None:
    may = rules_own_access.may_ask(TABLES, "responsibility", profession, attached=False)
    assert may is (cell_of("dispensation", profession) == "rw")


def test_another_matrix_lets_others_ask() -> None:
    changed = replace(TABLES, matrix={**TABLES.matrix, ("dispensation", "nurse"): "rw"})
    assert rules_own_access.may_ask(changed, "responsibility", "nurse", attached=False)
    assert not rules_own_access.may_ask(TABLES, "responsibility", "nurse", attached=False)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_without_a_profession_we_know_may_ask(kind: str) -> None:
    for profession in (None, "", "healer"):
        assert not rules_own_access.may_ask(TABLES, kind, profession, attached=True)


# --- what it opens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", EMERGENCY_LEVELS)
def test_an_emergency_reads_at_the_levels_of_the_holders_setting_and_deposits_nothing(setting: str) -> None:
    given = rules_own_access.opened_clause(
        TABLES, replace(PHYSICIAN, settings={"emergency": setting}), "emergency", NOW
    )
    if setting == "refused":
        assert given is None
        return
    assert given is not None
    _, clause = given
    assert clause.levels == tuple(EMERGENCY_LEVELS[setting].split())
    assert (clause.deposit, clause.deposit_types, clause.folders) == ((), None, None)


@pytest.mark.parametrize("setting", ["allowed", "refused"])
def test_responsibility_opens_standard_prescriptions_and_dispensations_unless_refused(setting: str) -> None:
    facts = replace(PHARMACIST, settings={"responsibility": setting})
    given = rules_own_access.opened_clause(TABLES, facts, "responsibility", NOW)
    if setting == "refused":
        assert given is None
        return
    assert given is not None
    _, clause = given
    assert (clause.levels, clause.deposit) == (("standard",), ())
    assert clause.folders == ("prescription", "dispensations")


@pytest.mark.parametrize("kind", KINDS)
def test_it_lasts_24_hours_and_leaves_no_time_to_deposit(kind: str) -> None:
    row = TABLES.mandate_kinds[kind]
    assert (row.reads, row.deposits, row.opened_for) == (DAY, DAY, "professional")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes",
    [
        {"blocked": True}, {"licence": "suspended"}, {"licence": "withdrawn"}, {"licence": None}, {"profession": None},
        {"claimed_profession": "midwife"}, {"state": None}, {"state": "requested"}, {"state": "open"},
        {"state": "closed"}, {"state": "deleted"},
    ],
    ids=str,
)  # fmt: skip
def test_what_closes_a_record_to_somebody_closes_it_to_their_own_word(kind: str, changes: dict[str, Any]) -> None:
    assert not opens(kind, replace(ASKER[kind], **changes))
    assert opens(kind, ASKER[kind]), "its twin"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["active", "open_by_lapse"])
def test_a_record_that_professionals_read_is_opened(kind: str, state: str) -> None:
    assert opens(kind, replace(ASKER[kind], state=state))


@pytest.mark.parametrize("kind", KINDS)
def test_other_grounds_neither_open_it_nor_stand_in_its_way(kind: str) -> None:
    refused = {"emergency": "refused", "responsibility": "refused"}
    trusted = replace(ASKER[kind], grants=(grant("circle"),))
    assert opens(kind, trusted)
    assert not opens(kind, replace(trusted, settings=refused))


# --- what is stated -----------------------------------------------------------------------------------------


def test_the_reasons_of_an_emergency_are_the_tables_and_the_contracts() -> None:
    assert TABLES.emergency_reasons == EMERGENCY_REASONS
    for reason in EMERGENCY_REASONS:
        assert rules_own_access.require_category(TABLES, reason) == reason
    for wrong in ("", "curiosity", None, 7, ["other"]):
        with pytest.raises(InvalidInput):
            rules_own_access.require_category(TABLES, wrong)


def test_the_conditions_are_those_of_the_seed_each_with_its_sentence() -> None:
    for wording in RESPONSIBILITY_WORDINGS.values():
        assert tuple(wording) == ("access", *RESPONSIBILITY_CONDITIONS)
        assert all(sentence.endswith(".") for sentence in wording.values())
    assert len(RESPONSIBILITY_CONDITIONS) == 3


@pytest.mark.parametrize("accepted", permutations(RESPONSIBILITY_CONDITIONS), ids=",".join)
def test_the_conditions_are_accepted_in_whatever_order(accepted: tuple[str, ...]) -> None:
    version = max(RESPONSIBILITY_WORDINGS)
    assert rules_own_access.require_conditions(list(accepted), version) == version
    with pytest.raises(InvalidInput):
        rules_own_access.require_conditions(list(accepted[:2]), version)


def test_every_kind_has_its_throttles_and_counts_what_it_is_meant_to() -> None:
    assert set(TABLES.own_accesses) == set(KINDS) == set(rules_own_access.COUNTED)
    for kind in KINDS:
        assert {f"{kind}_per_record", f"{kind}_per_professional"} <= set(TABLES.throttles)
    assert "opened" not in rules_own_access.COUNTED["emergency"], "nobody is slowed down in a busy night"
    assert "opened" in rules_own_access.COUNTED["responsibility"]
    assert set(PROFESSIONS) == set(COLUMNS)
