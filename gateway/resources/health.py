"""Health: is this process alive, and does everything it depends on answer?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g, json
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from gateway.clients import ask, clients
from gateway.operations import operation
from gateway.schemas.health import DELAYED, Live, Ready
from services.refusals import Refusal
from services.settings import load
from services.tokens import Context

health = APIBlueprint("health", __name__, url_prefix="/health")

SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")
OBJECT_STORE = "object_store"
EVENTS = "events"
PATIENCE = 1.5  # seconds for all of them together: they are asked at once


@operation(health, "GET", "/live", summary="Is the gateway alive?", answer=Live, token=False)
def live() -> Any:
    """This process answers; nothing else is asked."""
    g.quiet = True
    return {"status": "ok"}


@operation(
    health, "GET", "/ready", summary="Does everything answer?", answer=Ready, token=False,
    also={503: {"description": "Something does not answer; `dependencies` says what."}},
)  # fmt: skip
def ready() -> Response:
    """Each of the six services, the object store and the way of events, by name."""
    g.quiet = True
    context = replace(g.context, deadline=time.time() + PATIENCE)
    asked = {name: clients().health.submit(_answer, name, context) for name in SERVICES}
    stores = clients().health.submit(_stores)
    answers = {name: future.result() for name, future in asked.items()}
    found = {name: "ok" if answer else "unavailable" for name, answer in answers.items()}
    found[OBJECT_STORE] = "ok" if stores.result() else "unavailable"
    good = all(state == "ok" for state in found.values())
    found[EVENTS] = _events([answer for answer in answers.values() if answer])
    body = json.dumps({"status": "ok" if good else "unavailable", "dependencies": found})
    return Response(body, 200 if good else 503, content_type="application/json")


def _answer(service: str, context: Context) -> dict[str, Any] | None:
    """What the service says of itself; None when it does not answer."""
    try:
        answer: dict[str, Any] = ask(service, "ping", context)
    except Refusal:
        return None
    return answer


def _events(answers: Sequence[dict[str, Any]]) -> str:
    """Whether events go their way, as the services that answer see it. It takes nobody's readiness away: requests are
    answered without them."""
    if not answers:
        return "unavailable"
    return DELAYED if any(answer["delayed"] for answer in answers) else "ok"


def _stores() -> bool:
    """Whether the object store speaks HTTP; without a credential it has nothing else to say."""
    settings = load()
    url = f"{'https' if settings.s3_secure else 'http'}://{settings.s3_endpoint}/"
    try:
        answer = clients().store.request("GET", url, timeout=Timeout(PATIENCE), retries=False, redirect=False)
    except HTTPError:
        return False
    return bool(answer.status < 500)
