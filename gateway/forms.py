"""The forms of OAuth: `application/x-www-form-urlencoded`, each parameter once (RFC 6749 3.2), read from the stream.

Flask's own reading of forms is not used: it spools to the temporary folder what is large.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import request

from gateway.operations import bounded_body
from services.identity.contract import TokenRefused

FORM = "application/x-www-form-urlencoded"
LIMIT = 32 * 1024
_FIELDS = 32


def read_form(known: tuple[str, ...]) -> dict[str, str]:
    """The parameters of these names; others are not looked at, and one without a value counts as not sent.

    Refuses: unsupported_media_type, body_too_large, upload_truncated; TokenRefused for what is no such form, and for
    a second way of client authentication.
    """
    raw = bounded_body(FORM, LIMIT, broken="upload_truncated")
    try:
        pairs = parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise TokenRefused(error="invalid_request", description="The body is no form.") from None
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise TokenRefused(error="invalid_request", description="A parameter is there more than once.")
    if "client_secret" in names or "Authorization" in request.headers:
        raise TokenRefused(error="invalid_request", description="Clients authenticate with client_assertion alone.")
    return {name: value for name, value in pairs if name in known}
