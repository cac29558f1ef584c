"""Shapes of business software: clients of organisations, attestation, tokens, and what is published about them."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from gateway.forms import FORM
from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Moment, Number, Part, Secret, Text
from services.identity.contract import ASSERTION_TYPE, CLIENT_STATES, PURPOSES_OF_USE, SCOPES

ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
OTHER_ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"
TIME = "2026-11-21T09:30:00.000000Z"
PUBLIC_KEY = {
    "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "2026-11",
}  # fmt: skip
ASSERTION = "eyJhbGciOiJFUzM4NCIsImtpZCI6IjIwMjYtMTEifQ.…"


# --- organisations and their software ---------------------------------------------------------------------------------


class ManagerNamed(Shape):
    professional_id = Id("Somebody who works at this organisation.", required=True)
    example: ClassVar = {"professional_id": ID}


class Manager(Shape):
    establishment_id = Id()
    professional_id = Id()
    example: ClassVar = {"establishment_id": OTHER_ID, "professional_id": ID}


class Keys(Shape):
    """A JSON Web Key Set (RFC 7517): 1 to 5 public keys, P-384 or Ed25519, each with a `kid`; never a private one."""

    keys = Listed(fields.Dict(), "Public keys.", maximum=5, required=True)
    example: ClassVar = {"keys": [PUBLIC_KEY]}


class ClientKeys(Shape):
    jwks = Part(Keys, required=True)
    example: ClassVar = {"jwks": Keys.example}


class ClientGiven(ClientKeys):
    name = Text("The software's name, as in the public list.", maximum=80, required=True)
    version = Text(maximum=80, required=True)
    vendor = Text(maximum=80, required=True)
    scopes = Listed(Choice(SCOPES), "What it will ask for.", maximum=len(SCOPES), required=True)
    example: ClassVar = {
        "name": "Praxis", "version": "4.2", "vendor": "Logiciels du Parc", "scopes": list(SCOPES[:2]),
        "jwks": Keys.example,
    }  # fmt: skip


class Client(Shape):
    """An installation of a software at one organisation; its state gates its scopes."""

    client_id = Id()
    establishment_id = Id()
    name = Text()
    version = Text()
    vendor = Text()
    scopes = Listed(Text())
    key_ids = Listed(Text())
    state = Choice(CLIENT_STATES)
    registered_at = Moment()
    example: ClassVar = {
        "client_id": ID, "establishment_id": OTHER_ID, "name": "Praxis", "version": "4.2",
        "vendor": "Logiciels du Parc", "scopes": list(SCOPES[:2]), "key_ids": ["2026-11"], "state": "requested",
        "registered_at": TIME,
    }  # fmt: skip


class Clients(Shape):
    clients = Listed(Part(Client))
    example: ClassVar = {"clients": [Client.example]}


class ClientPage(Clients):
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"clients": [Client.example], "next_cursor": None}


class ClientQuery(Query):
    state = Choice(CLIENT_STATES, "The state to look for.", load_default="requested")
    limit = Number("How many at most.", minimum=1, maximum=100, load_default=50)
    cursor = Id("`next_cursor` of the page before.", load_default=None)


class ClientStateGiven(Shape):
    state = Choice(CLIENT_STATES, "requested, tested, in_production; suspended and back.", required=True)
    example: ClassVar = {"state": "tested"}


class SoftwareLine(Shape):
    name = Text()
    version = Text()
    vendor = Text()
    state = Choice(CLIENT_STATES)
    establishments = Number("How many organisations use it in this state.")


class SoftwareList(Shape):
    software = Listed(Part(SoftwareLine))
    example: ClassVar = {
        "software": [
            {"name": "Praxis", "version": "4.2", "vendor": "Logiciels du Parc", "state": "tested", "establishments": 3}
        ]
    }


# --- tokens -----------------------------------------------------------------------------------------------------------


class MachineToken(Shape):
    """An access token of five minutes; there is no refresh token, a new assertion gets a new one."""

    access_token = Secret()
    token_type = Choice(("Bearer",))
    expires_in = Number("Seconds.")
    scope = Text("The scopes it was given.")
    example: ClassVar = {
        "access_token": "eyJhbGciOiJFZDI1NTE5…", "token_type": "Bearer", "expires_in": 300,
        "scope": "system/Patient.rs",
    }  # fmt: skip


class Introspection(Shape):
    """RFC 7662; a token that is not the client's own is not active, and nothing else is said of it."""

    active = Flag()
    scope = Text()
    client_id = Id()
    token_type = Choice(("Bearer",))
    sub = Text()
    aud = Text()
    iss = Text()
    jti = Text()
    iat = Number("Seconds since 1970.")
    exp = Number("Seconds since 1970.")
    on_behalf_of = Id("The professional it acts for.")
    purpose_of_use = Choice(tuple(PURPOSES_OF_USE))
    example: ClassVar = {
        "active": True, "scope": "system/Patient.rs", "client_id": ID, "token_type": "Bearer", "sub": ID,
        "aud": "urn:dsp:platform", "iss": "urn:dsp:identity", "jti": OTHER_ID, "iat": 1795253400, "exp": 1795253700,
        "on_behalf_of": OTHER_ID, "purpose_of_use": "TREAT",
    }  # fmt: skip


_AUTHENTICATION: dict[str, Any] = {
    "client_assertion_type": {"type": "string", "const": ASSERTION_TYPE},
    "client_assertion": {
        "type": "string",
        "description": "A JWT signed with a registered key (ES384 or EdDSA; `kid`): iss and sub the client_id, aud the "
        "token endpoint or the issuer, exp at most five minutes ahead, a new jti each time (RFC 7523).",
    },
    "client_id": {"type": "string", "format": "uuid"},
}
_PROOF = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": ASSERTION}


def _form(properties: dict[str, Any], required: list[str], example: dict[str, str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": [*required, "client_assertion_type", "client_assertion"],
        "properties": {**properties, **_AUTHENTICATION},
    }
    return {"required": True, "content": {FORM: {"schema": schema, "example": {**example, **_PROOF}}}}


TOKEN_FORM = _form(
    {
        "grant_type": {"type": "string", "const": "client_credentials"},
        "scope": {"type": "string", "description": "All that is open when left out. " + ", ".join(SCOPES)},
        "on_behalf_of": {
            "type": "string", "format": "uuid",
            "description": "A professional who works at the client's organisation; without one no record opens.",
        },
        "purpose_of_use": {
            "type": "string", "enum": list(PURPOSES_OF_USE),
            "description": "HL7 v3 PurposeOfUse; required with on_behalf_of.",
        },
    },
    ["grant_type"],
    {"grant_type": "client_credentials", "scope": "system/Patient.rs", "on_behalf_of": ID, "purpose_of_use": "TREAT"},
)  # fmt: skip
OWN_TOKEN_FORM = _form(
    {"token": {"type": "string"}, "token_type_hint": {"type": "string"}}, ["token"], {"token": "eyJhbGciOiJFZDI1NTE5…"}
)


class OAuthMetadata(Shape):
    """RFC 8414."""

    issuer = Text()
    token_endpoint = Text()
    introspection_endpoint = Text()
    revocation_endpoint = Text()
    jwks_uri = Text()
    service_documentation = Text()
    grant_types_supported = Listed(Text())
    response_types_supported = Listed(Text())
    scopes_supported = Listed(Text())
    token_endpoint_auth_methods_supported = Listed(Text())
    token_endpoint_auth_signing_alg_values_supported = Listed(Text())
    introspection_endpoint_auth_methods_supported = Listed(Text())
    introspection_endpoint_auth_signing_alg_values_supported = Listed(Text())
    revocation_endpoint_auth_methods_supported = Listed(Text())
    revocation_endpoint_auth_signing_alg_values_supported = Listed(Text())
    ui_locales_supported = Listed(Text())
    example: ClassVar = {
        "issuer": "https://dsp.example.lu", "token_endpoint": "https://dsp.example.lu/api/v1/oauth/token",
        "grant_types_supported": ["client_credentials"],
    }  # fmt: skip


class SmartConfiguration(OAuthMetadata):
    """SMART App Launch 2: what a backend service finds here."""

    capabilities = Listed(Text())
    code_challenge_methods_supported = Listed(Text())
    example: ClassVar = {
        **OAuthMetadata.example, "capabilities": ["client-confidential-asymmetric", "permission-v2"],
    }  # fmt: skip
