"""Who hears what of a record, in which words: the decisions, and the sentences in five languages."""

from __future__ import annotations

import itertools

import pytest

from services.dossier.contract import LIFE_PERIODS, STATE_CAUSES, STATES
from services.notifications import rules_record_news as rules
from services.notifications.contract import LANGUAGES
from services.notifications.ports.texts import catalogue, concerns, mail_text, sms_text

RECORD = "01936f00-0000-7000-8000-0000000000e1"
OTHER_RECORD = "01936f00-0000-7000-8000-0000000000e2"
VALUES = {"portal": "https://dsp.portail.example.lu", "date": "21 septembre 2026", "time": "10:15"}
PEOPLE = {"holder": "h", "representatives": ["r", "s"], "assistants": ["a"]}
TRIED = "record_news.presence_code_tried"


def told(occasion: str, **people: object) -> dict[str, str | None]:
    return {reader.person_id: reader.role for reader in rules.readers(occasion, {**PEOPLE, **people})}


# --- who --------------------------------------------------------------------------------------------------------------


def test_an_emergency_is_told_to_holder_representatives_and_assistants() -> None:
    assert told("record_news.emergency_access_opened") == {
        "h": "holder", "r": "representative", "s": "representative", "a": "assistant",
    }  # fmt: skip


def test_assistants_hear_of_all_that_the_holder_side_hears_of() -> None:
    assert all(rules.ASSISTANT in roles for roles in rules.AUDIENCE.values())


def test_the_representatives_hear_of_all_that_the_holder_side_hears_of() -> None:
    assert all(rules.REPRESENTATIVE in roles for roles in rules.AUDIENCE.values())


def test_who_is_several_things_hears_once_as_the_first_of_them() -> None:
    assert told("record_news.emergency_access_opened", representatives=["h", "a"], assistants=["a", "h"]) == {
        "h": "holder", "a": "representative",
    }  # fmt: skip


def test_of_an_unknown_record_nobody_hears() -> None:
    nobody = {"holder": None, "representatives": [], "assistants": []}
    assert [rules.readers(occasion, nobody) for occasion in rules.AUDIENCE] == [[]] * len(rules.AUDIENCE)


def test_what_professionals_hear_has_no_way_to_the_holder_side() -> None:
    assert not set(rules.FOR_PROFESSIONALS) & set(rules.AUDIENCE)
    for occasion in rules.FOR_PROFESSIONALS:
        with pytest.raises(KeyError):
            rules.readers(occasion, PEOPLE)
    for occasion in rules.AUDIENCE:
        with pytest.raises(AssertionError):
            rules.professional(occasion, "p")


# --- what -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "cause"), itertools.product(STATES, STATE_CAUSES))
def test_of_a_death_or_a_merge_nobody_is_told_whatever_the_state(state: str, cause: str) -> None:
    occasion = rules.occasion_of_state(state, cause)
    if cause in ("death", "death_withdrawn", "merged", "unmerged"):
        assert occasion is None
    assert occasion is None or occasion in rules.AUDIENCE


@pytest.mark.parametrize(
    ("state", "cause", "news"),
    [("open_by_lapse", "lapse", "lapsed"), ("closed", "holder_request", "closed"),
     ("closed", "agency_request", "closed"), ("closed", "ten_years_without_access", "closed"),
     ("active", "reopening", "reopened"), ("closed", "death_withdrawn", None), ("closed", "death", None),
     ("deleted", "opposition", "deleted"), ("deleted", "ten_years_closed", "deleted"),
     ("active", "activation", None), ("open", "affiliation", None),
     ("requested", "voluntary_request", None)],
)  # fmt: skip
def test_a_new_state_is_news_or_was_known(state: str, cause: str, news: str | None) -> None:
    assert rules.occasion_of_state(state, cause) == (news and f"record_news.{news}")


def test_each_step_that_time_takes_by_itself_is_told() -> None:
    by_time = {"lapse": ("open_by_lapse", "lapse"), "inactivity": ("closed", "ten_years_without_access"),
               "deletion": ("deleted", "ten_years_closed")}  # fmt: skip
    assert set(by_time) == set(LIFE_PERIODS)
    assert all(rules.occasion_of_state(*step) for step in by_time.values())


# --- how often --------------------------------------------------------------------------------------------------------


def test_within_an_hour_of_the_clock_all_tries_at_a_record_are_one_piece_of_news() -> None:
    first = rules.once_an_hour(TRIED, RECORD, "2026-11-21T08:00:00.000000Z")
    assert first == rules.once_an_hour(TRIED, RECORD, "2026-11-21T08:59:59.999999Z")
    assert first == rules.once_an_hour(TRIED, RECORD, "2026-11-21T09:30:00+01:00"), "whatever the offset it is told in"
    others = {
        rules.once_an_hour(TRIED, RECORD, "2026-11-21T09:00:00.000000Z"),
        rules.once_an_hour(TRIED, RECORD, "2026-11-22T08:00:00.000000Z"),
        rules.once_an_hour(TRIED, OTHER_RECORD, "2026-11-21T08:00:00.000000Z"),
        rules.once_an_hour("record_news.closed", RECORD, "2026-11-21T08:00:00.000000Z"),
    }
    assert len(others | {first}) == 5


# --- in which words ---------------------------------------------------------------------------------------------------

SPOKEN = [
    (occasion, role, language)
    for occasion, roles in {**rules.AUDIENCE, **dict.fromkeys(rules.FOR_PROFESSIONALS, (None,))}.items()
    for role, language in itertools.product(roles, LANGUAGES)
]


@pytest.mark.parametrize(("occasion", "role", "language"), SPOKEN)
def test_every_message_is_whole_in_every_language_and_for_everybody_who_gets_it(
    occasion: str, role: str | None, language: str
) -> None:
    values = VALUES | concerns(role, language)
    mail, sms = mail_text(occasion, language, values), sms_text(occasion, language, values)
    for part in (mail.subject, mail.plain, mail.html, sms):
        assert not set(part) & set("{}") and "  " not in part.replace("-- \n", "")
    assert VALUES["date"] in mail.plain and VALUES["date"] in sms and VALUES["portal"] in mail.plain
    assert len(sms) <= 200 and sms.endswith(VALUES["portal"]) and len(mail.subject) <= 78
    if role is not None:
        assert catalogue(language)["concerns"][role]["mail"] in mail.plain.splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_the_holder_is_told_that_the_record_is_theirs(language: str) -> None:
    words = catalogue(language)["concerns"]
    assert set(words) == set(rules.ROLES) and len({told["mail"] for told in words.values()}) == 3
    assert words["holder"]["sms"] == "" and all(words[role]["sms"] for role in rules.ROLES if role != rules.HOLDER)


@pytest.mark.parametrize(("occasion", "language"), itertools.product(rules.AUDIENCE, LANGUAGES))
def test_what_goes_to_several_speaks_of_the_record_and_not_of_yours(occasion: str, language: str) -> None:
    theirs = {"fr": "votre dossier", "lb": "ären dossier", "pt": "seu processo", "en": "your record", "de": "ihre akte"}
    told = catalogue(language)["mail"][occasion]
    assert theirs[language] not in " ".join([told["subject"], *told["body"]]).lower()


def test_no_kind_of_mandate_is_told_that_would_say_where_somebody_lies() -> None:
    words = ("hospital", "hôpital", "hôpit", "klinik", "spidol", "laborat", "krankenhaus", "admission", "aufnahme")
    for language in LANGUAGES:
        told = catalogue(language)["mail"]["record_news.mandate_opened"]
        text = " ".join([told["subject"], *told["body"]]).lower()
        assert [word for word in words if word in text] == [], language
