"""What a DICOMweb client takes (PS3.18, 8.7): the Accept header against what there is, and 406."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import request
from werkzeug.http import parse_options_header

from gateway.errors import refused
from services.documents.contract import EXPLICIT_LITTLE_ENDIAN, UNCOMPRESSED

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
JSON = "application/json"
JPEG = "image/jpeg"
OCTETS = "application/octet-stream"
MULTIPART = "multipart/related"

_SPLIT = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_FRAMES = {
    "1.2.840.10008.1.2.4.50": JPEG, "1.2.840.10008.1.2.4.51": JPEG, "1.2.840.10008.1.2.4.57": JPEG,
    "1.2.840.10008.1.2.4.70": JPEG, "1.2.840.10008.1.2.4.80": "image/jls", "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2", "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}  # fmt: skip
"""Media type of a frame by its transfer syntax (PS3.18, 8.7.3); every other is octets."""


@dataclass(frozen=True)
class Taken:
    """One thing the client takes: a media type, whether as parts of many, and the transfer syntax it names."""

    kind: str
    parts: bool
    syntax: str | None

    def fits(self, kind: str) -> bool:
        """Whether a media type is meant by this one."""
        return self.kind in ("*/*", kind) or (self.kind.endswith("/*") and kind.startswith(self.kind[:-1]))


def taken() -> list[Taken]:
    """What the client takes, as it said it; everything where it says nothing. `accept` of the URL comes before."""
    said = request.args.get("accept") or request.headers.get("Accept") or "*/*"
    found = []
    for each in _SPLIT.split(said[:2000]):
        kind, options = parse_options_header(each.strip())
        if options.get("q") in ("0", "0.0", "0.00", "0.000"):
            continue
        kind, parts = kind.lower(), kind.lower() == MULTIPART
        inside = options.get("type", "*/*").lower()
        found.append(Taken(inside if parts else kind, parts, options.get("transfer-syntax")))
    return found


def description() -> str:
    """The kind of JSON that is sent. Refuses: not_acceptable."""
    for kind in (DICOM_JSON, JSON):
        if any(not each.parts and each.fits(kind) for each in taken()):
            return kind
    raise refused("not_acceptable", allowed=[DICOM_JSON])


def single_instance() -> bool:
    """Whether one instance is sent as it is, and not as the one part of many."""
    return not any(each.parts for each in taken()) and any(each.kind == DICOM for each in taken())


def require_instance(syntax: str) -> None:
    """Refuses: not_acceptable where an instance as it is kept, in this transfer syntax, is not taken.

    A client that names no transfer syntax gets what there is: the file says itself what it is.
    """
    for each in taken():
        everything = each.kind == "*/*" and not each.parts
        if (everything or each.fits(DICOM)) and each.syntax in (None, "*", syntax):
            return
    raise refused("not_acceptable", allowed=[f'{MULTIPART}; type="{DICOM}"; transfer-syntax={syntax}'])


def frames(syntax: str) -> str:
    """The media type in which frames of this transfer syntax are sent.

    Octets without a named transfer syntax are plain pixels, as the standard has it: compressed ones would be taken for
    those. Refuses: not_acceptable.
    """
    plain, own = syntax in UNCOMPRESSED, _FRAMES.get(syntax, OCTETS)
    for each in taken():
        for kind in (own, OCTETS):
            named = each.syntax in ("*", syntax) or (plain and each.syntax == EXPLICIT_LITTLE_ENDIAN)
            unnamed = each.syntax is None and (plain or kind != OCTETS or (each.kind == "*/*"))
            if each.fits(kind) and (each.parts or each.kind == "*/*") and (named or unnamed):
                return kind
    raise refused("not_acceptable", allowed=[f'{MULTIPART}; type="{own}"; transfer-syntax={syntax}'])


def require_picture() -> None:
    """Refuses: not_acceptable where a JPEG is not taken."""
    if not any(not each.parts and each.fits(JPEG) for each in taken()):
        raise refused("not_acceptable", allowed=[JPEG])
