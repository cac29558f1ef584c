"""The coded entries of a CDA: problems, allergies and risk factors of the patient, as their sections list them.

What an entry denies is none, what it tells of a relative is not the patient's, and what stands inside an observation
(how bad, how certain) is about it and not beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from lxml import etree

from services.documents.rules_findings import Entry

_HL7 = "{urn:hl7-org:v3}"
_LOINC = "2.16.840.1.113883.6.1"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"

SECTIONS: dict[str, str] = {
    "11450-4": "problem",
    "48765-2": "allergy",
    "46467-1": "risk_factor",
    "29762-2": "risk_factor",
}
"""Which section, by its LOINC code, tells of what."""

MOST = 500
DISPLAY_LENGTH = 200
CODE_LENGTH = 80
EARLIEST = 1900

ABSENCES = frozenset({
    "716186003", "409137002", "429625007", "428607008", "160244002", "160245001", "1287211007", "no-known-allergies",
    "no-known-medication-allergies", "no-known-environmental-allergies", "no-known-food-allergies",
    "no-known-problems", "no-allergy-info", "no-problem-info",
})  # fmt: skip
"""Codes, of SNOMED CT and of the IPS, that say that there is none, or that nothing is known."""

_ANNOTATION = str.maketrans("", "", "{}")  # as UCUM writes what is counted
_CERTAINTY, _REFUTED = "66455-7", frozenset({"refuted", "entered-in-error"})
_VOID = frozenset({"nullified", "aborted", "cancelled"})
_DAY = re.compile(r"(\d{4})(?:(\d{2})(?:(\d{2}))?)?(?:\d|[.+-]|$)")


def entries(root: etree._Element) -> tuple[Entry, ...]:
    """The coded entries, each once, in the order of the document."""
    found: dict[Entry, None] = {}
    for section in root.iter(f"{_HL7}section"):
        code = section.find(f"{_HL7}code")
        kind = None if code is None or code.get("codeSystem", _LOINC) != _LOINC else SECTIONS.get(code.get("code", ""))
        if kind is None:
            continue
        for told in section.iterfind(f"{_HL7}entry"):
            for observation in _observations(told):
                entry = _entry(kind, observation, section)
                if entry is not None:
                    found[entry] = None
                if len(found) == MOST:
                    return tuple(found)
    return tuple(found)


def _observations(told: etree._Element) -> Iterator[etree._Element]:
    """The outermost observations that happened to the patient; none of what was nullified."""
    waiting = [told]
    while waiting:
        element = waiting.pop()
        if element.tag == f"{_HL7}observation":
            if element.get("moodCode", "EVN") == "EVN" and not _void(element):
                yield element
        elif element.find(f"{_HL7}subject") is None and not _void(element):
            steps = [child for child in element if child.tag in _STEPS]
            waiting += [*reversed(steps)]


_STEPS = frozenset(f"{_HL7}{name}" for name in ("act", "organizer", "observation", "entryRelationship", "component"))


def _void(element: etree._Element) -> bool:
    status = element.find(f"{_HL7}statusCode")
    return element.get("negationInd") == "true" or (status is not None and status.get("code") in _VOID)


def _entry(kind: str, observation: etree._Element, section: etree._Element) -> Entry | None:
    if observation.find(f"{_HL7}subject") is not None or _refuted(observation):
        return None
    subject, value = observation.find(f"{_HL7}code"), observation.find(f"{_HL7}value")
    if kind == "risk_factor":
        coded, display = subject, _factor(subject, value, section)
    else:
        agent = observation.find(f"{_HL7}participant/{_HL7}participantRole/{_HL7}playingEntity")
        sources = [agent if agent is None else agent.find(f"{_HL7}code"), value]
        sources += [subject] if kind == "allergy" else []
        coded = next((each for each in sources if _said(each, section)), None)
        named = None if agent is None else agent.findtext(f"{_HL7}name")
        display = _said(coded, section) if coded is not None and (coded is not subject or not named) else _line(named)
    codes = {each.get("code") for each in (coded, value) if each is not None}
    if not display or codes & ABSENCES:
        return None
    return Entry(
        kind=kind, display=display, code=_code(coded, "code"), system=_code(coded, "codeSystem"),
        since=_since(observation),
    )  # fmt: skip


def _factor(subject: etree._Element | None, value: etree._Element | None, section: etree._Element) -> str:
    """What is observed and how much of it; nothing where the observation is that there is none."""
    name = _said(subject, section)
    kind = "" if value is None else value.get(_TYPE, "").rpartition(":")[2]
    if value is None or value.get("nullFlavor") is not None:
        return name
    if kind == "BL":
        return name if value.get("value") == "true" else ""
    if kind in ("PQ", "INT", "REAL"):
        amount = value.get("value", "")
        if re.fullmatch(r"0+(\.0*)?", amount):
            return ""
        unit = value.get("unit", "1").translate(_ANNOTATION)
        told = amount if unit == "1" else f"{amount} {unit}"
    else:
        told = _said(value, section)
    return _line(": ".join(part for part in (name, told) if part))


def _said(coded: etree._Element | None, section: etree._Element) -> str:
    """The name of what is coded: its own, that of a translation, or the words it points to."""
    if coded is None:
        return ""
    for each in (coded, *coded.iterfind(f"{_HL7}translation")):
        if name := _line(each.get("displayName")):
            return name
    original = coded.find(f"{_HL7}originalText")
    if original is None:
        return _line(coded.text)
    reference = original.find(f"{_HL7}reference")
    pointed = "" if reference is None else reference.get("value", "")
    text = section.find(f"{_HL7}text")
    if pointed.startswith("#") and text is not None:
        there = next((each for each in text.iter() if each.get("ID") == pointed[1:]), None)
        if there is not None:
            return _line(" ".join(str(piece) for piece in there.itertext()))
    return _line(original.text)


def _refuted(observation: etree._Element) -> bool:
    for inner in observation.iterfind(f"{_HL7}entryRelationship/{_HL7}observation"):
        code, value = inner.find(f"{_HL7}code"), inner.find(f"{_HL7}value")
        if code is not None and code.get("code") == _CERTAINTY and value is not None:
            return value.get("code") in _REFUTED
    return False


def _since(observation: etree._Element) -> str | None:
    """The day it began; where the year or the month alone is told, its first day."""
    time = observation.find(f"{_HL7}effectiveTime")
    if time is None:
        return None
    low = time.find(f"{_HL7}low")
    found = _DAY.match((time if low is None else low).get("value", ""))
    if found is None:
        return None
    year, month, day = (int(part or 1) for part in found.groups())
    try:
        return date(year, month, day).isoformat() if year >= EARLIEST else None
    except ValueError:
        return None


def _code(coded: etree._Element | None, name: str) -> str | None:
    told = None if coded is None else coded.get(name)
    return told if told and len(told) <= CODE_LENGTH and told.isprintable() else None


def _line(text: str | None) -> str:
    """Words in one line, shortened to what is kept."""
    words = " ".join((text or "").split())
    return "".join(letter for letter in words if letter.isprintable())[:DISPLAY_LENGTH]
