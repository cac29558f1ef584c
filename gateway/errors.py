"""Every "no" over HTTP, from ONE table: refusal code -> status; words from the catalogues; form from RFC 9457.

An answer never holds a stack trace, an HTML page or a word about a person. A code that is not in the table is a
mistake of ours and answered as one.
"""

from __future__ import annotations

import json
import logging
import math
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, has_request_context, request
from werkzeug.exceptions import HTTPException

from gateway import fhir_outcomes
from services.refusals import Internal, Refusal
from services.sealing import BytesTampered

PROBLEM = "application/problem+json"
CATALOGUES = Path(__file__).with_name("catalogues")

STATUS: dict[str, int] = {
    # the request itself
    "bad_request": 400,
    "invalid_json": 400,
    "malformed_multipart": 400,
    "upload_truncated": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "length_required": 411,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "invalid_input": 422,
    "idempotency_key_reused": 422,
    "request_in_flight": 409,
    "changed_meanwhile": 412,
    "precondition_required": 428,
    "too_many_requests": 429,
    "too_many_uploads": 429,
    "internal": 500,
    "content_damaged": 500,
    "unavailable": 503,
    # who is calling
    "unauthenticated": 401,
    "session_ended": 401,
    "not_allowed": 403,
    "insufficient_scope": 403,
    "too_many_tries": 429,
    # identity
    "activation_refused": 403,
    "activation_not_found": 404,
    "activation_complete": 409,
    "step_out_of_order": 409,
    "not_activated": 409,
    "contact_taken": 409,
    "contact_not_found": 404,
    "last_contact": 409,
    "notice_fixed": 409,
    "password_reset_refused": 403,
    "password_too_short": 422,
    "password_too_long": 422,
    "password_too_common": 422,
    "log_in_refused": 401,
    "one_time_code_refused": 403,
    "refresh_refused": 401,
    "licence_not_valid": 403,
    "professional_unknown": 404,
    "already_activated": 409,
    "channel_not_available": 409,
    "conditions_due": 409,
    "account_locked": 403,
    "account_not_found": 404,
    "session_not_found": 404,
    "reauthentication_due": 403,
    "password_refused": 403,
    "authenticator_not_found": 404,
    "too_many_authenticators": 409,
    # software
    "token_refused": 400,
    "organisation_unknown": 404,
    "client_unknown": 404,
    "manager_unknown": 404,
    "state_out_of_order": 409,
    # the helpdesk
    "helpdesk_request_not_found": 404,
    "request_not_taken": 409,
    "request_taken": 409,
    "request_closed": 409,
    "identity_check_due": 409,
    "person_not_known": 404,
    "luxtrust_pending": 409,
    "luxtrust_refused": 400,
    "luxtrust_not_found": 404,
    "passkey_refused": 401,
    "device_not_found": 404,
    "too_many_devices": 409,
    "luxtrust_taken": 409,
    # directory
    "patient_exists": 409,
    "identifier_taken": 409,
    "duplicate_not_found": 404,
    "professional_exists": 409,
    "person_not_found": 404,
    "establishment_not_found": 404,
    "establishment_closed": 409,
    "opening_not_found": 404,
    "request_decided": 409,
    "opening_check_due": 409,
    "already_merged": 409,
    "merge_not_found": 404,
    # dossier
    "record_not_found": 404,
    "record_closed": 409,
    "not_in_this_state": 409,
    "presence_code_refused": 403,
    "mandate_not_found": 404,
    "emergency_refused": 403,
    "responsibility_refused": 403,
    "review_not_found": 404,
    "review_taken": 409,
    "review_not_taken": 409,
    "review_settled": 409,
    "stay_over": 409,
    "professional_not_found": 404,
    "circle_member_not_found": 404,
    "professional_blocked": 409,
    "block_not_found": 404,
    "not_a_physician": 409,
    "designation_not_found": 404,
    "designation_not_signed": 409,
    "designation_over": 409,
    "designation_pending": 409,
    "representative_not_found": 404,
    "already_representative": 409,
    "representative_refused": 409,
    "assistant_not_found": 404,
    "invitation_refused": 403,
    "not_minor": 409,
    "setup_step_not_found": 404,
    # documents
    "document_not_found": 404,
    "document_removed": 410,
    "document_unfinished": 409,
    "preview_not_found": 404,
    "rectification_not_found": 404,
    "rectification_open": 409,
    "rectification_settled": 409,
    "binder_not_found": 404,
    "binder_name_taken": 409,
    "too_many_binders": 409,
    "type_not_depositable": 403,
    "upload_not_found": 404,
    "upload_incomplete": 409,
    "upload_expired": 410,
    "upload_empty": 422,
    "upload_too_large": 413,
    "media_type_not_allowed": 415,
    "author_unknown": 422,
    "wrong_patient": 422,
    "type_code_unknown": 422,
    "cda_unreadable": 422,
    "part_changed": 409,
    "parts_missing": 409,
    "wish_not_found": 404,
    "too_many_wishes": 409,
    "file_encrypted": 422,
    "file_truncated": 422,
    "image_too_large": 422,
    "study_not_found": 404,
    "not_rendered": 406,
    "study_token_refused": 401,
    "removal_not_found": 404,
    "removal_under_way": 409,
    "removal_decided": 409,
    "second_agent_needed": 403,
    "export_over": 410,
    "not_a_prescription": 409,
    "prescription_cancelled": 409,
    "prescription_expired": 409,
    "prescription_dispensed": 409,
    "prescription_given": 409,
    "quantity_not_left": 409,
    "dispensation_not_found": 404,
    "dispensation_cancelled": 409,
    "dispensation_final": 409,
    "copy_not_genuine": 404,
    # audit
    "tree_head_not_found": 404,
    "leaf_not_found": 404,
    "history_unattested": 503,
    "history_too_long": 422,
    "entry_not_found": 404,
    # audit: the privacy officer's desk
    "case_not_found": 404,
    "case_exists": 409,
    "alert_not_found": 404,
    "in_other_hands": 409,
    "not_in_hand": 409,
    "already_settled": 409,
    # notifications
    "subscription_not_found": 404,
    "letter_not_found": 404,
    "letter_in_batch": 409,
    "letter_spent": 409,
    "letter_batch_not_found": 404,
    "no_letters": 409,
    "receipt_not_taken": 404,
    "thread_not_found": 404,
    "writing_ended": 409,
    "correspondent_not_found": 404,
    "too_many_correspondents": 409,
    "attachment_not_found": 404,
    "attachment_unchecked": 409,
    "attachment_rejected": 409,
    "too_many_attachments": 409,
    "too_many_subscriptions": 409,
    "webhook_refused": 422,
    "notification_not_found": 404,
    "push_not_available": 409,
}

RETRY_AFTER: dict[str, int] = {
    "unavailable": 5, "history_unattested": 5, "request_in_flight": 1, "too_many_requests": 1, "too_many_uploads": 10,
}  # fmt: skip
"""Seconds, where the refusal itself does not name them."""

_OF_HTTP = {
    404: "not_found",
    405: "method_not_allowed",
    411: "length_required",
    413: "body_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "too_many_requests",
}
_RESERVED = frozenset({"type", "title", "status", "detail", "request_id", "errors", "instance"})

log = logging.getLogger(__name__)


# --- words ----------------------------------------------------------------------------------------------------------


@cache
def catalogue(locale: str) -> dict[str, Any]:
    """All words of one language."""
    found: dict[str, Any] = json.loads((CATALOGUES / f"{locale}.json").read_text(encoding="utf-8"))
    return found


class _Known(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "…"


def words(code: str, locale: str, detail: dict[str, Any]) -> tuple[str, str]:
    """Title and detail of a code in one language."""
    found = catalogue(locale)["problems"].get(code) or catalogue(locale)["problems"]["internal"]
    shown = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in detail.items()}
    return found["title"], found["detail"].format_map(_Known(shown))


def described(errors: list[dict[str, Any]], locale: str) -> list[dict[str, Any]]:
    """Validation errors with their code kept and their message in the reader's language."""
    messages: dict[str, str] = catalogue(locale)["messages"]
    return [
        {
            "pointer": str(error.get("pointer", "")),
            "code": str(error.get("message", "invalid")),
            "message": messages.get(str(error.get("message")), messages["invalid"]),
        }
        for error in errors
    ]


# --- answers --------------------------------------------------------------------------------------------------------


def body(code: str, detail: dict[str, Any], *, locale: str, request_id: str) -> dict[str, Any]:
    """The problem document of a refusal (RFC 9457); a refusal's own values follow as extension members."""
    title, text = words(code, locale, detail)
    document: dict[str, Any] = {
        "type": f"urn:dsp:problem:{code}",
        "title": title,
        "status": STATUS[code],
        "detail": text,
        "request_id": request_id,
    }
    if isinstance(detail.get("errors"), list):
        document["errors"] = described(detail["errors"], locale)
    document.update({name: value for name, value in detail.items() if name not in _RESERVED})
    return document


def problem(refusal: Refusal) -> Response:
    """The HTTP answer of a refusal."""
    code = refusal.code
    if code not in STATUS:
        log.error("refusal without a status", extra={"code": code})
        code, refusal = Internal.code, Internal()
    g.code = code
    context = g.get("context")
    document = body(
        code,
        refusal.detail,
        locale=context.locale if context else "fr",
        request_id=context.request_id if context else "",
    )
    speaks_fhir = has_request_context() and fhir_outcomes.speaks_here(PROBLEM)
    text = json.dumps(fhir_outcomes.of_problem(document) if speaks_fhir else document, ensure_ascii=False)
    response = Response(text, STATUS[code], content_type=fhir_outcomes.FHIR_JSON if speaks_fhir else PROBLEM)
    response.headers["Content-Language"] = context.locale if context else "fr"
    wait = refusal.detail.get("retry_after", RETRY_AFTER.get(code))
    if wait is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(wait)))
    if STATUS[code] == 401:
        failed = has_request_context() and "Authorization" in request.headers
        response.headers["WWW-Authenticate"] = 'Bearer realm="opendsp"' + (', error="invalid_token"' if failed else "")
    if code == "insufficient_scope":  # RFC 6750 3.1
        response.headers["WWW-Authenticate"] = 'Bearer realm="opendsp", error="insufficient_scope"'
    if code == "range_not_satisfiable":
        response.headers["Content-Range"] = f"bytes */{refusal.detail['size']}"
    return response


def refused(code: str, **detail: Any) -> Refusal:
    """A refusal of the gateway's own, by its code in the table."""
    refusal = Refusal(**detail)
    refusal.code = code  # type: ignore[misc]
    return refusal


def _of_http(error: HTTPException) -> Response:
    status = error.code or 500
    response = problem(refused(_OF_HTTP.get(status, "bad_request" if status < 500 else Internal.code)))
    methods = getattr(error, "valid_methods", None)
    if status == 405 and methods:
        response.headers["Allow"] = ", ".join(sorted(methods))
    return response


def _of_us(error: Exception) -> Response:
    context = g.get("context")
    log.error(
        "request failed",
        exc_info=error,
        extra={"request_id": context.request_id if context else None, "route": str(request.url_rule)},
    )
    return problem(Internal())


def _of_store(error: Exception) -> Response:
    log.error("stored bytes damaged", exc_info=error, extra={"request_id": g.context.request_id})
    return problem(refused("content_damaged"))


def register(app: Flask) -> None:
    """Makes every way a request can fail end in a problem document."""
    app.register_error_handler(Refusal, problem)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(BytesTampered, _of_store)
    app.register_error_handler(Exception, _of_us)
