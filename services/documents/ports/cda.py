"""CDA R2 and other XML: read without a document type, an entity, the network or a disk."""

from __future__ import annotations

import re
from dataclasses import replace

from lxml import etree

from services.documents.contract import PRESCRIPTIONS
from services.documents.ports import cda_view, prescription
from services.documents.ports.cda_entries import entries
from services.documents.ports.dicom_catalogue import references
from services.documents.rules_findings import TEXT_LENGTH, Findings, NotPassed
from services.sealing import Buffer

HL7 = "urn:hl7-org:v3"
INSIDE = 32 * 1024 * 1024
ELEMENTS = 500_000
_ROOT = f"{{{HL7}}}ClinicalDocument"
_ANYWHERE = f".//{{{HL7}}}"
_ASCII_LETTERS = re.compile(
    rb"""(?:\xef\xbb\xbf)?(?:<\?xml\s[^>]*?encoding\s*=\s*["'](?:utf-8|us-ascii|iso-8859-\d+|windows-125\d)["']
    |(?!<\?xml\s[^>]*encoding)\s*<[^\0])""",
    re.IGNORECASE | re.VERBOSE,
)


def examine(data: Buffer, media_type: str, facts: dict[str, object]) -> Findings:
    """The words of the narrative, a page to show it, the images it is about, its coded entries, a prescription's lines.

    Raises NotPassed: entities, broken, wrong_kind, too_large_inside; for a file that it wraps, what that one's examiner
    raises.
    """
    root = parsed(data)
    shown = cda_view.findings(root)
    words = f"{narrative(root)}\n{shown.text}".strip()[:TEXT_LENGTH]
    found = replace(shown, text=words, references=references(root), entries=entries(root))
    if facts.get("category") != PRESCRIPTIONS:
        return found
    return replace(found, lines=prescription.lines(root), valid_until=prescription.valid_until(root))


def parsed(data: Buffer) -> etree._Element:
    """The root of a document that is safe to walk through. Raises NotPassed."""
    if len(data) > INSIDE:
        raise NotPassed("too_large_inside")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
                             remove_pis=True, huge_tree=_has_no_entities(data))  # fmt: skip
    try:
        root = etree.fromstring(bytes(data), parser)
    except etree.XMLSyntaxError as broken:
        raise NotPassed("entities" if b"<!DOCTYPE" in bytes(data) else "broken") from broken
    if root.getroottree().docinfo.internalDTD is not None or root.getroottree().docinfo.doctype:
        raise NotPassed("entities")
    if root.tag != _ROOT:
        raise NotPassed("wrong_kind")
    if sum(1 for _ in root.iter()) > ELEMENTS:
        raise NotPassed("too_large_inside")
    return root


def _has_no_entities(data: Buffer) -> bool:
    """Whether a document may be one long text, of more letters than the parser takes from strangers.

    A file that is wrapped in it is. What the parser guards against besides, entities in entities, needs a DOCTYPE,
    which shows in the bytes where they are letters of ASCII: in UTF-7 or UTF-16 it would not.
    """
    return _ASCII_LETTERS.match(data) is not None and b"<!DOCTYPE" not in bytes(data)


def narrative(root: etree._Element) -> str:
    """What a reader would read: the titles and texts of all sections, in their order."""
    words: list[str] = []
    left = TEXT_LENGTH
    for found in root.iterfind(f"{_ANYWHERE}section"):
        for part in (*found.iterfind(f"{{{HL7}}}title"), *found.iterfind(f"{{{HL7}}}text")):
            told = " ".join("".join(f"{piece} " for piece in part.itertext()).split())
            words.append(told[:left])
            left -= len(told) + 1
            if left <= 0:
                return "\n".join(words)[:TEXT_LENGTH]
    return "\n".join(words)


def warm_up() -> None:
    """Reads an empty document."""
    examine(f'<ClinicalDocument xmlns="{HL7}"/>'.encode(), "application/xml", {})
