"""What a search for patients may say of a record: the whole table, and that closed, early and missing look alike."""

from __future__ import annotations

from itertools import product

import pytest

from services.dossier import rules_finding
from services.dossier.contract import FINDING_ACTIONS, AccessScope, Clause
from services.dossier.rules_finding import ACTIONS, shows_record, standing

NOTHING = AccessScope("r", None, None, False, True, "p", ())
SOMETHING = AccessScope("r", "h", "active", False, True, "p", (Clause("circle", "x", (), (), None, ()),))


@pytest.mark.parametrize(("capacity", "may"), [("professional", True), ("agent", True), ("patient", False),
                                               ("machine", False)])  # fmt: skip
def test_professionals_and_agents_search(capacity: str, may: bool) -> None:
    assert rules_finding.may_search(capacity) is may


@pytest.mark.parametrize(
    ("accessible", "given", "stands"),
    [
        (True, SOMETHING, "ground"),
        (True, NOTHING, "accessible"),
        (True, None, "accessible"),
        (False, NOTHING, "not_accessible"),
        (False, None, "not_accessible"),
    ],
)
def test_how_a_record_stands(accessible: bool, given: AccessScope | None, stands: str) -> None:
    assert standing(accessible, given) == stands


def test_every_standing_has_its_actions_for_who_may_search() -> None:
    reached = {("professional", "ground"), *product(("professional", "agent"),
                                                    ("accessible", "not_accessible", "no_record"))}  # fmt: skip
    assert set(ACTIONS) == reached
    assert {action for actions in ACTIONS.values() for action in actions} == set(FINDING_ACTIONS)


def test_to_professionals_a_record_that_is_not_accessible_looks_like_none() -> None:
    assert ACTIONS["professional", "not_accessible"] == ACTIONS["professional", "no_record"]
    assert not shows_record("professional", False) and shows_record("professional", True)
    assert shows_record("agent", False)


def test_an_agent_never_enters_a_record_and_a_professional_never_touches_a_sheet() -> None:
    of_agents = {action for (who, _), actions in ACTIONS.items() if who == "agent" for action in actions}
    of_professionals = {action for (who, _), actions in ACTIONS.items() if who != "agent" for action in actions}
    assert not of_agents & of_professionals
    assert of_professionals == {"read_record", "enter_presence_code"}
