"""The API describes itself: every operation with summary, shapes, an example of each, and all it can refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from marshmallow import Schema

from gateway import operations
from gateway.errors import STATUS
from gateway.operations import Query, Shape
from gateway.schemas.care import ProfessionalQuery

_RECORD = "/dicomweb/records/{record_id}"
_STUDY = _RECORD + "/studies/{study_uid}"
_SERIES = _STUDY + "/series/{series_uid}"
_INSTANCE = _SERIES + "/instances/{instance_uid}"

PROMISED = {
    ("GET", "/notifications/settings"),
    ("PUT", "/notifications/settings"),
    ("GET", "/subscriptions/jwks"),
    ("POST", "/subscriptions/{subscription_id}/replay"),
    ("POST", "/subscriptions/{subscription_id}/resume"),
    ("POST", "/subscriptions/{subscription_id}/test"),
    *(("GET", _RECORD + end) for end in ("/studies", "/series", "/instances")),
    *(("GET", _STUDY + end) for end in ("", "/series", "/instances", "/metadata", "/thumbnail")),
    *(("GET", _SERIES + end) for end in ("", "/instances", "/metadata", "/thumbnail")),
    *(("GET", _INSTANCE + end) for end in ("", "/metadata", "/rendered", "/thumbnail")),
    *(("GET", _INSTANCE + end) for end in ("/frames/{frames}", "/frames/{frames}/rendered")),
    ("POST", "/agency/removals"),
    ("GET", "/agency/removals"),
    ("GET", "/agency/removals/{removal_id}"),
    ("POST", "/agency/removals/{removal_id}/approval"),
    ("POST", "/agency/removals/{removal_id}/refusal"),
    ("GET", "/agency/scrubs"),
    ("GET", "/records/{record_id}/export"),
    ("GET", "/records/{record_id}/access-history/export"),
    ("GET", "/audit/verifier"),
    ("GET", "/audit/tree-heads"),
    ("GET", "/audit/tree-heads/latest"),
    ("GET", "/audit/keys"),
    ("GET", "/audit/proofs/inclusion"),
    ("GET", "/audit/proofs/consistency"),
    ("POST", "/documents/{document_id}/versions"),
    ("GET", "/documents/{document_id}/versions"),
    ("POST", "/documents/{document_id}/uploads"),
    ("POST", "/documents/{document_id}/versions/{version_id}/restoration"),
    ("PATCH", "/documents/{document_id}"),
    ("GET", "/documents/{document_id}/view"),
    ("GET", "/documents/{document_id}/print"),
    ("GET", "/documents/{document_id}/preview"),
    ("GET", "/documents/{document_id}/thumbnail"),
    ("POST", "/documents/{document_id}/rectifications"),
    ("GET", "/documents/{document_id}/rectifications"),
    ("GET", "/rectifications"),
    ("PUT", "/rectifications/{rectification_id}/answer"),
    ("POST", "/activations"),
    ("GET", "/activations/{activation_id}"),
    ("POST", "/activations/professional"),
    ("POST", "/activations/{activation_id}/conditions"),
    ("POST", "/activations/{activation_id}/code"),
    ("GET", "/activations/{activation_id}/person"),
    ("POST", "/activations/{activation_id}/personal-data"),
    ("POST", "/activations/{activation_id}/contact/resend"),
    ("POST", "/letter-requests"),
    ("GET", "/conditions/{version}"),
    ("GET", "/conditions/{version}.pdf"),
    ("POST", "/activations/{activation_id}/contact"),
    ("POST", "/activations/{activation_id}/contact/proof"),
    ("POST", "/activations/{activation_id}/password"),
    ("POST", "/sessions"),
    ("POST", "/sessions/{challenge_id}/code"),
    ("POST", "/sessions/refresh"),
    ("GET", "/sessions/current"),
    ("DELETE", "/sessions/current"),
    ("POST", "/sessions/current/authentication"),
    ("POST", "/sessions/{challenge_id}/resend"),
    ("GET", "/sessions"),
    ("DELETE", "/sessions"),
    ("DELETE", "/sessions/{session_id}"),
    ("GET", "/account/services"),
    ("POST", "/account/authenticators"),
    ("POST", "/account/authenticators/{authenticator_id}/proof"),
    ("DELETE", "/account/authenticators/{authenticator_id}"),
    ("POST", "/agency/accounts/lock"),
    ("POST", "/agency/accounts/unlock"),
    ("GET", "/jwks.json"),
    ("POST", "/patients/searches"),
    ("GET", "/agency/duplicates"),
    ("POST", "/agency/duplicates/settlements"),
    ("GET", "/account/identity-sheet"),
    ("GET", "/account/identity-sheet/changes"),
    ("GET", "/agency/patients/{patient_id}"),
    ("PATCH", "/agency/patients/{patient_id}"),
    ("GET", "/agency/patients/{patient_id}/changes"),
    ("POST", "/agency/patients/{patient_id}/identity-check"),
    ("POST", "/agency/patients/{patient_id}/national-identifier"),
    ("GET", "/patients/{patient_id}"),
    ("GET", "/professionals"),
    ("GET", "/professionals/{professional_id}"),
    ("GET", "/organisations"),
    ("GET", "/organisations/{establishment_id}"),
    ("GET", "/organisations/{establishment_id}/professionals"),
    ("PATCH", "/agency/organisations/{establishment_id}"),
    ("POST", "/agency/organisations/{establishment_id}/closing"),
    ("PATCH", "/agency/professionals/{professional_id}"),
    ("POST", "/agency/professionals/{professional_id}/workplaces"),
    ("DELETE", "/agency/professionals/{professional_id}/workplaces/{establishment_id}"),
    ("POST", "/agency/merges"),
    ("GET", "/agency/merges"),
    ("POST", "/agency/merges/{merge_id}/undoing"),
    ("POST", "/agency/openings"),
    ("POST", "/agency/establishments"),
    ("POST", "/agency/professionals"),
    ("POST", "/agency/invitations"),
    ("GET", "/records"),
    ("GET", "/records/{record_id}"),
    ("GET", "/records/{record_id}/state"),
    ("POST", "/records/{record_id}/closing"),
    ("POST", "/records/{record_id}/reopening"),
    ("POST", "/agency/records/{record_id}/closing"),
    ("POST", "/agency/records/{record_id}/opposition"),
    ("POST", "/oppositions"),
    ("GET", "/records/{record_id}/mandates"),
    ("POST", "/records/{record_id}/mandates"),
    ("DELETE", "/records/{record_id}/mandates/{mandate_id}"),
    ("DELETE", "/records/{record_id}/mandates"),
    ("POST", "/records/{record_id}/stays"),
    ("PUT", "/records/{record_id}/stays/{mandate_id}/discharge"),
    ("PUT", "/records/{record_id}/stays/{mandate_id}/prolongation"),
    ("PUT", "/records/{record_id}/stays/{mandate_id}/result-consent"),
    ("PUT", "/records/{record_id}/stays/{mandate_id}/validation"),
    ("POST", "/records/{record_id}/orders"),
    ("GET", "/records/{record_id}/orders"),
    ("PUT", "/records/{record_id}/orders/{order_id}/validation"),
    ("DELETE", "/records/{record_id}/orders/{order_id}"),
    ("GET", "/records/{record_id}/presence-code"),
    ("POST", "/records/{record_id}/presence-code"),
    ("GET", "/patients/mine"),
    ("GET", "/records/latest"),
    ("GET", "/records/{record_id}/circle"),
    ("PUT", "/records/{record_id}/circle/{professional_id}"),
    ("DELETE", "/records/{record_id}/circle/{professional_id}"),
    ("GET", "/records/{record_id}/blocklist"),
    ("PUT", "/records/{record_id}/blocklist/{professional_id}"),
    ("DELETE", "/records/{record_id}/blocklist/{professional_id}"),
    ("GET", "/records/{record_id}/referring-physician"),
    ("POST", "/records/{record_id}/referring-physician"),
    ("POST", "/records/{record_id}/referring-physician/{designation_id}/signature"),
    ("POST", "/records/{record_id}/referring-physician/{designation_id}/notice"),
    ("POST", "/records/{record_id}/referring-physician/{designation_id}/end"),
    ("POST", "/agency/referring-physicians/feed"),
    ("GET", "/records/{record_id}/representatives"),
    ("POST", "/records/{record_id}/representatives"),
    ("DELETE", "/records/{record_id}/representatives/{representative_id}"),
    ("POST", "/records/{record_id}/representatives/{representative_id}/sitting"),
    ("DELETE", "/records/{record_id}/representatives/{representative_id}/sitting"),
    ("POST", "/records/{record_id}/autonomous-minor"),
    ("DELETE", "/records/{record_id}/autonomous-minor"),
    ("GET", "/records/{record_id}/assistants"),
    ("POST", "/records/{record_id}/assistants"),
    ("DELETE", "/records/{record_id}/assistants/{assistant_id}"),
    ("POST", "/assistant-invitations"),
    ("GET", "/records/{record_id}/setup"),
    ("PUT", "/records/{record_id}/setup/{step}"),
    ("GET", "/records/{record_id}/access-history"),
    ("POST", "/records/{record_id}/access-history/{entry_id}/case"),
    ("GET", "/records/{record_id}/cases"),
    ("GET", "/records/{record_id}/cases/{case_id}"),
    ("GET", "/agency/entries"),
    ("GET", "/agency/cases"),
    ("GET", "/agency/cases/{case_id}"),
    ("POST", "/agency/cases/{case_id}/taking"),
    ("DELETE", "/agency/cases/{case_id}/taking"),
    ("POST", "/agency/cases/{case_id}/answer"),
    ("GET", "/agency/alerts"),
    ("GET", "/agency/alerts/statistics"),
    ("GET", "/agency/alerts/{alert_id}"),
    ("POST", "/agency/alerts/{alert_id}/taking"),
    ("DELETE", "/agency/alerts/{alert_id}/taking"),
    ("POST", "/agency/alerts/{alert_id}/verdict"),
    ("GET", "/records/{record_id}/activity"),
    ("GET", "/records/{record_id}/chronology"),
    ("GET", "/records/{record_id}/documents"),
    ("POST", "/records/{record_id}/documents"),
    ("POST", "/records/{record_id}/documents/search"),
    ("GET", "/records/{record_id}/tree"),
    ("GET", "/records/{record_id}/timeline"),
    ("GET", "/records/{record_id}/binders"),
    ("POST", "/records/{record_id}/binders"),
    ("PATCH", "/binders/{binder_id}"),
    ("DELETE", "/binders/{binder_id}"),
    ("PUT", "/binders/{binder_id}/documents/{document_id}"),
    ("DELETE", "/binders/{binder_id}/documents/{document_id}"),
    ("GET", "/records/{record_id}/prescriptions"),
    ("GET", "/documents/{document_id}/prescription"),
    ("POST", "/documents/{document_id}/prescription/cancellation"),
    ("POST", "/documents/{document_id}/dispensations"),
    ("POST", "/dispensations/{dispensation_id}/cancellation"),
    ("GET", "/dispensations/{dispensation_id}/copy"),
    ("GET", "/dispensations/verification/{code}"),
    ("POST", "/records/{record_id}/uploads"),
    ("PUT", "/uploads/{upload_id}"),
    ("GET", "/uploads/{upload_id}"),
    ("PUT", "/uploads/{upload_id}/parts/{number}"),
    ("POST", "/uploads/{upload_id}/completion"),
    ("POST", "/records/{record_id}/submissions"),
    ("POST", "/records/{record_id}/notes"),
    ("POST", "/records/{record_id}/deposit-wishes"),
    ("GET", "/records/{record_id}/deposit-wishes"),
    ("GET", "/deposit-wishes"),
    ("DELETE", "/deposit-wishes/{wish_id}"),
    ("GET", "/documents/{document_id}"),
    ("GET", "/documents/{document_id}/content"),
    ("PUT", "/documents/{document_id}/confidentiality"),
    ("GET", "/documents/{document_id}/restrictions"),
    ("PUT", "/documents/{document_id}/restrictions/{professional_id}"),
    ("DELETE", "/documents/{document_id}/restrictions/{professional_id}"),
    ("POST", "/documents/{document_id}/patient-block"),
    ("GET", "/documents/{document_id}/patient-block"),
    ("DELETE", "/documents/{document_id}/patient-block"),
    ("PUT", "/documents/{document_id}/withholding"),
    ("DELETE", "/documents/{document_id}/withholding"),
    ("GET", "/documents/{document_id}/readers"),
    ("POST", "/documents/{document_id}/rights/explain"),
    ("GET", "/records/{record_id}/documents/as/{professional_id}"),
    ("GET", "/records/{record_id}/depositable-types"),
    ("GET", "/documents/{document_id}/images"),
    ("POST", "/documents/{document_id}/study-tokens"),
    ("POST", "/agency/letter-batches"),
    ("GET", "/agency/letter-batches"),
    ("GET", "/agency/letter-batches/{batch_id}"),
    ("POST", "/agency/letter-batches/{batch_id}/confirmation"),
    ("POST", "/agency/letters/{letter_id}/reprint"),
    ("GET", "/agency/messages"),
    ("POST", "/sms-receipts"),
    ("POST", "/subscriptions"),
    ("GET", "/subscriptions"),
    ("GET", "/subscriptions/{subscription_id}"),
    ("PATCH", "/subscriptions/{subscription_id}"),
    ("DELETE", "/subscriptions/{subscription_id}"),
    ("GET", "/threads"),
    ("POST", "/threads"),
    ("GET", "/threads/unread-count"),
    ("GET", "/threads/correspondents"),
    ("GET", "/threads/{thread_id}"),
    ("PATCH", "/threads/{thread_id}"),
    ("GET", "/threads/{thread_id}/messages"),
    ("POST", "/threads/{thread_id}/messages"),
    ("POST", "/threads/{thread_id}/participants"),
    ("DELETE", "/threads/{thread_id}/participation"),
    ("GET", "/threads/{thread_id}/receipts"),
    ("POST", "/threads/{thread_id}/receipts"),
    ("POST", "/threads/{thread_id}/attachments"),
    ("GET", "/threads/{thread_id}/attachments/{attachment_id}"),
    ("GET", "/notifications"),
    ("GET", "/notifications/unread-count"),
    ("POST", "/notifications/{notification_id}/read"),
    ("POST", "/notifications/read"),
    ("POST", "/notifications/stream-tickets"),
    ("GET", "/notifications/stream"),
    ("GET", "/notifications/devices"),
    ("POST", "/notifications/devices"),
    ("DELETE", "/notifications/devices/{device_id}"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/smart-configuration"),
    ("GET", "/fhir/.well-known/smart-configuration"),
    ("GET", "/fhir/metadata"),
    ("GET", "/fhir/AuditEvent"),
    ("POST", "/fhir/AuditEvent/_search"),
    ("GET", "/fhir/AuditEvent/{event_id}"),
    ("POST", "/oauth/token"),
    ("POST", "/oauth/introspect"),
    ("POST", "/oauth/revoke"),
    ("GET", "/software"),
    ("POST", "/organisations/{establishment_id}/clients"),
    ("GET", "/organisations/{establishment_id}/clients"),
    ("PUT", "/organisations/{establishment_id}/clients/{client_id}/keys"),
    ("POST", "/agency/organisations/{establishment_id}/managers"),
    ("DELETE", "/agency/organisations/{establishment_id}/managers/{professional_id}"),
    ("GET", "/agency/clients"),
    ("POST", "/agency/clients/{client_id}/state"),
    ("POST", "/agency/professionals/{professional_id}/licence"),
    ("GET", "/account"),
    ("PATCH", "/account"),
    ("POST", "/account/contacts"),
    ("POST", "/account/contacts/{challenge_id}/proof"),
    ("POST", "/account/contacts/{challenge_id}/resend"),
    ("DELETE", "/account/contacts/{contact_id}"),
    ("PUT", "/account/password"),
    ("POST", "/password-resets"),
    ("POST", "/password-resets/{reset_id}"),
    ("GET", "/help"),
    ("POST", "/sessions/luxtrust"),
    ("POST", "/sessions/luxtrust/{flow_id}"),
    ("POST", "/activations/{activation_id}/luxtrust"),
    ("POST", "/account/luxtrust"),
    ("DELETE", "/account/luxtrust/{product_id}"),
    ("POST", "/sessions/passkey/options"),
    ("POST", "/sessions/passkey"),
    ("POST", "/account/passkeys/options"),
    ("POST", "/account/passkeys"),
    ("GET", "/account/devices"),
    ("PATCH", "/account/devices/{device_id}"),
    ("DELETE", "/account/devices/{device_id}"),
    ("GET", "/record-requests/statement"),
    ("POST", "/record-requests"),
    ("GET", "/record-requests/{request_id}"),
    ("DELETE", "/record-requests/{request_id}"),
    ("POST", "/agency/record-requests"),
    ("GET", "/agency/record-requests"),
    ("GET", "/agency/record-requests/{request_id}"),
    ("POST", "/agency/record-requests/{request_id}/identity-check"),
    ("POST", "/agency/record-requests/{request_id}/acceptance"),
    ("POST", "/agency/record-requests/{request_id}/refusal"),
    ("GET", "/agency/letters"),
    ("POST", "/helpdesk-requests"),
    ("GET", "/helpdesk-requests/{request_id}"),
    ("POST", "/helpdesk-requests/{request_id}/contact-proof"),
    ("GET", "/agency/helpdesk-requests"),
    ("GET", "/agency/helpdesk-requests/{request_id}"),
    ("POST", "/agency/helpdesk-requests/{request_id}/take"),
    ("POST", "/agency/helpdesk-requests/{request_id}/release"),
    ("POST", "/agency/helpdesk-requests/{request_id}/identity-check"),
    ("POST", "/agency/helpdesk-requests/{request_id}/letter"),
    ("POST", "/agency/helpdesk-requests/{request_id}/contact"),
    ("POST", "/agency/helpdesk-requests/{request_id}/answer"),
    ("POST", "/agency/helpdesk-requests/{request_id}/close"),
    ("GET", "/records/{record_id}/settings"),
    ("PUT", "/records/{record_id}/settings/{name}"),
    ("GET", "/records/{record_id}/settings/{name}/history"),
    ("GET", "/records/{record_id}/organ-donation"),
    ("PUT", "/records/{record_id}/organ-donation"),
    ("GET", "/records/{record_id}/end-of-life"),
    ("PUT", "/records/{record_id}/end-of-life"),
    ("POST", "/records/{record_id}/emergency-sessions"),
    ("DELETE", "/records/{record_id}/emergency-sessions/current"),
    ("POST", "/records/{record_id}/responsibility-access"),
    ("GET", "/records/{record_id}/rights/me"),
    ("POST", "/records/{record_id}/rights/explain"),
    ("GET", "/records/{record_id}/rights"),
    ("GET", "/records/{record_id}/access-options"),
    ("GET", "/agency/reviews"),
    ("GET", "/agency/reviews/statistics"),
    *(
        ("GET", "/agency/statistics" + end)
        for end in ("/documents", "/documents/months", "/records", "/accounts", "/deposits", "/accesses", "/coverage")
    ),
    ("GET", "/agency/reviews/{review_id}"),
    ("POST", "/agency/reviews/{review_id}/taking"),
    ("DELETE", "/agency/reviews/{review_id}/taking"),
    ("POST", "/agency/reviews/{review_id}/verdict"),
}


@pytest.fixture(scope="module")
def api(app: Any) -> dict[str, Any]:
    answer = app.test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.get_json()
    return document


def each(api: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in api["paths"].items():
        for method, operation in found.items():
            yield method.upper(), path, operation


def test_it_is_openapi_3_1_and_names_its_licence(api: dict[str, Any]) -> None:
    assert api["openapi"].startswith("3.1.")
    assert api["info"]["title"] and api["info"]["license"]["identifier"] == "Apache-2.0"


def test_every_promised_operation_is_there(api: dict[str, Any]) -> None:
    there = {(method, path.removeprefix("/api/v1")) for method, path, _ in each(api)}
    assert there >= PROMISED
    assert {path for _, path in there - PROMISED} == {"/health/live", "/health/ready"}


def test_every_operation_says_what_it_does_and_answers(api: dict[str, Any]) -> None:
    for method, path, operation in each(api):
        where = f"{method} {path}"
        assert operation["summary"] and operation["description"] and operation["operationId"], where
        good = {status: answer for status, answer in operation["responses"].items() if status[0] == "2"}
        assert good, where
        for status, answer in good.items():
            assert answer["description"], where
            if status not in ("204",):
                for kind, content in answer["content"].items():
                    assert content["schema"], where
                    assert kind != "application/json" or content["example"], where


def test_every_body_that_is_sent_has_an_example(api: dict[str, Any]) -> None:
    sent = [
        (f"{method} {path} {kind}", content)
        for method, path, operation in each(api)
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    assert len(sent) > 50
    assert [where for where, content in sent if not content.get("example")] == []


def test_a_strangers_key_cannot_be_refused_for_another_body(api: dict[str, Any]) -> None:
    honoured = {
        operation["operationId"]: json.dumps(operation["responses"])
        for _, _, operation in each(api)
        if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", []))
    }
    strangers = {"open_helpdesk_request", "request_letter", "confirm_person", "request_record"}
    assert strangers < honoured.keys()
    for name, responses in honoured.items():
        assert "request_in_flight" in responses, name
        assert ("idempotency_key_reused" in responses) is (name not in strangers), name


def test_operation_ids_are_unique(api: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in each(api)]
    assert len(ids) == len(set(ids))


def test_every_operation_names_all_it_can_refuse(api: dict[str, Any]) -> None:
    for method, path, operation in each(api):
        named: set[str] = set()
        for status, answer in operation["responses"].items():
            if "application/problem+json" in answer.get("content", {}):
                codes = answer["content"]["application/problem+json"]["examples"]
                assert all(STATUS[code] == int(status) for code in codes), f"{method} {path}"
                named |= set(codes)
        assert named >= {"too_many_requests", "unavailable", "internal"}, f"{method} {path}"
        if operation.get("security") == [{"bearer": []}]:
            assert named >= {"unauthenticated", "session_ended"}, f"{method} {path}"
        if operation.get("requestBody"):
            assert named & {"invalid_input", "unsupported_media_type"}, f"{method} {path}"


def test_only_these_operations_need_no_token(api: dict[str, Any]) -> None:
    open_ones = {operation["operationId"] for _, _, operation in each(api) if not operation.get("security")}
    assert open_ones == {
        "start_luxtrust_log_in", "finish_luxtrust_log_in", "start_passkey_log_in", "log_in_with_passkey",
        "start_activation", "start_professional_activation", "request_letter", "read_conditions",
        "read_conditions_as_pdf", "start_log_in", "confirm_log_in", "refresh_session", "read_keys", "read_help", "live",
        "resend_code", "oppose_own_record",
        "open_helpdesk_request", "ready", "request_password_reset", "reset_password",
        "issue_token", "introspect_token", "revoke_token", "list_software", "read_oauth_metadata",
        "read_smart_configuration", "read_fhir_smart_configuration", "request_record", "read_opening_statement",
        "read_capabilities", "read_verifier",
        "list_tree_heads", "read_latest_tree_head", "list_log_keys", "prove_inclusion", "prove_consistency",
        "webhook_keys",
    }  # fmt: skip


def test_every_reference_leads_somewhere(api: dict[str, Any]) -> None:
    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    for reference in set(walk(api)):
        at: Any = api
        for step in reference.removeprefix("#/").split("/"):
            assert step in at, reference
            at = at[step]


def test_no_url_takes_a_matricule(api: dict[str, Any]) -> None:
    for _, path, operation in each(api):
        assert "matricule" not in path
        assert not [one for one in operation.get("parameters", []) if one["name"] == "matricule"]


def shapes() -> list[type[Shape]]:
    found: list[type[Shape]] = []
    waiting: list[type[Schema]] = [Shape]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            found.append(kind)  # type: ignore[arg-type]
    return [kind for kind in found if kind not in (Query,) and not issubclass(kind, Query)]


@pytest.mark.parametrize("kind", [kind for kind in shapes() if kind.example], ids=lambda kind: kind.__name__)
def test_every_example_fits_its_shape(app: Any, kind: type[Shape]) -> None:
    errors = kind().validate(kind.example)
    if any(field.required for field in kind().fields.values()):
        assert errors == {}
    else:
        # an answer: its own members only, of the right kind
        assert {name for name in errors if errors[name] != ["matricule"]} == set()


def test_the_page_loads_nothing_from_elsewhere(http: FlaskClient) -> None:
    answer = http.get("/api/v1/docs")
    assert answer.content_type.startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for name in ("docs", "docs/docs.js", "docs/docs.css"):
        part = http.get(f"/api/v1/{name}")
        assert part.status_code == 200
        assert not re.search(r"(?:https?:)?//[a-z]", part.text.replace("// ", "")), name
    assert http.get("/api/v1/docs/other").status_code == 404


def test_a_page_that_is_not_the_last_links_to_the_next(app: Any) -> None:
    with app.test_request_context("/api/v1/records/x/documents?limit=5&cursor=old&other=1"):
        assert operations.next_link("a+/=") == '</api/v1/records/x/documents?limit=5&cursor=a%2B%2F%3D>; rel="next"'


def test_the_next_page_is_asked_for_as_the_one_before(app: Any) -> None:
    with app.test_request_context("/api/v1/professionals?q=m%C3%BCl%26&profession=nurse&cursor=old&other=1"):
        link = operations.next_link("new", ProfessionalQuery)
    assert link == '</api/v1/professionals?q=m%C3%BCl%26&profession=nurse&cursor=new>; rel="next"'
