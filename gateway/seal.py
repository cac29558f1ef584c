"""The electronic seal under the sheets that the platform makes: any PDF reader shows whether one was changed since.

The seal's key and certificate are a setting (PKCS #12, in base64, without a password): a certificate of the institution
that readers trust in production, one that nobody knows in a local stack.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates
from cryptography.x509 import Certificate
from fpdf import FPDF
from fpdf.annotations import PDFAnnotation
from fpdf.sign import Signature
from fpdf.syntax import PDFDate, PDFString

from services.settings import load

# What fpdf2 leaves open in a sheet that is to be signed [ISO 32000-1, 12.8.1].
_RANGE = re.compile(rb"/ByteRange (\[0{10} 0{10} 0{10} 0{10}\])")
_CONTENTS = re.compile(rb"/Contents (<0{1000,}>)")
_DETACHED = (PKCS7Options.DetachedSignature, PKCS7Options.Binary, PKCS7Options.NoCapabilities)


@dataclass(frozen=True)
class Seal:
    """A key with its certificate, and those above it."""

    key: EllipticCurvePrivateKey | RSAPrivateKey
    certificate: Certificate
    above: tuple[Certificate, ...] = ()

    def sign(self, data: bytes) -> bytes:
        """The signature over bytes, as CMS without them (RFC 5652)."""
        builder = PKCS7SignatureBuilder().set_data(data).add_signer(self.certificate, self.key, SHA256())
        for certificate in self.above:
            builder = builder.add_certificate(certificate)
        return builder.sign(Encoding.DER, list(_DETACHED))


@cache
def seal() -> Seal | None:
    """This platform's seal; None where it has none."""
    text = load().seal
    return seal_of(b64decode(text)) if text else None


def seal_of(pkcs12: bytes) -> Seal:
    """The seal in a PKCS #12. Raises ValueError when there is none in it."""
    key, certificate, above = load_key_and_certificates(pkcs12, None)
    if certificate is None or not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey):
        raise ValueError("the seal needs a certificate and its key, ECDSA or RSA")
    return Seal(key, certificate, tuple(above))


def make_room(sheet: FPDF, reason: str) -> None:
    """Has a sheet carry a seal, which `sealed` puts under it; to be called while its last page is written."""
    value = Signature(reason=PDFString(reason), m=PDFDate(datetime.now(UTC), with_tz=True))
    field = PDFAnnotation("Widget", field_type="Sig", x=0, y=0, width=0, height=0, flags=("PRINT", "LOCKED"),
                          title="seal", value=value)  # fmt: skip
    sheet.pages[sheet.page].add_annotation(field)


def sealed(sheet: bytes, by: Seal) -> bytes:
    """A finished sheet with the seal in the room that was made for it; all its bytes but the seal's are under it."""
    ranges, contents = _RANGE.search(sheet), _CONTENTS.search(sheet)
    if ranges is None or contents is None:
        raise ValueError("there is no room for a seal")
    start, end = contents.span(1)
    under = "[%010d %010d %010d %010d]" % (0, start, end, len(sheet) - end)  # noqa: UP031 (of one width, as the room)
    before = sheet[: ranges.start(1)] + under.encode() + sheet[ranges.end(1) : start]
    made = by.sign(before + sheet[end:]).hex().encode()
    return before + b"<" + made.ljust(end - start - 2, b"0") + b">" + sheet[end:]
