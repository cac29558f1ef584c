"""The catalogue of DICOM objects inside a CDA imaging report (PS3.20, 9.x): which study and images it is about.

So a report finds its images and its key-image documents, and they find the report. Takes a tree that was parsed
without entities and network already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from services.documents.rules_findings import Reference

_HL7 = "{urn:hl7-org:v3}"
_DICOM = "1.2.840.10008.2.16.4"
_STUDY, _SERIES = "113014", "113015"
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
LIMIT = 30_000


def references(root: Any) -> tuple[Reference, ...]:
    """The instances of the catalogue, each once; of a study that lists none, the study alone (other ids empty).

    root: the element ClinicalDocument. What is not spelt as the standard says is passed over.
    """
    found: dict[tuple[str, str], Reference] = {}
    for study in _acts(root, _STUDY):
        study_uid = _uid(study)
        if not study_uid:
            continue
        before = len(found)
        for each in _of_study(study, study_uid):
            if len(found) < LIMIT:
                found.setdefault((each.study_uid, each.instance_uid), each)
        if len(found) == before:
            found.setdefault((study_uid, ""), Reference(study_uid, "", "", ""))
    return tuple(found.values())


def _of_study(study: Any, study_uid: str) -> Iterator[Reference]:
    for series in _acts(study, _SERIES):
        for seen in series.iter(f"{_HL7}observation"):
            code = seen.find(f"{_HL7}code")
            ids = (_uid(series), _uid(seen), "" if code is None else str(code.get("code") or ""))
            if seen.get("classCode") == "DGIMG" and all(_UID.fullmatch(one) for one in ids):
                yield Reference(study_uid, *ids)


def _acts(root: Any, code: str) -> Iterator[Any]:
    for act in root.iter(f"{_HL7}act"):
        named = act.find(f"{_HL7}code")
        if named is not None and named.get("code") == code and named.get("codeSystem") == _DICOM:
            yield act


def _uid(element: Any) -> str:
    named = element.find(f"{_HL7}id")
    text = "" if named is None else str(named.get("root") or "")
    return text if len(text) <= 64 and _UID.fullmatch(text) else ""
