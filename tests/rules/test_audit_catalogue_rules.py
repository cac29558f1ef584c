"""The catalogue of actions is whole: each word means something, and the histories know what to do with it."""

import pytest

from services.audit.contract import ACTIONS
from services.audit.rules_catalogue import CATALOGUE, CHANGES, GROUPS, actions_of


def test_every_action_that_a_service_may_trace_is_in_the_catalogue_and_no_other() -> None:
    assert set(CATALOGUE) == ACTIONS
    assert all(name == action.name for name, action in CATALOGUE.items())


def test_every_action_is_in_one_group_and_no_group_is_empty() -> None:
    assert sum(len(actions_of(group)) for group in GROUPS) == len(CATALOGUE)
    assert all(actions_of(group) for group in GROUPS)
    assert actions_of("nothing of the kind") == frozenset()


def test_a_group_or_a_kind_of_object_is_never_free_text() -> None:
    assert all(word.replace("_", "").isalpha() for action in CATALOGUE.values() for word in (action.group, action.of))


@pytest.mark.parametrize("action", [
    "document.created", "document.level_changed", "document.blocked", "circle.added", "blocklist.removed",
    "setting.changed", "mandate.ended", "record.closed", "emergency.opened", "binder.filled", "dispensation.created",
])  # fmt: skip
def test_changes_of_documents_access_and_settings_are_activity(action: str) -> None:
    assert action in CHANGES


@pytest.mark.parametrize("action", [
    "document.opened", "document.read", "document.searched", "document.prepared", "document.exported", "log.read",
    "record.read", "setting.read", "session.opened", "account.changed", "patient.changed", "review.settled",
])  # fmt: skip
def test_readings_and_what_is_no_matter_of_a_record_are_not(action: str) -> None:
    assert action not in CHANGES and action in CATALOGUE


@pytest.mark.parametrize("action", sorted(CATALOGUE))
def test_what_only_looks_changes_nothing(action: str) -> None:
    verb = action.partition(".")[2]
    if verb in ("read", "searched", "listed", "counted", "explained"):
        assert CATALOGUE[action].code in ("R", "E")
        assert action not in CHANGES
