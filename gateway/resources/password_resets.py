"""The forgotten password: the form that asks for a link, the page the link leads to, and what that page sends.

The link's token stands behind the #, so no server sees it before its owner saves; the page's one script is named in
its policy by digest, loads nothing and talks to this gateway alone.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g

from gateway.caller import ask
from gateway.errors import catalogue
from gateway.operations import operation
from gateway.schemas import account as shapes

password_resets = APIBlueprint("password_resets", __name__, url_prefix="/password-resets")
reset_page = APIBlueprint("password_reset_page", __name__, enable_openapi=False)

PAGES = Path(__file__).parent.parent / "pages"


@operation(
    password_resets, "POST", "", summary="Ask for a link to choose a new password", answer=shapes.ResetRequested,
    status=202, body=shapes.ResetRequest, token=False, refuses=("too_many_tries",),
)  # fmt: skip
def request_password_reset(body: dict[str, Any]) -> Any:
    """It is mailed when the address is a proved one of this person's account. The answer is the same in any case."""
    return ask("identity", "request_password_reset", **body)


@operation(
    password_resets, "POST", "/<uuid:reset_id>", summary="Choose a new password", answer=shapes.PasswordResetDone,
    body=shapes.PasswordReset, token=False,
    refuses=(
        "password_reset_refused", "too_many_tries", "password_too_short", "password_too_long", "password_too_common",
    ),
)  # fmt: skip
def reset_password(reset_id: str, body: dict[str, Any]) -> Any:
    """With the link of the mail, once. All sessions end; the mailbox alone does not open the account afterwards."""
    return ask("identity", "reset_password", reset_id=reset_id, **body)


@reset_page.get("/password-reset")
def read_reset_page() -> Response:
    """The page a link leads to, in the reader's language."""
    language = g.context.locale
    page, policy = _page(language)
    headers = {"Content-Security-Policy": policy, "Content-Language": language, "Vary": "Accept-Language"}
    return Response(page, content_type="text/html; charset=utf-8", headers=headers)


@cache
def _page(language: str) -> tuple[str, str]:
    """The page in one language and its policy."""
    parts = {kind: (PAGES / f"password_reset.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")}
    words = catalogue(language)["password_reset"]
    told = {name: escape(text) for name, text in {**words, **words["ways"]}.items() if isinstance(text, str)}
    policy = (
        f"default-src 'none'; script-src '{_digest(parts['js'])}'; style-src '{_digest(parts['css'])}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return parts["html"].format(language=language, style=parts["css"], script=parts["js"], **told), policy


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
