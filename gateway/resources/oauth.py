"""OAuth 2 for business software: tokens, introspection, revocation, and the documents that say where they are."""

from __future__ import annotations

import json
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g

from gateway.caller import LOCALES, ask
from gateway.forms import read_form
from gateway.operations import JSON, operation
from gateway.schemas import machines as shapes
from services.identity.contract import ASSERTION_ALGORITHMS, SCOPES, TOKEN_PATH, TokenRefused
from services.settings import load

oauth = APIBlueprint("oauth", __name__, url_prefix="/oauth")
well_known = APIBlueprint("well_known", __name__)

AUTHENTICATION = ("client_assertion", "client_assertion_type", "client_id")
REQUEST = ("grant_type", "scope", "on_behalf_of", "purpose_of_use")
BY_ASSERTION: dict[str, Any] = {
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
}
REVOKED = {JSON: {"schema": {"type": "object"}, "example": {"active": False}}}
REFUSALS: dict[int, dict[str, Any]] = {
    status: {
        "description": f"Refused in the words of RFC 6749: {words}.",
        "content": {JSON: {"schema": {"type": "object"}, "example": {"error": example, "error_description": "…"}}},
    }
    for status, words, example in (
        (400, "`invalid_request`, `unsupported_grant_type`, `unauthorized_client`, `invalid_grant`, `invalid_scope`",
         "invalid_scope"),
        (401, "`invalid_client`", "invalid_client"),
    )
}  # fmt: skip


def _answered(method: str, known: tuple[str, ...]) -> Any:
    """identity's answer to a form; a refusal as RFC 6749 5.2 wants it."""
    try:
        return ask("identity", method, **read_form((*known, *AUTHENTICATION)))
    except TokenRefused as refusal:
        g.code = refusal.detail["error"]
        body = {"error": refusal.detail["error"], "error_description": refusal.detail["description"]}
        return _json(body, 401 if body["error"] == "invalid_client" else 400)


def _json(body: Any, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(json.dumps(body, separators=(",", ":")), status, headers, content_type=JSON)


@operation(
    oauth, "POST", "/token", summary="Get a token for business software", answer=shapes.MachineToken, token=False,
    request_body=shapes.TOKEN_FORM, refuses=("too_many_tries", "body_too_large"), also=REFUSALS,
)  # fmt: skip
def issue_token() -> Any:
    """Client credentials with `private_key_jwt`, for the software itself or on behalf of a professional (RFC 6749)."""
    return _answered("issue_token", REQUEST)


@operation(
    oauth, "POST", "/introspect", summary="Ask what a token is worth", answer=shapes.Introspection, token=False,
    request_body=shapes.OWN_TOKEN_FORM, refuses=("too_many_tries", "body_too_large"), also=REFUSALS,
)  # fmt: skip
def introspect_token() -> Any:
    """RFC 7662; a client sees its own tokens only."""
    return _answered("introspect_token", ("token",))


@operation(
    oauth, "POST", "/revoke", summary="End a token", answer=REVOKED,
    token=False, request_body=shapes.OWN_TOKEN_FORM, refuses=("too_many_tries", "body_too_large"), also=REFUSALS,
)  # fmt: skip
def revoke_token() -> Any:
    """RFC 7009; the token is worth nothing anywhere within moments. Unknown ones are over already: the same answer."""
    return _answered("revoke_token", ("token",))


# --- where all this is ------------------------------------------------------------------------------------------------


def metadata() -> dict[str, Any]:
    """The addresses of this authorization server and what it can do."""
    issuer = load().public_url.rstrip("/")
    here = issuer + TOKEN_PATH.removesuffix("/token")
    others = {name.replace("token_endpoint", f"{kind}_endpoint"): value
              for kind in ("introspection", "revocation") for name, value in BY_ASSERTION.items()}  # fmt: skip
    return {
        "issuer": issuer, "token_endpoint": f"{here}/token", "introspection_endpoint": f"{here}/introspect",
        "revocation_endpoint": f"{here}/revoke", "jwks_uri": f"{issuer}/api/v1/jwks.json",
        "service_documentation": f"{issuer}/api/v1/docs", "grant_types_supported": ["client_credentials"],
        "response_types_supported": [], "scopes_supported": list(SCOPES), "ui_locales_supported": list(LOCALES),
        **BY_ASSERTION, **others,
    }  # fmt: skip


def _published(body: dict[str, Any]) -> Response:
    response = _json(body)
    response.headers["Cache-Control"] = "public, max-age=3600"
    del response.headers["Pragma"]
    return response


@operation(
    well_known, "GET", "/.well-known/oauth-authorization-server", summary="Find the OAuth endpoints",
    answer=shapes.OAuthMetadata, token=False,
)  # fmt: skip
def read_oauth_metadata() -> Any:
    """Authorization server metadata (RFC 8414)."""
    return _published(metadata())


def smart_configuration() -> Response:
    """The same for a SMART backend service; code_challenge_methods_supported is required there, whoever uses it."""
    more = {"capabilities": ["client-confidential-asymmetric", "permission-v2"],
            "code_challenge_methods_supported": ["S256"]}  # fmt: skip
    return _published(metadata() | more)


@operation(
    well_known, "GET", "/.well-known/smart-configuration", summary="Find the SMART endpoints",
    answer=shapes.SmartConfiguration, token=False,
)  # fmt: skip
def read_smart_configuration() -> Any:
    """SMART App Launch 2 discovery, for backend services."""
    return smart_configuration()


@operation(
    well_known, "GET", "/fhir/.well-known/smart-configuration", summary="Find the SMART endpoints of /fhir",
    answer=shapes.SmartConfiguration, token=False,
)  # fmt: skip
def read_fhir_smart_configuration() -> Any:
    """The same document, where SMART looks for it: below the base address of the FHIR interface."""
    return smart_configuration()
