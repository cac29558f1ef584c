"""The gateway as one application: `gunicorn gateway.app:create_app()`.

Order of a request: context and request id, flood guard, token, shape of the input, one or two questions to services,
answer; every way out passes the same security headers and leaves one line in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from apiflask import APIBlueprint, APIFlask
from flask import Flask, Response, current_app, g, request
from werkzeug.routing import BaseConverter, UUIDConverter, ValidationError

from gateway import asyncapi, caller, document, errors, limits, metrics, streams
from gateway.fhir_outcomes import FHIR
from gateway.resources import (
    access_history,
    account,
    accounts,
    activations,
    agency,
    assistants,
    audit_events,
    audit_log,
    binders,
    blocklist,
    care,
    cases,
    circle,
    conditions,
    dicomweb,
    dispatches,
    docs,
    document_access,
    document_versions,
    document_views,
    documents,
    duplicates,
    emergency,
    exports,
    finding,
    health,
    helpdesk,
    history_exports,
    images,
    luxtrust,
    mandates,
    merges,
    my_patients,
    notification_settings,
    notifications,
    oauth,
    openings,
    orders,
    organisations,
    oversight,
    passkeys,
    password_resets,
    patients,
    prescriptions,
    presence_code,
    professionals,
    record_settings,
    record_states,
    records,
    rectifications,
    referring_physician,
    removals,
    representatives,
    responsibility,
    reviews,
    rights,
    scrubs,
    sessions,
    setup,
    sheets,
    software,
    statistics,
    stays,
    submissions,
    subscriptions,
    threads,
    timeline,
    uploads,
    welcome,
    wishes,
)
from gateway.resources import help as help_page
from services.settings import Settings, load

API = "/api/v1"
SOCKET_PATIENCE = 60.0  # seconds a peer may take for one block; a silent one must not hold a thread for ever

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
HTTPS_ONLY = "max-age=31536000"

log = logging.getLogger(__name__)


class Uuid(UUIDConverter):
    """A UUID of a URL as plain lower-case text; anything else is no such address."""

    def to_python(self, value: str) -> str:  # type: ignore[override]
        return value.lower()


class DicomUid(BaseConverter):
    """A unique identifier of DICOM."""

    regex = r"[0-9]+(?:\.[0-9]+)*"

    def to_python(self, value: str) -> str:
        if len(value) > 64:
            raise ValidationError
        return value


class FrameList(BaseConverter):
    """Numbers of frames, counted from 1."""

    regex = r"[1-9][0-9]{0,8}(?:,[1-9][0-9]{0,8})*"

    def to_python(self, value: str) -> list[int]:
        return [int(number) for number in value.split(",")]


class Patience:
    """Bounds each read from and write to a peer's socket, which the server itself would wait on for ever."""

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self._inner = inner

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        socket = environ.get("gunicorn.socket")
        if socket is not None:
            socket.settimeout(SOCKET_PATIENCE)
        streams.PEER.set(socket)
        return self._inner(environ, start_response)


def create_app(settings: Settings | None = None) -> Flask:
    """Builds the application from this process' settings; opens no connection yet."""
    chosen = settings or load()
    app = APIFlask(__name__, title="OpenDSP", version="1", spec_path=None, docs_path=None, json_errors=False)
    app.url_map.converters["uuid"] = Uuid
    app.url_map.converters["dicom_uid"] = DicomUid
    app.url_map.converters["frame_list"] = FrameList
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.before_request(_begin)
    app.after_request(_finish)
    errors.register(app)
    limits.register(app)
    metrics.register(app)
    app.register_blueprint(health.health)
    for blueprint in _resources():
        app.register_blueprint(blueprint, url_prefix=API + (blueprint.url_prefix or ""))
    app.register_blueprint(dicomweb.dicomweb, url_prefix=dicomweb.DICOMWEB)
    app.register_blueprint(audit_events.audit_events, url_prefix=FHIR)
    app.register_blueprint(docs.docs, url_prefix=API)
    app.register_blueprint(welcome.welcome)
    app.register_blueprint(password_resets.reset_page)
    app.register_blueprint(oauth.well_known)
    app.register_blueprint(luxtrust.way_back)
    document.register(app, API)
    asyncapi.register(app, API)
    app.config["HSTS"] = HTTPS_ONLY if chosen.public_url.startswith("https:") else None
    app.wsgi_app = Patience(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _resources() -> tuple[APIBlueprint, ...]:
    return (
        representatives.representatives, assistants.assistants, setup.setup,
        activations.activations, activations.letter_requests, conditions.conditions,
        sessions.sessions, account.account, password_resets.password_resets, accounts.accounts, patients.patients,
        sheets.sheets,
        professionals.professionals, organisations.organisations, care.care, records.records,
        rights.rights, binders.binders,
        mandates.mandates, stays.stays, orders.orders, presence_code.presence_code, my_patients.my_patients,
        circle.circle, blocklist.blocklist,
        referring_physician.referring_physician, referring_physician.referring_feed,
        documents.documents, prescriptions.prescriptions, finding.finding, timeline.timeline, images.images,
        document_access.document_access, document_versions.document_versions, document_views.document_views,
        rectifications.rectifications, uploads.uploads,
        submissions.submissions, wishes.wishes, access_history.access_history, cases.cases, oversight.oversight,
        audit_log.audit_log,
        exports.exports, history_exports.history_exports, removals.removals, scrubs.scrubs,
        oauth.oauth, software.software,
        agency.agency, dispatches.dispatches, duplicates.duplicates,
        merges.merges, notification_settings.notification_settings, notifications.notifications,
        subscriptions.subscriptions, threads.threads, help_page.help_page, helpdesk.helpdesk,
        openings.openings, record_states.record_states,
        record_settings.record_settings, emergency.emergency, responsibility.responsibility, reviews.reviews,
        statistics.statistics,
        luxtrust.luxtrust, passkeys.passkeys,
    )  # fmt: skip


def _begin() -> None:
    g.begun = time.perf_counter()
    caller.begin()


def _finish(response: Response) -> Response:
    headers = response.headers
    there = {name for name, _ in headers}
    headers.extend([(name, value) for name, value in HEADERS.items() if name not in there])
    if current_app.config["HSTS"]:
        headers["Strict-Transport-Security"] = current_app.config["HSTS"]
    context = g.get("context")
    if context is not None:
        headers["X-Request-Id"] = context.request_id
    _tell(response)
    if request.method == "OPTIONS":
        del headers["Content-Type"]  # there is no body
    if response.status_code >= 400:
        streams.drain()
    return response


def _tell(response: Response) -> None:
    """One line and one figure per request: the template of its address, never what was filled in."""
    seconds = time.perf_counter() - g.get("begun", time.perf_counter())
    route = request.url_rule.rule if request.url_rule is not None else "-"
    metrics.count(route, response.status_code, seconds)
    if g.get("quiet"):
        return
    context = g.get("context")
    log.log(
        logging.ERROR if response.status_code >= 500 else logging.INFO,
        "request",
        extra={
            "method": request.method,
            "route": route,
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
            "code": g.get("code"),
            "request_id": context.request_id if context else None,
            "traceparent": context.traceparent if context else None,
        },
    )
