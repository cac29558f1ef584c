"""PNG and JPEG: decoded in full once, measured before; shown as pictures made anew, without what a camera added."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin

from services.documents.contract import PICTURE_PIXELS
from services.documents.rules_findings import Findings, NotPassed, Rendition
from services.sealing import Buffer

THUMBNAIL = (320, 320)
PAGE = (1600, 1600)
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}
_PNG_TEXT = 1024 * 1024

Image.MAX_IMAGE_PIXELS = None  # counted here, before anything is decoded
ImageFile.LOAD_TRUNCATED_IMAGES = False
# compressed texts and colour profiles inside a PNG inflate too
PngImagePlugin.MAX_TEXT_CHUNK = _PNG_TEXT
PngImagePlugin.MAX_TEXT_MEMORY = 4 * _PNG_TEXT
assert JpegImagePlugin


def examine(data: Buffer, media_type: str, facts: dict[str, object]) -> Findings:
    """A thumbnail and a page. Raises NotPassed: too_many_pixels, wrong_kind, broken."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            warnings.simplefilter("ignore")
            if picture.format != _FORMATS.get(media_type):
                raise NotPassed("wrong_kind")
            if picture.width * picture.height > PICTURE_PIXELS:
                raise NotPassed("too_many_pixels")
            picture.load()
            shown = ImageOps.exif_transpose(picture)
            flat = _flat(shown)
            return Findings(renditions=(page(flat), thumbnail(flat)))
    except (OSError, SyntaxError, ValueError, EOFError) as broken:
        if isinstance(broken, ValueError) and "MAX_TEXT" in str(broken).upper():
            raise NotPassed("too_large_inside") from None
        raise NotPassed("broken") from None


def page(picture: Image.Image) -> Rendition:
    """What is shown of a picture, or of the first page of anything else."""
    return Rendition("page", "image/jpeg", _jpeg(_within(picture, PAGE), 82))


def thumbnail(picture: Image.Image) -> Rendition:
    """The same for a list."""
    return Rendition("thumbnail", "image/jpeg", _jpeg(_within(picture, THUMBNAIL), 75))


def _within(picture: Image.Image, most: tuple[int, int]) -> Image.Image:
    if picture.width <= most[0] and picture.height <= most[1]:
        return picture
    small = picture.copy() if picture.width * picture.height < 4_000_000 else picture.reduce(2)
    small.thumbnail(most, Image.Resampling.BILINEAR, reducing_gap=1.5)
    return small


def _flat(picture: Image.Image) -> Image.Image:
    """On white, in eight bits a colour."""
    if picture.mode in ("L", "RGB"):
        return picture
    if picture.mode.startswith("I;16"):
        return picture.point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        ground = Image.new("RGB", picture.size, "white")
        whole = picture.convert("RGBA")
        ground.paste(whole, mask=whole.getchannel("A"))
        return ground
    return picture.convert("RGB")


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def warm_up() -> None:
    """Has the readers and writers of both kinds loaded."""
    for kind in ("PNG", "JPEG"):
        out = io.BytesIO()
        Image.new("RGB", (8, 8)).save(out, kind)
        examine(out.getvalue(), f"image/{kind.lower()}", {})
