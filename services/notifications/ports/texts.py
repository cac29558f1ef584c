"""The catalogues on disk: every sentence that people get, in five languages, and how a date is written in each.

A missing sentence or an unfilled place is an error, never a letter with a hole in it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time

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


def mail_text(occasion: str, language: str, values: Mapping[str, str]) -> MailText:
    """The mail of one occasion, plain and as simple HTML that loads nothing from anywhere."""
    texts = catalogue(language)["mail"]
    told = texts[occasion]
    values = {**values, "not_you": fill(texts["not_you"], values)}
    lines = [fill(line, values) for line in told["body"]]
    plain = "\n\n".join([texts["greeting"], *lines, texts["closing"]]) + "\n\n-- \n" + texts["footer"] + "\n"
    return MailText(
        subject=fill(told["subject"], values),
        plain=plain,
        html=_page(language, texts, told["body"], values),
    )


def concerns(role: str | None, language: str) -> dict[str, str]:
    """What says whose record a message is about, never by name; role: as what somebody hears of it, None for nobody's.

    `concerns` is a sentence for a mail, `whose` a few words for an SMS: none where it is their own.
    """
    if role is None:
        return {}
    told = catalogue(language)["concerns"][role]
    return {"concerns": told["mail"], "whose": told["sms"]}


def sms_text(occasion: str, language: str, values: Mapping[str, str]) -> str:
    """The short message of one occasion."""
    return fill(catalogue(language)["sms"][occasion], values)


def _page(language: str, texts: Mapping[str, Any], body: list[str], values: Mapping[str, str]) -> str:
    paragraphs = [f"<p>{html.escape(texts['greeting'])}</p>", *(_paragraph(line, values) for line in body)]
    paragraphs.append(f"<p>{html.escape(texts['closing'])}</p>")
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"></head>'
        '<body style="margin:0;background:#eef2f4">'
        '<div style="max-width:34em;margin:0 auto;padding:24px;background:#ffffff;color:#1c2b33;'
        'font:16px/1.5 Arial,Helvetica,sans-serif">'
        + "".join(paragraphs)
        + '<p style="margin-top:28px;padding-top:12px;border-top:1px solid #d5dee2;font-size:13px;color:#5b6b73">'
        + html.escape(texts["footer"])
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
