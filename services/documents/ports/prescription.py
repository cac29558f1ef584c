"""The lines of a CDA prescription: what is prescribed, how much of it with all its renewals, and until when.

Read from the sections of prescribed medicines and devices alone (LOINC 57828-6, 46264-8; IHE PRE): what a patient takes
already stands in others. What cannot be read is not guessed: such a line comes without text, and the document is whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from lxml import etree

from services.documents.contract import LINE_LENGTH, LINES_MOST
from services.documents.rules_findings import Line

_HL7 = "{urn:hl7-org:v3}"
_SECTIONS = frozenset({"57828-6", "46264-8"})
_SERVICES = frozenset({"57833-6", "57832-8"})
_WISHED = frozenset({"INT", "RQO", "PRMS", "PRP"})
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_WORDS = re.compile(r"[^0-9]")  # a unit that is a number stands in a table of units, which readers do not have
_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_MOST_RENEWALS = 1000


def lines(root: etree._Element) -> tuple[Line, ...]:
    """What is prescribed, in the order of the document; one more than there may be where there are more."""
    found: list[Line] = []
    named: Mapping[str, etree._Element] | None = None
    for entry in _entries(root):
        if len(found) > LINES_MOST:
            break
        if named is None:
            named = {each.get("ID", ""): each for each in root.iter() if each.get("ID")}
        found.append(_line(entry, named))
    return tuple(found)


def valid_until(root: etree._Element) -> str | None:
    """The last day of the prescription, where its header says it."""
    for event in root.iterfind(_path("documentationOf", "serviceEvent")):
        code = event.find(f"{_HL7}code")
        high = event.find(_path("effectiveTime", "high"))
        day = None if high is None else _DAY.match(high.get("value", ""))
        if code is not None and code.get("code") in _SERVICES and day is not None:
            return "-".join(day.groups())
    return None


def _entries(root: etree._Element) -> Iterator[etree._Element]:
    for section in root.iterfind(f".//{_HL7}section"):
        code = section.find(f"{_HL7}code")
        if code is None or code.get("code") not in _SECTIONS:
            continue
        for each in section.iterfind(f"{_HL7}entry/*"):
            kind = etree.QName(each).localname
            if kind in ("substanceAdministration", "supply") and each.get("moodCode") in _WISHED:
                yield each


def _line(entry: etree._Element, named: Mapping[str, etree._Element]) -> Line:
    things = (
        _path("consumable", "manufacturedProduct", "manufacturedMaterial"),
        _path("product", "manufacturedProduct", "manufacturedMaterial"),
        _path("participant", "participantRole", "playingDevice"),
    )
    thing = next((each for each in map(entry.find, things) if each is not None), None)
    code = None if thing is None else thing.find(f"{_HL7}code")
    codes = [] if code is None else [each for each in (code, *code.iterfind(f"{_HL7}translation")) if each.get("code")]
    first = codes[0] if codes else None
    supply, quantity = entry.find(_path("entryRelationship", "supply")), None
    if etree.QName(entry).localname == "supply":
        supply = entry
    if supply is not None:
        quantity = supply.find(f"{_HL7}quantity")
    unit = None if quantity is None else quantity.get("unit")
    return Line(
        text=_text(entry, thing, codes, named),
        quantity=_quantity(quantity, entry, supply),
        unit=unit if unit and unit != "1" and _WORDS.search(unit) else None,
        code=None if first is None else first.get("code"),
        system=None if first is None else first.get("codeSystem"),
    )


def _text(
    entry: etree._Element, thing: etree._Element | None, codes: list[etree._Element],
    named: Mapping[str, etree._Element],
) -> str:  # fmt: skip
    """What the thing is called: by its name, else as the narrative says, else as its code does, the closest last."""
    name = "" if thing is None else _words(thing.find(f"{_HL7}name"))
    reference = entry.find(_path("text", "reference"))
    told = "" if reference is None else _words(named.get(reference.get("value", "").removeprefix("#")))
    shown = [each.get("displayName", "") for each in codes]
    return next((words for words in (name, told, *reversed(shown)) if words), "")[:LINE_LENGTH]


def _words(element: etree._Element | None) -> str:
    if element is None or element.get("nullFlavor"):
        return ""
    return " ".join("".join(f"{piece} " for piece in element.itertext()).split())


def _quantity(quantity: etree._Element | None, entry: etree._Element, supply: etree._Element | None) -> str | None:
    """How much in all: what is given at a time, and again for each renewal."""
    if quantity is None or quantity.get("nullFlavor"):
        return None
    if _NUMBER.fullmatch(quantity.get("value", "")) is None:
        return ""  # no number: there is something that cannot be read
    again = max(_renewals(entry), 0 if supply is None else _renewals(supply))
    return format((Decimal(quantity.get("value", "0")) * (1 + again)).normalize(), "f")


def _renewals(of: etree._Element) -> int:
    for path in (f"{_HL7}repeatNumber", _path("repeatNumber", "high")):
        said = of.find(path)
        value = "" if said is None else said.get("value", "")
        if value.isascii() and value.isdecimal() and len(value) < 6:
            return min(int(value), _MOST_RENEWALS)
    return 0


def _path(*names: str) -> str:
    return "/".join(f"{_HL7}{name}" for name in names)
