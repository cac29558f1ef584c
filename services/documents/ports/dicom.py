"""What a DICOM object says: where it belongs, how it is described, what it points to, its words, its pictures.

Runs in the sandboxed child alone. Names, numbers, birth date and address of the patient are left where they are, in
the file: who a record belongs to is the record's own business.
"""

from __future__ import annotations

import codecs
import io
import json
import logging
import math
import re
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.charset import python_encoding
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from services.documents.contract_imaging import without_patient
from services.documents.ports.dicom_pixels import locate, pictures
from services.documents.ports.dicom_sample import sample
from services.documents.ports.dicom_source import Source
from services.documents.rules_findings import TEXT_LENGTH, Findings, Image, NotPassed, Reference

INFLATED = 256 * 1024 * 1024
"""A squeezed object that grows beyond this is refused."""
ATTRIBUTES = 2 * 1024 * 1024  # characters of JSON
REFERENCES = 30_000
LONGEST = 64 * 1024  # of one value in the description
DEEPEST = 40  # levels of a report

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
_WORDS = ("StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined")


def examine(data: Any, media_type: str, facts: dict[str, Any]) -> Findings:
    """All that is found in one DICOM object. Raises NotPassed: broken, too_large_inside, too_many_pixels.

    data: the bytes, or `Pieces` of a big object. media_type, facts: as every examiner gets them; a DICOM object says
    all there is to know by itself.
    """
    logging.getLogger("pydicom").disabled = True  # its warnings repeat what they warn of: values, that is, people
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _examined(Source(data))


def warm_up() -> None:
    """Looks at one small object of each kind, and up every alphabet: codecs are loaded when they are first needed."""
    for alphabet in set(python_encoding.values()):
        codecs.lookup(alphabet)
    for syntax in (ExplicitVRLittleEndian, RLELossless, JPEGBaseline8Bit, JPEG2000Lossless):
        examine(sample(syntax), "application/dicom", {})


def _examined(given: Source) -> Findings:
    source, found, syntax = _read(given)
    uids = [_uid(found, name) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")]
    at = source.tell()
    frames = locate(source, at, found, syntax)
    shown = tuple(pictures(source, frames, found, syntax))
    references = tuple(_references(found))
    text = "\n".join(_text(found))[:TEXT_LENGTH].replace("\0", " ")
    inflated = source is not given  # then the frames lie nowhere in the file itself
    written = str(DeflatedExplicitVRLittleEndian if inflated else syntax)
    count = int(found.get("NumberOfFrames") or 1) if at < source.size else 0
    image = Image(
        uids[0], uids[1], uids[2], uids[3], written, _attributes(found), () if inflated else frames, count
    )  # fmt: skip
    return Findings(text=text, renditions=shown, image=image, references=references)


def _read(given: Source) -> tuple[Source, Dataset, UID]:
    """The object up to its pixels, and where they begin."""
    syntax = UID(str(_head(given).get("TransferSyntaxUID") or ""))
    if not _UID.fullmatch(syntax):
        raise NotPassed("broken")
    source = given
    if syntax == DeflatedExplicitVRLittleEndian:
        source, syntax = Source(_inflated(given)), ExplicitVRLittleEndian
    source.seek(0)
    found = pydicom.dcmread(source, stop_before_pixels=True)
    if source.short:
        raise NotPassed("broken")  # it ends in the middle of an element
    return source, found, syntax


def _head(source: Source) -> FileMetaDataset:
    """What stands before the object itself. Read alone: with the rest, a squeezed rest would be opened too."""
    try:
        read_preamble(source, False)
    except InvalidDicomError:
        raise NotPassed("broken") from None
    return _read_file_meta_info(source)


def _inflated(given: Source) -> bytes:
    """A squeezed object as it was before, with a head that says so."""
    given.seek(0)
    meta = _head(given)
    squeezed = zlib.decompressobj(-zlib.MAX_WBITS)
    if given.size > INFLATED:
        raise NotPassed("too_large_inside")
    body = squeezed.decompress(given.read(), INFLATED)
    if squeezed.unconsumed_tail:
        raise NotPassed("too_large_inside")
    if not squeezed.eof:
        raise NotPassed("broken")  # it ends in the middle
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    head = io.BytesIO()
    head.write(bytes(128) + b"DICM")
    write_file_meta_info(head, meta, enforce_standard=False)
    return head.getvalue() + body


def _uid(found: Dataset, name: str) -> str:
    value = str(found.get(name) or "")
    if len(value) > 64 or not _UID.fullmatch(value):
        raise NotPassed("broken")
    return value


# --- the description --------------------------------------------------------------------------------------------------


def _attributes(found: Dataset) -> dict[str, Any]:
    """The object's attributes as DICOM JSON, as far as they may be told; of too much the longest go first."""
    for tag in list(found.keys()):
        held = found.get_item(tag)
        long = held is not None and isinstance(held.value, bytes) and len(held.value) > LONGEST
        if tag.is_private or (long and found[tag].VR != "SQ"):
            del found[tag]
    model = _plain(without_patient(found.to_json_dict(suppress_invalid_tags=True)))
    sizes = {tag: len(json.dumps(element)) for tag, element in model.items()}
    for tag in sorted(sizes, key=lambda tag: -sizes[tag]):
        if sum(sizes.values()) <= ATTRIBUTES:
            break
        del model[tag], sizes[tag]
    return dict(model)


def _plain(value: Any) -> Any:
    """A value that every reader of JSON and every database takes: no NUL, no half letters, no numbers that are none."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _references(found: Dataset) -> Iterator[Reference]:
    """The instances that a manifest or a report is about, each once."""
    told: set[str] = set()
    for name in _EVIDENCE:
        for study in found.get(name) or ():
            for series in study.get("ReferencedSeriesSequence") or ():
                for each in series.get("ReferencedSOPSequence") or ():
                    instance = _uid(each, "ReferencedSOPInstanceUID")
                    if instance in told:
                        continue
                    if len(told) == REFERENCES:
                        raise NotPassed("too_large_inside")
                    told.add(instance)
                    yield Reference(
                        _uid(study, "StudyInstanceUID"), _uid(series, "SeriesInstanceUID"), instance,
                        _uid(each, "ReferencedSOPClassUID"),
                    )  # fmt: skip


# --- the words --------------------------------------------------------------------------------------------------------


def _text(found: Dataset) -> Iterator[str]:
    """What can be found by its words: how study and series are called, and a structured report's content."""
    for name in _WORDS:
        if found.get(name):
            yield str(found[name].value)
    yield from _content(found, DEEPEST)


def _content(item: Dataset, deepest: int) -> Iterator[str]:
    """A report's content, node by node; names of persons are not searched."""
    if item.get("ValueType") == "PNAME" or not deepest:
        return
    words = [_meaning(item.get("ConceptNameCodeSequence")), _said(item)]
    if any(words):
        yield " ".join(word for word in words if word)
    for below in item.get("ContentSequence") or ():
        yield from _content(below, deepest - 1)


def _said(item: Dataset) -> str:
    kind = item.get("ValueType")
    if kind == "TEXT":
        return str(item.get("TextValue") or "")
    if kind == "CODE":
        return _meaning(item.get("ConceptCodeSequence"))
    if kind == "NUM":
        for measured in item.get("MeasuredValueSequence") or ():
            units = [code.get("CodeValue") for code in measured.get("MeasurementUnitsCodeSequence") or ()]
            return " ".join(str(part) for part in (measured.get("NumericValue"), *units) if part)
    return ""


def _meaning(codes: Any) -> str:
    return str(codes[0].get("CodeMeaning") or "") if codes else ""
