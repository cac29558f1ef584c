"""When the helpdesk answers, from the setting's `Mo-Fr 08:00-18:00; Sa 09:00-12:00` in the words of a language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY = "|".join(DAYS)
_TIME = r"([01]\d|2[0-4]):([0-5]\d)"
_SPAN = re.compile(rf"({_DAY})(?:-({_DAY}))?\s+{_TIME}-{_TIME}")


def in_words(setting: str, words: Mapping[str, Any]) -> str:
    """The opening hours as people say them; a setting that is written otherwise is shown as it stands.

    words: `days` (seven names, Monday first), `from_to` ({first}, {last}) for days, `hours` ({days}, {opens}, {closes})
    and `full_hour` ({hour}), `time` ({hour}, {minute}).
    """
    spans = [_SPAN.fullmatch(part.strip()) for part in setting.split(";")]
    if not all(spans):
        return setting
    return "; ".join(_span(span.groups(), words) for span in spans if span is not None)


def _span(parts: tuple[str | None, ...], words: Mapping[str, Any]) -> str:
    first, last, opens, opens_minute, closes, closes_minute = parts
    named = dict(zip(DAYS, words["days"], strict=True))
    days = named[str(first)]
    if last is not None:
        days = words["from_to"].format(first=days, last=named[last])
    return str(
        words["hours"].format(
            days=days, opens=_time(opens, opens_minute, words), closes=_time(closes, closes_minute, words)
        )
    )


def _time(hour: str | None, minute: str | None, words: Mapping[str, Any]) -> str:
    if minute == "00":
        return str(words["full_hour"].format(hour=int(hour or 0)))
    return str(words["time"].format(hour=int(hour or 0), minute=minute))
