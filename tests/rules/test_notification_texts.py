"""Everything that people are told, in every language, on every channel, in every role: whole, and without a word too
many."""

from __future__ import annotations

import csv
import html
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from babel import Locale

from services.notifications.contract import LANGUAGES
from services.notifications.ports.texts import (
    catalogue,
    concerns,
    date_text,
    digest_lines,
    digest_mail,
    digest_push,
    digest_sms,
    fixed_reason,
    form_of,
    inbox_text,
    mail_text,
    number_text,
    push_text,
    setting_title,
    sms_text,
    time_text,
)
from services.notifications.rules_digests import Line, OneKind, lines_of
from services.notifications.rules_occasions import AWAY, OCCASIONS, ROLES, SECURITY

AT = datetime(2026, 11, 21, 9, 15, tzinfo=UTC)
PORTAL = "https://dsp.portail.example.lu"
LINK = f"{PORTAL}/password-reset#id.token"
TO_THEMSELVES = ("record_first_accessed_by", "thread.message")
"""What its reader hears of as themselves, not as somebody who belongs to a record."""
NEVER_BY_SMS = "account_notice.password_reset_requested"  # its link is too long, and leads into the account
TYPES = Path(__file__).parents[2] / "services/documents/type_names.csv"
SECTIONS = ("mail", "sms", "inbox", "push", "settings", "fixed", "digest", "concerns")
COUNTS = (1, 2, 1234)

# What stands in the name of a type of document, and says nothing of anybody's health where it stands here.
HARMLESS = {
    "fr": "soins suivi autres protection santé titulaire patients document données dispensation examens lettres résumé",
    "lb": "enger titulaire dokument erklärung iwwer",
    "pt": "saúde acompanhamento outras ligação proteção cuidados titular paciente documento dados dispensa cartas"
          " resumo",
    "en": "record follow other protection history emergency health legal holder patient document dispensation letter"
          " summary",
    "de": "dokument erklärung daten",
}  # fmt: skip
NEVER = (
    "diagnos", "befund", "ordonnance", "rezept", "receita", "prescription", "result", "résultat", "resultado", "labor",
    "allerg", "impf", "vaccin", "vacina", "blut", "sang", "blood", "médicament", "medik", "medicament", "matricul",
    "matrikel", "matrícul", "krank", "malad", "disease", "doença", "dr.", "docteur", "doutor",
)  # fmt: skip
DIGITS = re.compile(r"\d[\d .-]{9,}\d")
"""As long as a matricule, however it is written."""


def roles_of(occasion: str) -> list[str | None]:
    """As what this is heard."""
    audience = OCCASIONS[occasion].audience
    return [*(role for role in audience if role in ROLES), *([None] if set(audience) - set(ROLES) else [])]


def values_of(language: str, role: str | None) -> dict[str, str]:
    return {
        "portal": PORTAL, "code": "6wqxU4", "minutes": "5", "link": LINK, "date": date_text(AT, language),
        "time": time_text(AT, language), **concerns(role, language),
    }  # fmt: skip


def rendered(occasion: str, language: str, role: str | None, count: int) -> dict[str, str]:
    """All that somebody may get of this, by channel and part."""
    values = values_of(language, role)
    mail = mail_text(occasion, language, values, count)
    parts = {"subject": mail.subject, "plain": mail.plain, "html": mail.html}
    if occasion != NEVER_BY_SMS:
        parts["sms"] = sms_text(occasion, language, values, count)
    if OCCASIONS[occasion].channels != AWAY:
        inbox = inbox_text(occasion, language, values, count)
        parts |= {"title": inbox.title, "inbox": inbox.text, "push": push_text(occasion, language, values, count)}
    return parts


EVERY = [
    (occasion, language, role)
    for occasion, language in itertools.product(OCCASIONS, LANGUAGES) for role in roles_of(occasion)
]  # fmt: skip


def text_of(markup: str) -> str:
    """What a page says, without its form."""
    body = re.sub(r"<br>|</p>", "\n", markup.partition("<body")[2].partition(">")[2])
    return html.unescape(re.sub(r"<[^>]+>", "", body))


def words_of(text: str) -> list[str]:
    return text.replace("\n-- \n", "\n").split()


def sentences(texts: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(texts, str):
        yield path, texts
    else:
        for name, text in texts.items() if isinstance(texts, dict) else enumerate(texts):
            yield from sentences(text, f"{path}/{name}")


def forms(texts: Any, path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Every sentence with several forms."""
    if isinstance(texts, dict) and "other" in texts:
        yield path, texts
    elif not isinstance(texts, str):
        for name, text in texts.items() if isinstance(texts, dict) else enumerate(texts):
            yield from forms(text, f"{path}/{name}")


# --- every occasion, in every language, on every channel, in every role -----------------------------------------------


@pytest.mark.parametrize(("occasion", "language", "role"), EVERY)
def test_every_text_is_whole_and_tells_no_more_than_it_may(occasion: str, language: str, role: str | None) -> None:
    for count in COUNTS:
        parts = rendered(occasion, language, role, count)
        for name, text in parts.items():
            said = text_of(text) if name == "html" else text
            assert text and not set(text) & set("{}") and "None" not in text, name
            assert "  " not in said.replace("-- \n", ""), name
            assert not DIGITS.search(said.replace(LINK, "")), name
            assert [word for word in NEVER if word in said.lower()] == [], name
        assert words_of(parts["plain"]) == words_of(text_of(parts["html"])), "both parts say the same"
        assert PORTAL in parts["plain"] and f'<a href="{PORTAL}"' in parts["html"]
        assert not re.search(r"src=|<img|<script|<link|@import|url\(", parts["html"])
        assert len(parts["subject"]) <= 78 and "\n" not in parts["subject"]
        assert len(parts.get("sms", "")) <= 200 and "\n" not in parts.get("sms", "")


@pytest.mark.parametrize(("occasion", "language", "role"), [one for one in EVERY if OCCASIONS[one[0]].channels != AWAY])
def test_news_says_when_and_whose_and_leads_nowhere_from_where_one_is(
    occasion: str, language: str, role: str | None
) -> None:
    parts, values = rendered(occasion, language, role, 1), values_of(language, role)
    assert all(values["date"] in parts[name] for name in ("plain", "sms", "inbox"))
    assert PORTAL in parts["sms"] and PORTAL not in parts["title"] + parts["inbox"] + parts["push"]
    assert len(parts["push"]) <= 120 and len(parts["title"]) <= 78 and "\n" not in parts["push"] + parts["title"]
    if occasion in TO_THEMSELVES:
        assert not [one for one in ROLES if concerns(one, language)["concerns"] in parts["plain"] + parts["inbox"]]
    elif role is not None:
        others = {other for other in ROLES if other != role}
        for name in ("plain", "inbox"):
            assert values["concerns"] in parts[name]
            assert not [other for other in others if concerns(other, language)["concerns"] in parts[name]]
        for name in ("sms", "push"):
            assert values["whose"] in parts[name]
            assert not [other for other in others if (concerns(other, language)["whose"] or "{}") in parts[name]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_words_for_what_is_told_and_for_nothing_else(language: str) -> None:
    texts = catalogue(language)
    inside = {name for name, occasion in OCCASIONS.items() if occasion.channels != AWAY}
    assert {name for name, told in texts["mail"].items() if isinstance(told, dict)} == set(OCCASIONS)
    assert set(texts["sms"]) == set(OCCASIONS) - {NEVER_BY_SMS}
    assert set(texts["inbox"]) == set(texts["push"]) == inside
    assert set(texts["settings"]) == {occasion.setting for occasion in OCCASIONS.values()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_of_a_type_of_document_stands_in_a_text(language: str) -> None:
    with TYPES.open(encoding="utf-8") as file:
        names = [row[language].lower() for row in csv.DictReader(file)]
    health = {word for name in names for word in re.findall(r"[^\W\d_]{5,}", name)} - set(HARMLESS[language].split())
    assert len(health) > 40
    for section in SECTIONS:
        for path, text in sentences(catalogue(language)[section]):
            assert [name for name in names if re.search(rf"\b{re.escape(name)}\b", text.lower())] == [], path
            assert set(re.findall(r"[^\W\d_]+", text.lower())) & health == set(), f"{section}{path}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_told_by_name_in_one_language_is_told_so_in_all(language: str) -> None:
    def places(of: str) -> dict[str, list[str]]:
        found = {section: catalogue(of)[section] for section in SECTIONS}
        return {path: sorted(re.findall(r"\{\w+\}", text)) for path, text in sentences(found)}

    assert places(language) == places("fr")


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_that_counts_has_all_forms_that_its_language_needs(language: str) -> None:
    found = list(forms({section: catalogue(language)[section] for section in SECTIONS}))
    assert found
    for path, told in found:
        assert set(told) == {"one", "other"}, path
        assert form_of(told, language, 1) == told["one"] and form_of(told, language, 2) == told["other"]
        assert form_of(told, language, 5_000_000) == told["other"], "no text of ours needs the form for millions"


def test_a_language_decides_by_its_own_rules_which_form_it_takes() -> None:
    told = {"one": "one", "other": "other"}
    assert {language: form_of(told, language, 0) for language in LANGUAGES} == {
        "fr": "one", "lb": "other", "pt": "other", "en": "other", "de": "other",
    }  # fmt: skip
    assert set(Locale.parse("fr").plural_form.tags) == {"one", "many"}


@pytest.mark.parametrize(
    ("language", "number"),
    [("fr", "1\u202f234"), ("lb", "1.234"), ("pt", "1\u00a0234"), ("en", "1,234"), ("de", "1.234")],
)  # fmt: skip
def test_a_number_is_written_as_in_its_language(language: str, number: str) -> None:
    assert number_text(1234, language) == number


# --- the digest -------------------------------------------------------------------------------------------------------

SETTINGS = tuple(dict.fromkeys(occasion.setting for occasion in OCCASIONS.values()))


@pytest.mark.parametrize(("language", "number"), itertools.product(LANGUAGES, (1, 2, 1234)))
def test_a_digest_counts_everything_and_names_nothing(language: str, number: int) -> None:
    news = [Line(setting, role, number) for setting in SETTINGS for role in (*ROLES, None)]
    mail = digest_mail(news, language, values_of(language, None))
    total, plain = number_text(number * len(news), language), mail.plain
    assert total in mail.subject and total in plain and date_text(AT, language) in mail.subject
    assert words_of(plain) == words_of(text_of(mail.html)) and PORTAL in plain and f'href="{PORTAL}"' in mail.html
    lines = digest_lines(news, language)
    assert all(line in plain.splitlines() for line in lines) and len(set(lines)) == len(SETTINGS) * 3
    assert not set(mail.subject + plain + mail.html) & set("{}")
    assert [word for word in NEVER if word in plain.lower()] == []
    for text in (digest_sms(news, language, {"portal": PORTAL}), digest_push(number, language)):
        assert text and not set(text) & set("{}\n") and len(text) <= 160


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_and_several_are_told_in_different_words(language: str) -> None:
    one, several = (
        digest_mail([Line("cases", None, number)], language, values_of(language, None)) for number in (1, 2)
    )  # fmt: skip
    assert re.sub(r"\d", "", one.plain) != re.sub(r"\d", "", several.plain)


def test_the_lines_of_a_digest_are_by_what_is_switched_and_ones_own_come_first() -> None:
    news = [
        OneKind("record_news.closed", "representative", 1), OneKind("record_news.referring_ended", "holder", 2),
        OneKind("record_news.referring_proposed", "holder", 3), OneKind("record_news.mandate_opened", "holder", 1),
        OneKind("record_news.block_reminder", None, 4),
    ]  # fmt: skip
    assert lines_of(news) == [
        Line("hidden_documents", None, 4), Line("mandates", "holder", 1), Line("referring_physician", "holder", 5),
        Line("record_state", "representative", 1),
    ]  # fmt: skip


# --- the page of the settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_switch_has_a_title_of_its_own_and_what_is_fixed_says_why(language: str) -> None:
    titles = [setting_title(setting, language) for setting in SETTINGS]
    assert len(set(titles)) == len(titles) and all(titles)
    for rule in {occasion.fixed for occasion in OCCASIONS.values() if occasion.fixed is not None}:
        reason = fixed_reason(rule, language)
        assert rule in reason and not set(reason) & set("{}")
    law, security = (fixed_reason(rule, language).replace(rule, "") for rule in ("L14 18", SECURITY))
    assert law != security
