"""LuxTrust: setting out, coming back, and the account's products.

Whoever sets out gets a cookie of ten minutes that is sent to the way back alone; LuxTrust's answer counts only in the
browser that has it. The way back is the one page of the platform that another site's link may open.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from html import escape
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g, request

from gateway.caller import ask
from gateway.errors import STATUS, catalogue
from gateway.operations import JSON, operation
from gateway.schemas import factors as shapes
from gateway.schemas.sessions import Tokens
from services.refusals import InvalidInput, Refusal
from services.settings import load

luxtrust = APIBlueprint("luxtrust", __name__)
way_back = APIBlueprint("luxtrust_way_back", __name__, enable_openapi=False)

CALLBACK = "/luxtrust/callback"
COOKIE_SECONDS = 600
PATIENCE = 15.0  # seconds: LuxTrust is asked twice on the way back
_PROOF = "Activation-Token"

PAGE = """<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
</head><body><h1>{title}</h1><p>{text}</p><p><a href="{link}">{back}</a></p></body>
</html>
"""
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


# --- setting out ----------------------------------------------------------------------------------------------------


@operation(
    luxtrust, "POST", "/sessions/luxtrust", summary="Begin a log-in with LuxTrust", answer=shapes.LuxTrustLogInBegun,
    status=201, token=False, refuses=("too_many_tries",), headers=("Set-Cookie",),
)  # fmt: skip
def start_luxtrust_log_in() -> Any:
    """The address of LuxTrust's page, and a token with which the log-in is finished once the person is back."""
    return _set_out(ask("identity", "start_luxtrust_log_in"))


@operation(
    luxtrust, "POST", "/sessions/luxtrust/<uuid:flow_id>", summary="Finish a log-in with LuxTrust", answer=Tokens,
    status=201, body=shapes.LuxTrustFinish, token=False,
    refuses=("luxtrust_pending", "log_in_refused", "conditions_due", "account_locked", "licence_not_valid"),
)  # fmt: skip
def finish_luxtrust_log_in(flow_id: str, body: dict[str, Any]) -> Any:
    """The capacity chosen. `luxtrust_pending` until the person is back; a wrong choice leaves the journey good."""
    return ask("identity", "finish_luxtrust_log_in", flow_id=flow_id, **body)


@operation(
    luxtrust, "POST", "/activations/<uuid:activation_id>/luxtrust", summary="Show a LuxTrust product",
    answer=shapes.LuxTrustJourney, status=201, token=False, security="activation", headers=("Set-Cookie",),
    refuses=("activation_not_found", "activation_complete", "step_out_of_order", "too_many_tries", "invalid_input"),
)  # fmt: skip
def start_luxtrust_activation(activation_id: str) -> Any:
    """The step of a professional's activation; it is done when the person is back from LuxTrust."""
    token = request.headers.get(_PROOF, "")
    if not token or len(token) > 512:
        raise InvalidInput(errors=[{"pointer": f"/{_PROOF}", "message": "required"}])
    return _set_out(ask("identity", "start_luxtrust_activation", activation_id=activation_id, activation_token=token))


@operation(
    luxtrust, "POST", "/account/luxtrust", summary="Add a LuxTrust product", answer=shapes.LuxTrustJourney,
    status=201, refuses=("reauthentication_due", "too_many_tries"), headers=("Set-Cookie",),
)  # fmt: skip
def start_luxtrust_link() -> Any:
    """The product opens the account once the person is back from LuxTrust; a product of another account does not."""
    return _set_out(ask("identity", "start_luxtrust_link"))


@operation(
    luxtrust, "DELETE", "/account/luxtrust/<uuid:product_id>", summary="Remove a LuxTrust product", status=204,
    refuses=("reauthentication_due", "luxtrust_not_found"),
)  # fmt: skip
def unlink_luxtrust(product_id: str) -> Any:
    """It opens the account no more; the owner is told."""
    ask("identity", "unlink_luxtrust", product_id=product_id)


def _set_out(journey: dict[str, Any]) -> Response:
    """The answer, with the binding in a cookie where no script reads it; Lax: LuxTrust's link brings it back."""
    binding = journey.pop("binding")
    response = Response(json.dumps(journey, separators=(",", ":")), 201, content_type=JSON)
    response.set_cookie(_cookie(journey["flow_id"]), binding, max_age=COOKIE_SECONDS, **_cookie_terms())
    return response


def _cookie(flow_id: str) -> str:
    return f"opendsp_luxtrust_{flow_id}"


def _cookie_terms() -> Any:
    secure = load().public_url.startswith("https:")
    return {"path": CALLBACK, "httponly": True, "samesite": "Lax", "secure": secure}


# --- coming back ----------------------------------------------------------------------------------------------------


@way_back.get(CALLBACK)
def come_back() -> Response:
    """Takes somebody back from LuxTrust and says in their language how to go on; a page without a script."""
    given = {name: request.args.get(name, "")[:4096] or None for name in ("state", "code", "error")}
    flow_id = (given["state"] or "").partition(".")[0]
    g.context = replace(g.context, deadline=time.time() + PATIENCE)
    try:
        told = ask("identity", "luxtrust_returned", binding=request.cookies.get(_cookie(flow_id)), **given)
    except Refusal as refusal:
        return _page(refusal.code, STATUS.get(refusal.code, 400))
    response = _page(told["outcome"], 200, told["flow_id"])
    response.delete_cookie(_cookie(told["flow_id"]), **_cookie_terms())
    return response


def _page(outcome: str, status: int, flow_id: str = "") -> Response:
    words = catalogue(g.context.locale)["luxtrust"]
    front = (load().portal_url or load().public_url).rstrip("/")
    page = PAGE.format(
        language=g.context.locale, title=escape(words["title"]), text=escape(words.get(outcome) or words["refused"]),
        back=escape(words["back"]), link=escape(f"{front}/#luxtrust={flow_id}" if flow_id else f"{front}/"),
    )  # fmt: skip
    headers = {"Content-Security-Policy": POLICY, "Content-Language": g.context.locale, "Vary": "Accept-Language",
               "Cache-Control": "no-store"}  # fmt: skip
    return Response(page, status, headers, content_type="text/html; charset=utf-8")
