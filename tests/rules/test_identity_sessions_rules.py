"""The decisions about sessions: channels, freshness, conditions with a log-in, locks, what an account may open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.identity import rules_sessions as rules
from services.identity.contract import CONDITIONS_VERSION, LOCK_CAUSES
from services.identity.rules import Held
from services.refusals import InvalidInput

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("held", "app", "mail_from", "open_now"),
    [
        ([], False, None, []),
        (["email"], False, None, ["email"]),
        (["mobile", "email"], False, None, ["email", "mobile"]),
        (["email"], True, None, ["email", "totp"]),
        (["email", "mobile"], True, NOW + SECOND, ["mobile", "totp"]),
        (["email"], False, NOW + SECOND, []),
        (["email"], False, NOW, ["email"]),
        (["email"], False, NOW - SECOND, ["email"]),
    ],
)
def test_codes_go_by_what_is_held_and_by_mail_only_when_it_is_not_barred(
    held: list[str], app: bool, mail_from: datetime | None, open_now: list[str]
) -> None:
    assert rules.channels_of(held, app, mail_from, NOW) == open_now


@pytest.mark.parametrize(
    ("shown", "fresh"),
    [(NOW, True), (NOW - rules.FRESH, True), (NOW - rules.FRESH - SECOND, False), (None, False)],
)
def test_a_proof_of_oneself_is_fresh_for_a_quarter_of_an_hour(shown: datetime | None, fresh: bool) -> None:
    assert timedelta(minutes=15) == rules.FRESH
    assert rules.is_fresh(shown, NOW) is fresh


@pytest.mark.parametrize("given", ["x", [], {}, {"version": "2020-01", "language": "fr"}, {"version": None}])
def test_conditions_of_another_version_are_not_accepted(given: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        rules.require_accepted(given)
    assert refusal.value.detail["errors"] == [{"pointer": "/conditions/version", "message": "not_in_force"}]


@pytest.mark.parametrize("language", ["it", None, 7, ["fr"]])
def test_conditions_are_accepted_in_a_language_they_exist_in(language: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        rules.require_accepted({"version": CONDITIONS_VERSION, "language": language})
    assert refusal.value.detail["errors"] == [{"pointer": "/conditions/language", "message": "unknown"}]


def test_the_conditions_in_force_are_accepted_and_need_not_come_with_a_log_in() -> None:
    assert rules.require_accepted({"version": CONDITIONS_VERSION, "language": "lb"}) == (CONDITIONS_VERSION, "lb")
    assert rules.require_accepted(None) is None
    assert [rules.conditions_are_due(v) for v in (None, "2020-01", CONDITIONS_VERSION)] == [True, True, False]


def test_a_word_on_a_licence_is_overtaken_by_news_of_its_end() -> None:
    lost = rules.licence_was_lost_since
    assert [lost(None, NOW), lost(NOW - SECOND, NOW), lost(NOW, NOW), lost(NOW + SECOND, NOW)] == [
        False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("cause", [*LOCK_CAUSES, "revenge", "", None, ["death"], 7])
def test_an_account_is_locked_for_a_cause_of_the_list(cause: Any) -> None:
    if cause in LOCK_CAUSES:
        assert rules.require_lock_cause(cause) == cause
    else:
        with pytest.raises(InvalidInput):
            rules.require_lock_cause(cause)


PATIENT, DOCTOR, AGENT = Held("patient", "p"), Held("professional", "d"), Held("agent", "a", "agent")


@pytest.mark.parametrize(
    ("held", "licence", "due", "told"),
    [
        ([PATIENT], False, [], [("dsp", "patient", None), ("edocuments", "patient", None)]),
        ([PATIENT], False, ["patient"],
         [("dsp", "patient", "conditions_due"), ("edocuments", "patient", "conditions_due")]),
        ([DOCTOR], True, [], [("dsp", "professional", None), ("messaging", "professional", None)]),
        ([DOCTOR], False, ["professional"],
         [("dsp", "professional", "licence_not_valid"), ("messaging", "professional", "licence_not_valid")]),
        ([AGENT], False, [], [("agency", "agent", None)]),
        ([PATIENT, DOCTOR, AGENT], True, ["professional"],
         [("dsp", "patient", None), ("dsp", "professional", "conditions_due"), ("edocuments", "patient", None),
          ("messaging", "professional", "conditions_due"), ("agency", "agent", None)]),
        ([], True, [], []),
    ],
)  # fmt: skip
def test_each_capacity_opens_its_own_services(
    held: list[Held], licence: bool, due: list[str], told: list[tuple[str, str, str | None]]
) -> None:
    found = rules.services_of(held, licence, due)
    assert [(one["service"], one["capacity"], one["reason"]) for one in found] == told
    assert all(one["available"] is (one["reason"] is None) for one in found)
