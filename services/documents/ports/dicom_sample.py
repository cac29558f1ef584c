"""A small DICOM object of each kind that pictures are made of, so that the codecs are loaded before they are needed."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Picture
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless, SecondaryCaptureImageStorage

_SIDE = 16


def sample(syntax: UID) -> bytes:
    """One grey frame of 16 x 16 in this transfer syntax, as a file."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.1", "1.2.2"
    made.SpecificCharacterSet, made.PatientName, made.StudyDescription = "ISO_IR 192", "X^X", "é"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows = made.Columns = _SIDE
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation, made.WindowCenter, made.WindowWidth = 7, 0, "128", "256"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    pixels = np.arange(_SIDE * _SIDE, dtype=np.uint8).reshape(_SIDE, _SIDE)
    made.PixelData = encapsulate([_packed(pixels, syntax, made)]) if syntax.is_encapsulated else pixels.tobytes()
    made["PixelData"].VR = "OB"
    written = io.BytesIO()
    made.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _packed(pixels: np.ndarray, syntax: UID, made: Dataset) -> bytes:
    if syntax == RLELossless:
        return RLELosslessEncoder.encode(
            pixels, rows=_SIDE, columns=_SIDE, samples_per_pixel=1, bits_allocated=8, bits_stored=8,
            pixel_representation=0, photometric_interpretation="MONOCHROME2", number_of_frames=1,
            encoding_plugin="pydicom",
        )  # fmt: skip
    kinds = {JPEGBaseline8Bit: ("JPEG", {}), JPEG2000Lossless: ("JPEG2000", {"no_jp2": True})}
    name, options = kinds[syntax]
    written = io.BytesIO()
    Picture.fromarray(pixels).save(written, name, **options)
    return written.getvalue()
