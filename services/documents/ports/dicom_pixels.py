"""The pixels of a DICOM object: where each frame lies in the file, and pictures of them for people to look at.

Runs in the sandboxed child alone: what is decoded here was made by somebody else.
"""

from __future__ import annotations

import errno
import io
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image as Picture
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from services.documents.contract_imaging import RENDERED_FRAMES
from services.documents.ports.dicom_source import Source
from services.documents.rules_findings import NotPassed, Rendition

FRAME_PIXELS = 200_000_000
"""A frame with more is a flood, as in the gateway's look at pictures."""
ALL_PIXELS = 16_000_000_000
"""So are frames with more together, whatever they were squeezed into."""
RENDERED_PIXELS = 40_000_000
"""A frame with more is kept, but no picture is made of it: the memory of the child has an end."""
RENDERING_TIME = 10.0  # seconds of the processor; what is not done by then stays without a picture
PICTURES = 40 * 1024 * 1024  # bytes of all of them: what comes back from the child has an end
FRAMES = 100_000
"""The place of each is written down for so many; an object of more is read as a whole."""
THUMBNAIL = (256, 256)

_NATIVE_LENGTHS = {"YBR_FULL_422": 2}  # samples of a pixel as stored, where they are not SamplesPerPixel
_PACKED = (JPEGBaseline8Bit, JPEG2000Lossless, JPEG2000, RLELossless)
_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51")  # of a JPEG and of a JPEG 2000 stream
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_FIELDS = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation",
)  # fmt: skip

Frames = tuple[tuple[int, ...], ...]


# --- where they are ---------------------------------------------------------------------------------------------------


def locate(source: Source, at: int, found: Dataset, syntax: UID) -> Frames:
    """Offset and length in the file of each frame, whose parts stand one after the other: offset, length, offset, …

    at: where the element of the pixels begins; at the end of the file there are none. Frames that cannot be told apart
    are none too: the object is then read as a whole.

    Raises NotPassed: broken, too_many_pixels.
    """
    if at >= source.size:
        return ()
    frames, pixels = _numbers(found)
    if pixels > FRAME_PIXELS or pixels * frames > ALL_PIXELS:
        raise NotPassed("too_many_pixels")
    begin, length = _value(source, at, syntax)
    if length == 0xFFFFFFFF:
        return _encapsulated(source, begin, frames)
    if begin + length > source.size or syntax.is_encapsulated:
        raise NotPassed("broken")
    samples = _NATIVE_LENGTHS.get(str(found.get("PhotometricInterpretation")), int(found.get("SamplesPerPixel") or 1))
    bits = pixels * samples * int(found.get("BitsAllocated") or 8)
    if -(-bits * frames // 8) > length:
        raise NotPassed("broken")
    if (bits % 8 and frames > 1) or frames > FRAMES:
        return ()  # frames that begin in the middle of a byte, or too many to be listed
    each = -(-bits // 8)
    return tuple((begin + number * each, each) for number in range(frames))


def _numbers(found: Dataset) -> tuple[int, int]:
    """How many frames there are, and the pixels of one."""
    try:
        frames, pixels = int(found.get("NumberOfFrames") or 1), int(found["Rows"].value) * int(found["Columns"].value)
    except (KeyError, TypeError, ValueError):
        raise NotPassed("broken") from None
    if frames < 1 or pixels < 1:
        raise NotPassed("broken")
    return frames, pixels


def _value(source: Source, at: int, syntax: UID) -> tuple[int, int]:
    """Where the value of the element begins, and its length as written."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    header = 8 if syntax == ImplicitVRLittleEndian else 12
    if at + header > source.size:
        raise NotPassed("broken")
    return at + header, int(struct.unpack(order + "I", source.part(at + header - 4, 4))[0])


def _encapsulated(source: Source, begin: int, frames: int) -> Frames:
    items = list(_items(source, begin))
    if not items or len(items) <= frames:
        raise NotPassed("broken")
    (table_at, table_length), fragments = items[0], items[1:]
    if len(fragments) > FRAMES:
        return ()
    if len(fragments) == frames:
        return tuple(fragments)
    if frames == 1:
        return (sum(fragments, ()),)
    starts = _starts(source, table_at, table_length, fragments)
    if len(starts) != frames or starts[0] != 0:
        return ()
    return tuple(
        sum(fragments[start:end], ()) for start, end in zip(starts, [*starts[1:], len(fragments)], strict=True)
    )


def _items(source: Source, at: int) -> Iterator[tuple[int, int]]:
    """Offset and length of each item, the table of offsets first. Raises NotPassed where the end does not come."""
    while at + 8 <= source.size:
        head = source.part(at, 8)
        tag, (length,) = head[:4], struct.unpack("<I", head[4:])
        at += 8
        if tag == _END:
            return
        if tag != _ITEM or at + length > source.size:
            raise NotPassed("broken")
        yield at, length
        at += length
    raise NotPassed("broken")


def _starts(source: Source, at: int, length: int, fragments: list[tuple[int, int]]) -> list[int]:
    """Which fragments begin a frame: by the table of offsets, or by how such a stream begins."""
    if length and length % 4 == 0:
        by_offset = {fragment[0] - 8 - (at + length): number for number, fragment in enumerate(fragments)}
        told = struct.unpack(f"<{length // 4}I", source.part(at, length))
        return [by_offset[offset] for offset in told] if all(offset in by_offset for offset in told) else []
    return [
        number for number, (offset, _) in enumerate(fragments)
        if source.part(offset, 4).startswith(_STARTS)
    ]  # fmt: skip


# --- how they look ----------------------------------------------------------------------------------------------------


def pictures(source: Source, frames: Frames, found: Dataset, syntax: UID) -> Iterator[Rendition]:
    """A thumbnail and the first frames as JPEG, where the codec is one of ours and the pixels can be shown.

    A frame that cannot be opened has no picture; the others have theirs. Raises NotPassed (too_many_pixels) for a
    stream that says it is larger than its object.
    """
    pixels = _numbers(found)[1] if frames else 0
    if not frames or pixels > RENDERED_PIXELS or (syntax.is_encapsulated and syntax not in _PACKED):
        return
    over, made = time.process_time() + RENDERING_TIME, 0
    for number, parts in enumerate(frames[:RENDERED_FRAMES], start=1):
        if time.process_time() > over or made > PICTURES:
            return
        data = b"".join(source.part(at, length) for at, length in zip(parts[::2], parts[1::2], strict=True))
        _require_size(data, found, syntax)
        try:
            picture = _picture(data, found, syntax)
        except (ImportError, MemoryError):
            raise
        except Exception as broken:  # the decoders raise whatever they like: it stays without a picture
            if getattr(broken, "errno", 0) == errno.EMFILE:
                raise
            continue
        if number == 1:
            small = picture.copy()
            small.thumbnail(THUMBNAIL)
            yield Rendition("thumbnail", "image/jpeg", _jpeg(small))
        shown = _jpeg(picture)
        made += len(shown)
        yield Rendition("frame", "image/jpeg", shown, number)


def _require_size(data: bytes, found: Dataset, syntax: UID) -> None:
    """What a compressed stream says of its own size counts, before anything is opened."""
    if syntax not in _PACKED or syntax == RLELossless:
        return
    try:
        width, height = Picture.open(io.BytesIO(data)).size
    except Picture.DecompressionBombError:
        raise NotPassed("too_many_pixels") from None
    except Exception:  # not readable: then no picture comes of it either
        return
    if width * height > max(RENDERED_PIXELS, int(found.Rows) * int(found.Columns)):
        raise NotPassed("too_many_pixels")


def _picture(data: bytes, found: Dataset, syntax: UID) -> Picture.Image:
    colours = str(found.get("PhotometricInterpretation"))
    values = pixel_array(_one(data, found, syntax))
    if colours == "PALETTE COLOR":
        coloured = apply_color_lut(values, found)
        return Picture.fromarray((coloured >> 8 if coloured.dtype.itemsize == 2 else coloured).astype(np.uint8))
    if values.ndim == 3:
        spare = max(0, int(found.BitsStored) - 8)
        return Picture.fromarray((values >> spare).astype(np.uint8))
    shown = _windowed(values, found)
    return Picture.fromarray(255 - shown if colours == "MONOCHROME1" else shown)


def _one(data: bytes, found: Dataset, syntax: UID) -> Dataset:
    """An object of this one frame."""
    one = Dataset()
    for name in _FIELDS:
        if name in found:
            setattr(one, name, found[name].value)
    one.NumberOfFrames = 1
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = syntax
    one.PixelData = encapsulate([data]) if syntax.is_encapsulated else data
    one["PixelData"].VR = "OB" if syntax.is_encapsulated or int(found.BitsAllocated) <= 8 else "OW"
    return one


def _windowed(values: Any, found: Dataset) -> Any:
    """Grey values as bytes: through the object's own window, or from the darkest to the brightest."""
    measured = apply_modality_lut(values, found)
    if found.get("VOILUTSequence"):
        measured = apply_voi_lut(measured, found)
        window = None
    else:
        window = _window(found)
    measured = measured.astype(np.float32)
    low, high = window or (float(measured.min()), float(measured.max()))
    scaled = (measured - low) * (255.0 / max(high - low, 1e-6))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _window(found: Dataset) -> tuple[float, float] | None:
    """From which value to which (PS3.3 C.11.2.1.2), as the object says, or as it says for all its frames."""
    for told in (found, *_shared(found)):
        try:
            centre, width = (_first(told[name].value) for name in ("WindowCenter", "WindowWidth"))
        except (KeyError, TypeError, ValueError, IndexError):
            continue
        if width >= 1:
            return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return None


def _shared(found: Dataset) -> Iterator[Dataset]:
    for group in found.get("SharedFunctionalGroupsSequence") or ():
        yield from group.get("FrameVOILUTSequence") or ()


def _first(value: Any) -> float:
    return float(value if isinstance(value, str | int | float) else value[0])


def _jpeg(picture: Picture.Image) -> bytes:
    written = io.BytesIO()
    picture.convert("RGB" if picture.mode not in ("L", "RGB") else picture.mode).save(written, "JPEG", quality=88)
    return written.getvalue()
