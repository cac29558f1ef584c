"""The search of audit events as it stands in a URL (ITI-81; FHIR R4 3.1.1), read into plain facts for audit.

What is not understood is left aside, or refused where `Prefer: handling=strict` asks for that; what was understood
stands in the `self` link of the answer. A modifier of what is understood is always refused: without it something else,
mostly the opposite, would be found.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from services.audit.contract import PAGE_LIMIT
from services.refusals import InvalidInput

NAMES = ("patient", "agent", "entity", "date", "type", "subtype", "action", "outcome", "_count", "_cursor")
"""What a search is narrowed by; each may come more than once, and then all of it holds."""
ASIDE = ("_format", "_pretty", "_sort", "_summary")
USUAL = 50

_DATE = re.compile(r"(eq|ge|gt|le|lt|sa|eb)?(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)"
                   r"(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)  # fmt: skip
_REFERENCE = re.compile(r"(?:(?:https?://[^?#\s]{1,200}/)?([A-Z][A-Za-z]{1,40})/|urn:uuid:)?([0-9a-fA-F-]{36})")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_AGENTS = {"Practitioner": "professional_id", "Patient": "person_id", "Organization": "establishment_id"}
MOST = 20  # values of one parameter
EARLIEST = 1900

Pairs = list[tuple[str, str]]


def read(pairs: Pairs, *, strict: bool) -> tuple[dict[str, Any], Pairs]:
    """What is asked of audit, and the parameters that were understood.

    Refuses: InvalidInput with everything that is wrong.
    """
    asked: dict[str, Any] = {"limit": USUAL}
    errors: list[dict[str, str]] = []
    understood: Pairs = []
    for name, value in pairs:
        try:
            _READERS.get(name, _nothing)(asked, value)
        except ValueError as wrong:
            errors.append({"pointer": f"/{name}", "message": str(wrong)})
            continue
        if name in _READERS:
            understood.append((name, value))
        elif name.partition(":")[0] in _READERS or (strict and name not in ASIDE):
            errors.append({"pointer": f"/{name[:64]}", "message": "unknown_member"})
    errors += [{"pointer": f"/{name}", "message": "too_many"} for name, value in asked.items()
               if isinstance(value, list) and len(value) > MOST]  # fmt: skip
    if errors:
        raise InvalidInput(errors=errors)
    return asked, understood


def link(path: str, understood: Pairs, cursor: str | None = None) -> str:
    """The address of a page of the same search: the present one, or the one that a cursor begins."""
    kept = understood if cursor is None else [*(pair for pair in understood if pair[0] != "_cursor"),
                                              ("_cursor", cursor)]  # fmt: skip
    return path + ("?" + "&".join(f"{name}={quote(value, safe=':|,')}" for name, value in kept) if kept else "")


# --- each parameter ---------------------------------------------------------------------------------------------------


def _nothing(_asked: dict[str, Any], _value: str) -> None:
    """A parameter that is none of ours."""


def _patient(asked: dict[str, Any], value: str) -> None:
    _set_once(asked, "patient_id", _id_of(value, "Patient"))


def _agent(asked: dict[str, Any], value: str) -> None:
    kind, id_ = _reference(value)
    if kind is not None and kind not in _AGENTS:
        raise ValueError("choice")
    _set_once(asked, _AGENTS.get(kind or "", "agent_id"), id_)


def _entity(asked: dict[str, Any], value: str) -> None:
    _set_once(asked, "object_id", _reference(value)[1])


def _date(asked: dict[str, Any], value: str) -> None:
    """A moment or a period, and how what is looked for lies to it [FHIR R4 3.1.1.4.6]; years, months, days in UTC."""
    prefix, first, after = _period(value)
    since = {"eq": first, "ge": first, "gt": after, "sa": after}.get(prefix)
    before = {"eq": after, "le": after, "lt": first, "eb": first}.get(prefix)
    if since is not None:
        asked["since"] = max(asked.get("since", ""), _wire(since))
    if before is not None:
        asked["before"] = min(asked.get("before", "~"), _wire(before))


def _tokens(name: str) -> Callable[[dict[str, Any], str], None]:
    def read_tokens(asked: dict[str, Any], value: str) -> None:
        if name in asked:
            raise ValueError("too_many")
        asked[name] = [_token(each) for each in value.split(",")]

    return read_tokens


def _codes(name: str, known: str) -> Callable[[dict[str, Any], str], None]:
    def read_codes(asked: dict[str, Any], value: str) -> None:
        if name in asked:
            raise ValueError("too_many")
        codes = [_token(each)[1] for each in value.split(",")]
        if not all(code and code in known.split() for code in codes):
            raise ValueError("choice")
        asked[name] = codes

    return read_codes


def _count(asked: dict[str, Any], value: str) -> None:
    if not value.isascii() or not value.isdigit() or len(value) > 9 or int(value) == 0:
        raise ValueError("number")
    asked["limit"] = min(int(value), PAGE_LIMIT)  # fewer than were asked for is always allowed [FHIR R4 3.1.1.5.4]


def _cursor(asked: dict[str, Any], value: str) -> None:
    _set_once(asked, "cursor", value[:512])


_READERS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "patient": _patient,
    "agent": _agent,
    "entity": _entity,
    "date": _date,
    "type": _tokens("types"),
    "subtype": _tokens("subtypes"),
    "action": _codes("actions", "C R U D E"),
    "outcome": _codes("outcomes", "0 4 8 12"),
    "_count": _count,
    "_cursor": _cursor,
}


# --- kinds of values --------------------------------------------------------------------------------------------------


def _set_once(asked: dict[str, Any], name: str, value: str) -> None:
    if asked.setdefault(name, value) != value:
        raise ValueError("too_many")


def _reference(value: str) -> tuple[str | None, str]:
    found = _REFERENCE.fullmatch(value)
    if found is None:
        raise ValueError("uuid")
    try:
        return found[1], str(uuid.UUID(found[2]))
    except ValueError:
        raise ValueError("uuid") from None


def _id_of(value: str, kind: str) -> str:
    named, id_ = _reference(value)
    if named not in (None, kind):
        raise ValueError("choice")
    return id_


def _token(value: str) -> list[str | None]:
    """`code`, `system|code`, `system|` or `|code` [FHIR R4 3.1.1.4.10]; system None is any, code "" is any."""
    system, bar, code = value.rpartition("|")
    if not bar:
        system, code = "", value
    if (code and not _WORD.fullmatch(code)) or len(system) > 200 or not (system or code):
        raise ValueError("invalid")
    return [system if bar else None, code]


def _period(value: str) -> tuple[str, datetime, datetime]:
    """How, and from which moment on and before which one."""
    found = _DATE.fullmatch(value.replace(" ", "+"))  # a plus sign that was not written as %2B
    if found is None or int(found[2]) < EARLIEST:
        raise ValueError("moment")
    prefix, year, month, day, clock, zone = found.groups()
    try:
        first_day = date(int(year), int(month or 1), int(day or 1))
        if clock is not None:
            text = f"{first_day}T{clock}{zone or 'Z'}"
            first = datetime.fromisoformat(text).astimezone(UTC)
            return prefix or "eq", first, first + _step(clock)
        first = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
        if day is not None:
            return prefix or "eq", first, first + timedelta(days=1)
        if month is not None:
            return prefix or "eq", first, (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        return prefix or "eq", first, first.replace(year=first.year + 1)
    except (ValueError, OverflowError):
        raise ValueError("moment") from None


def _step(clock: str) -> timedelta:
    digits = len(clock.partition(".")[2])
    if digits:
        return timedelta(microseconds=10 ** (6 - digits))
    return timedelta(minutes=1) if len(clock) == len("16:47") else timedelta(seconds=1)


def _wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
