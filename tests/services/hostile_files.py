"""Files that were made to do harm, and the plain ones beside them."""

from __future__ import annotations

import gzip
import io
import zlib

from pypdf import PdfReader, PdfWriter

from tests.builders import pdf, png

HL7 = 'xmlns="urn:hl7-org:v3"'


def locked_pdf(opens_with: str = "word") -> bytes:
    """A real PDF that opens with a password; with an empty one everybody opens it, and it is locked all the same."""
    writer = PdfWriter(PdfReader(io.BytesIO(pdf())))
    writer.encrypt(opens_with, owner_password="owner")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def squeezed(size: int, word: bytes = b" ") -> bytes:
    """So many bytes of nothing much, deflated."""
    deflate = zlib.compressobj(9)
    block = word * (1024 * 1024 // len(word))
    made = b"".join(deflate.compress(block) for _ in range(size // len(block)))
    return made + deflate.flush()


def pdf_of(content: bytes, filters: str = "/FlateDecode", pages: int = 1, box: str = "0 0 595 842") -> bytes:
    """A one-page PDF whose page is this stream; pages: how often it says that it has it."""
    kids = " ".join(["3 0 R"] * pages)
    return assembled([
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R >>".encode(),
        b"<< /Length %d /Filter [%s] >>\nstream\n%b\nendstream" % (len(content), filters.encode(), content),
    ])  # fmt: skip


def assembled(objects: list[bytes]) -> bytes:
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, xref)
    return bytes(out)


def png_claiming(width: int, height: int) -> bytes:
    """A small PNG whose header claims another size."""
    real = png()
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + real[24:29]
    return real[:12] + header + zlib.crc32(header).to_bytes(4, "big") + real[33:]


def png_with_text(size: int) -> bytes:
    """A PNG with a compressed text that inflates to `size`."""
    real, body = png(), b"zTXt" + b"Comment\0\0" + squeezed(size)
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return real[:33] + chunk + real[33:]


def cda(narrative: str = "Patient en bonne santé", prologue: str = "") -> bytes:
    """A small CDA document that says something."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{prologue}<ClinicalDocument {HL7}><component><structuredBody>'
        f"<component><section><title>Anamnèse</title><text>{narrative}</text></section></component>"
        f"</structuredBody></component></ClinicalDocument>"
    ).encode()


LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/hostname">]>'


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data)
