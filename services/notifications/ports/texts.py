"""The catalogues on disk: every sentence that people get, in five languages, and how a date is written in each.

A missing sentence or an unfilled place is an error, never a letter with a hole in it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from services.notifications.rules_digests import Line
from services.notifications.rules_occasions import SECURITY

CATALOGUES = Path(__file__).resolve().parent.parent / "catalogues"
HERE = ZoneInfo("Europe/Luxembourg")

# English is written for Europe (day before month), Portuguese as in Portugal.
_LOCALES = {"fr": "fr", "lb": "lb", "pt": "pt_PT", "en": "en_GB", "de": "de"}


@dataclass(frozen=True)
class MailText:
    """A mail ready to be sent."""

    subject: str
    plain: str
    html: str


@dataclass(frozen=True)
class InboxText:
    """A notice as it stands in an inbox; one line of `text` is one sentence or paragraph."""

    title: str
    text: str


Words = str | Mapping[str, str]
"""A sentence, or its forms by how many things it speaks of: {"one": "…", "other": "…"}."""


@cache
def catalogue(language: str) -> dict[str, Any]:
    """All texts in one language. Raises KeyError for a language we do not write."""
    if language not in _LOCALES:
        raise KeyError(language)
    loaded: dict[str, Any] = json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))
    return loaded


def date_text(moment: datetime | date, language: str) -> str:
    """The day of a moment as people in Luxembourg write it."""
    day = moment.astimezone(HERE).date() if isinstance(moment, datetime) else moment
    return format_date(day, format="long", locale=_LOCALES[language])


def time_text(moment: datetime, language: str) -> str:
    """The time of day of a moment in Luxembourg."""
    return format_time(moment, format="HH:mm", tzinfo=HERE, locale=_LOCALES[language])


def fill(text: str, values: Mapping[str, str]) -> str:
    """A sentence with its places filled; raises KeyError for a place nobody fills."""
    return text.format_map(dict(values))


def form_of(text: Words, language: str, count: int) -> str:
    """The sentence, or where it has several forms the one that this language uses for so many [CLDR plural rules]."""
    if isinstance(text, str):
        return text
    return text.get(Locale.parse(_LOCALES[language]).plural_form(count)) or text["other"]


def mail_text(occasion: str, language: str, values: Mapping[str, str], count: int = 1) -> MailText:
    """The mail of one occasion, plain and as simple HTML that loads nothing from anywhere.

    count: of how many things it speaks.
    """
    told = catalogue(language)["mail"][occasion]
    return _mail(told["subject"], told["body"], language, values, count)


def digest_mail(news: Sequence[Line], language: str, values: Mapping[str, str]) -> MailText:
    """The mail that stands for all that could wait since the last one: how many of what, in which role, and no more.

    values: `portal`, and `date`, the day it is for.
    """
    told = catalogue(language)["digest"]
    lines = [_braced(line) for line in digest_lines(news, language)]
    body = [line for one in told["mail"]["body"] for line in (lines if one == "{lines}" else [one])]
    return _mail(told["mail"]["subject"], body, language, values, sum(line.number for line in news))


def digest_lines(news: Sequence[Line], language: str) -> list[str]:
    """Each kind of news of a digest with its number; whose record it is about only where it is not their own."""
    texts = catalogue(language)
    whose = {line.role: concerns(line.role, language).get("whose", "") for line in news}
    return [
        fill(texts["digest"]["line"], {
            "what": texts["settings"][line.setting], "whose": whose[line.role],
            "number": number_text(line.number, language),
        })
        for line in news
    ]  # fmt: skip


def digest_sms(news: Sequence[Line], language: str, values: Mapping[str, str]) -> str:
    """The short message that stands for all of it: how many, and where to read them."""
    return _short(catalogue(language)["digest"]["sms"], language, values, sum(line.number for line in news))


def digest_push(count: int, language: str) -> str:
    """What a device shows for so many notices."""
    return _short(catalogue(language)["digest"]["push"], language, {}, count)


def number_text(number: int, language: str) -> str:
    """A number as it is written in this language."""
    return format_decimal(number, locale=_LOCALES[language])


def _braced(line: str) -> str:
    return line.replace("{", "{{").replace("}", "}}")


def _mail(
    subject: Words, body: Sequence[Words], language: str, values: Mapping[str, str], count: int
) -> MailText:  # fmt: skip
    texts = catalogue(language)
    values = {"count": number_text(count, language), **values}
    values = {**values, "not_you": fill(texts["mail"]["not_you"], values)}
    said = [form_of(line, language, count) for line in body]
    told = texts["mail"]
    plain = "\n\n".join([told["greeting"], *(fill(line, values) for line in said), told["closing"]])
    return MailText(
        subject=fill(form_of(subject, language, count), values),
        plain=f"{plain}\n\n-- \n{told['footer']}\n{values['portal']}\n",
        html=_page(language, told, said, values),
    )


def concerns(role: str | None, language: str) -> dict[str, str]:
    """What says whose record a message is about, never by name; role: as what somebody hears of it, None for nobody's.

    `concerns` is a sentence for a mail, `whose` a few words for an SMS: none where it is their own.
    """
    if role is None:
        return {}
    told = catalogue(language)["concerns"][role]
    return {"concerns": told["mail"], "whose": told["sms"]}


def sms_text(occasion: str, language: str, values: Mapping[str, str], count: int = 1) -> str:
    """The short message of one occasion."""
    return _short(catalogue(language)["sms"][occasion], language, values, count)


def inbox_text(occasion: str, language: str, values: Mapping[str, str], count: int = 1) -> InboxText:
    """What portal and app show of one occasion: it is read behind the log-in, so nothing in it leads there.

    values: `date`, `time`, and what `concerns` gives for the role.
    """
    told = catalogue(language)["inbox"][occasion]
    values = {"count": number_text(count, language), **values}
    lines = (fill(form_of(line, language, count), values) for line in told["body"])
    return InboxText(fill(form_of(told["title"], language, count), values), "\n".join(lines))


def push_text(occasion: str, language: str, values: Mapping[str, str], count: int = 1) -> str:
    """What a device shows of one occasion on its locked screen: what happened, and whose record it is about.

    values: what `concerns` gives for the role.
    """
    return _short(catalogue(language)["push"][occasion], language, values, count)


def setting_title(setting: str, language: str) -> str:
    """What a page calls one of the things that a person may switch."""
    title: str = catalogue(language)["settings"][setting]
    return title


def fixed_reason(source: str, language: str) -> str:
    """Why something is told in any case: by this rule of the law, or for the safety of the account itself."""
    told = catalogue(language)["fixed"]
    return fill(told["security" if source == SECURITY else "law"], {"source": source})


def _short(text: Words, language: str, values: Mapping[str, str], count: int) -> str:
    return fill(form_of(text, language, count), {"count": number_text(count, language), **values})


def _page(language: str, texts: Mapping[str, Any], body: Sequence[str], values: Mapping[str, str]) -> str:
    paragraphs = [f"<p>{html.escape(texts['greeting'])}</p>", *(_paragraph(line, values) for line in body)]
    paragraphs.append(f"<p>{html.escape(texts['closing'])}</p>")
    portal = html.escape(values["portal"])
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"></head>'
        '<body style="margin:0;background:#eef2f4">'
        '<div style="max-width:34em;margin:0 auto;padding:24px;background:#ffffff;color:#1c2b33;'
        'font:16px/1.5 Arial,Helvetica,sans-serif">'
        + "".join(paragraphs)
        + '<p style="margin-top:28px;padding-top:12px;border-top:1px solid #d5dee2;font-size:13px;color:#5b6b73">'
        + html.escape(texts["footer"])
        + f'<br><a href="{portal}" style="color:#0b5563">{portal}</a>'
        + "</p></div></body></html>"
    )


def _paragraph(line: str, values: Mapping[str, str]) -> str:
    text = html.escape(fill(line, values))
    if line == "{code}":  # the code stands alone, large enough to be read off another screen
        return f'<p style="font:bold 28px/1.4 monospace;letter-spacing:3px;color:#0b5563">{text}</p>'
    if line == "{link}":
        return f'<p><a href="{text}" style="color:#0b5563">{text}</a></p>'
    portal = html.escape(values.get("portal", ""))
    if portal:
        text = text.replace(portal, f'<a href="{portal}" style="color:#0b5563">{portal}</a>')
    return f"<p>{text}</p>"
