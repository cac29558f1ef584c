"""What a CDA document says of itself before its body: read while it comes in, never further than its first part.

An incremental parser of the standard library that knows no network; a document type declaration, and with it every
entity of a sender's own, is refused before anything in it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from itertools import chain
from typing import Any
from xml.parsers import expat

from gateway.errors import refused

HEAD_LIMIT = 512 * 1024
DEEPEST = 64
MOST_IDS = 50
TITLE_LIMIT = 2000

_HL7 = "urn:hl7-org:v3 "
_LOINC = "2.16.840.1.113883.6.1"
_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_CODE, _TITLE, _TIME, _LANGUAGE = ("code",), ("title",), ("effectiveTime",), ("languageCode",)
_PATIENT, _AUTHOR = ("recordTarget", "patientRole"), ("author", "assignedAuthor", "id")


class Header:
    """Reads the header off a stream of blocks; `facts` is what `prepare_cda` wants, `blocks()` the whole file again.

    The identifiers of each patient stay together: a document may name several.

    Refuses: cda_unreadable for what is no CDA document, has a document type declaration, or a header without end.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.facts: dict[str, Any] = {
            "type_code": None, "title": None, "act_date": None, "language": None, "patient_ids": [], "author_ids": [],
        }  # fmt: skip
        self._blocks = blocks
        self._taken: list[bytes] = []
        self._path: list[str] = []
        self._title: list[str] = []
        self._complete = False
        self._read()

    def blocks(self) -> Iterator[bytes]:
        """Every block, those that were read first among them."""
        return chain(self._taken, self._blocks)

    def _read(self) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _no_doctype
        read = 0
        for block in self._blocks:
            self._taken.append(block)
            read += len(block)
            try:
                parser.Parse(block[: max(0, HEAD_LIMIT - (read - len(block)))], False)
            except (expat.ExpatError, UnicodeError, ValueError, LookupError):
                raise refused("cda_unreadable") from None
            if self._complete:
                self.facts["title"] = " ".join("".join(self._title).split())[:TITLE_LIMIT] or None
                return
            if read >= HEAD_LIMIT:
                break
        raise refused("cda_unreadable")

    def _start(self, name: str, given: dict[str, str]) -> None:
        if self._complete:
            return
        if not self._path and name != _HL7 + "ClinicalDocument":
            raise refused("cda_unreadable")
        self._path.append(name.removeprefix(_HL7))
        if len(self._path) > DEEPEST:
            raise refused("cda_unreadable")
        here = tuple(self._path[1:])
        if here == ("component",):
            self._complete = True
        elif here == _CODE and given.get("codeSystem", _LOINC) == _LOINC:
            self.facts["type_code"] = given.get("code", "")[:40] or None
        elif here == _TIME:
            self.facts["act_date"] = _day(given.get("value", ""))
        elif here == _LANGUAGE:
            self.facts["language"] = given.get("code", "")[:20] or None
        elif here == _PATIENT:
            _add(self.facts["patient_ids"], [])
        elif here == (*_PATIENT, "id"):
            _add(self.facts["patient_ids"][-1], _id(given))
        elif here == _AUTHOR:
            _add(self.facts["author_ids"], _id(given))

    def _end(self, _name: str) -> None:
        if self._path:
            self._path.pop()

    def _text(self, text: str) -> None:
        if tuple(self._path[1:]) == _TITLE and not self._complete and sum(map(len, self._title)) < TITLE_LIMIT:
            self._title.append(text)


def _add(named: list[Any], one: Any) -> None:
    if len(named) >= MOST_IDS:
        raise refused("cda_unreadable")
    named.append(one)


def _id(given: dict[str, str]) -> dict[str, str]:
    return {"root": given.get("root", "")[:200], "extension": given.get("extension", "")[:200]}


def _no_doctype(*_: object) -> None:
    raise refused("cda_unreadable")


def _day(value: str) -> str | None:
    """The day of an HL7 moment, None of one that names no day. [HL7 v3 TS]"""
    found = _DAY.match(value)
    try:
        return date(*map(int, found.groups())).isoformat() if found else None
    except ValueError:
        return None
