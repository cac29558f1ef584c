"""DICOM objects as modalities and reporting stations send them: images, manifests of key images, structured reports."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image as Picture
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    KeyObjectSelectionDocumentStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
    generate_uid,
)

SECRETS = ("LUX^Ada", "1990010112347", "19900101", "ADDRESS-4711", "DR^NAMED", "COMMENT-4711")
"""What stands in every object here and must stand in no answer but the file itself."""


def uid() -> str:
    """A new unique identifier."""
    return str(generate_uid())


def written(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The object as a file."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def described(class_uid: str, modality: str, study: str | None = None, series: str | None = None) -> Dataset:
    """What every object says: where it belongs, and whose it is."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = class_uid, uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = study or uid(), series or uid()
    made.StudyDate, made.Modality, made.StudyDescription = "20260224", modality, "Thorax à jeun"
    made.SeriesNumber, made.InstanceNumber, made.AccessionNumber = "1", "1", "A-1"
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientAddress = SECRETS[:4]
    made.PatientSex, made.ReferringPhysicianName, made.ImageComments = "F", SECRETS[4], SECRETS[5]
    asked = Dataset()
    asked.PatientName, asked.RequestedProcedureID = SECRETS[0], "P-1"
    made.RequestAttributesSequence = [asked]
    made.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", SECRETS[5])
    return made


def image(
    study: str | None = None, series: str | None = None, *, frames: int = 1, side: int = 16, syntax: str | None = None,
    **changes: Any,
) -> bytes:  # fmt: skip
    """A grey image; each frame has values of its own. syntax: uncompressed, RLE, JPEG or JPEG 2000."""
    syntax = syntax or ExplicitVRLittleEndian
    made = described(CTImageStorage, "CT", study, series)
    if frames > 1:
        made.SOPClassUID, made.NumberOfFrames = MultiFrameGrayscaleByteSecondaryCaptureImageStorage, str(frames)
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows = made.Columns = side
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    plain = [pixels(number, side) for number in range(1, frames + 1)]
    packed = [_packed(each, side, syntax) for each in plain]
    made.PixelData = b"".join(packed) if syntax == ExplicitVRLittleEndian else encapsulate(packed)
    made["PixelData"].VR = "OB"
    for name, value in changes.items():
        setattr(made, name, value)
    return written(made, syntax)


def pixels(number: int, side: int = 16) -> bytes:
    """The plain pixels of frame `number`."""
    return bytes((number * 16 + place) % 256 for place in range(side * side))


def _packed(plain: bytes, side: int, syntax: str) -> bytes:
    if syntax == ExplicitVRLittleEndian:
        return plain
    grey = np.frombuffer(plain, np.uint8).reshape(side, side)
    if syntax == RLELossless:
        packed: bytes = RLELosslessEncoder.encode(
            grey, rows=side, columns=side, samples_per_pixel=1, bits_allocated=8, bits_stored=8, number_of_frames=1,
            pixel_representation=0, photometric_interpretation="MONOCHROME2", encoding_plugin="pydicom",
        )  # fmt: skip
        return packed
    file = io.BytesIO()
    options: dict[str, Any] = {"no_jp2": True} if syntax == JPEG2000Lossless else {}
    Picture.fromarray(grey).save(file, {JPEGBaseline8Bit: "JPEG", JPEG2000Lossless: "JPEG2000"}[syntax], **options)
    return file.getvalue()


def uids(file: bytes) -> tuple[str, str, str]:
    """Study, series and instance of a file."""
    from pydicom import dcmread

    read = dcmread(io.BytesIO(file))
    return str(read.StudyInstanceUID), str(read.SeriesInstanceUID), str(read.SOPInstanceUID)


def manifest(*files: bytes, study: str | None = None) -> bytes:
    """A manifest of key images that points to the instances of these files."""
    made = described(KeyObjectSelectionDocumentStorage, "KO", study or uids(files[0])[0])
    made.CurrentRequestedProcedureEvidenceSequence = [_evidence(*uids(each)) for each in files]
    return written(made)


def _evidence(study: str, series: str, instance: str) -> Dataset:
    one, within, of = Dataset(), Dataset(), Dataset()
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = CTImageStorage, instance
    within.SeriesInstanceUID, within.ReferencedSOPSequence = series, [one]
    of.StudyInstanceUID, of.ReferencedSeriesSequence = study, [within]
    return of


def structured_report(words: str, study: str | None = None) -> bytes:
    """A structured report that says these words, about a person who is named."""
    made = described("1.2.840.10008.5.1.4.1.1.88.11", "SR", study)
    made.ValueType = "CONTAINER"
    said, named = Dataset(), Dataset()
    said.ValueType, said.TextValue, said.ConceptNameCodeSequence = "TEXT", words, [_code("Befund")]
    named.ValueType, named.PersonName, named.ConceptNameCodeSequence = "PNAME", SECRETS[4], [_code("Beobachter")]
    made.ContentSequence = [said, named]
    return written(made)


def _code(meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = "1", "99TEST", meaning
    return made
