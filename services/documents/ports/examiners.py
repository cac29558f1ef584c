"""Which examiner looks at which media type. Imported in the sandbox alone: here hostile bytes are parsed.

An examiner is `examine(data, media_type, facts) -> Findings`; it raises NotPassed(code) for what must not pass, and it
has no network, no disk, no clock to wait by. facts: type, category, folder, title, language and size of the document.
What it imports, it imports at the top of its file: once the sandbox is shut no file can be opened any more, and what
its libraries load at their first use, `warm_up()` of its file has them load before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.documents.contract import CDA, CDA_AS_TEXT, DICOM, JPEG, PDF, PNG, TEXT
from services.documents.ports import cda, dicom, pdf, pictures, text
from services.documents.rules_findings import Findings

Examine = Callable[[Any, str, dict[str, Any]], Findings]

EXAMINERS: dict[str, Examine] = {
    PDF: pdf.examine,
    PNG: pictures.examine,
    JPEG: pictures.examine,
    TEXT: text.examine,
    CDA: cda.examine,
    CDA_AS_TEXT: cda.examine,
    DICOM: dicom.examine,
}
"""Each gets the bytes of a file; of one of more than rules_examining.WHOLE the first HEAD bytes, or, where its media
type is in rules_examining.IN_PIECES, a file `pieces.Pieces` that gives the bytes that are read of it."""


def warm_up() -> None:
    """Has every library load what it loads at its first use."""
    for port in (pdf, pictures, text, cda, dicom):
        port.warm_up()


def examine(data: Any, media_type: str, facts: dict[str, Any]) -> Findings:
    """What the examiner of this media type finds; nothing of one that has none."""
    examiner = EXAMINERS.get(media_type)
    return Findings() if examiner is None else examiner(data, media_type, facts)


assert set(EXAMINERS) <= {CDA, CDA_AS_TEXT, DICOM, JPEG, PDF, PNG, TEXT}
