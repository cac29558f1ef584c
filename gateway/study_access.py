"""Who reads images: the bearer of an access token, or of a study token, which opens one study and nothing else here.

A study token is exchanged for the access token of its owner, which never leaves the gateway; each question is then
asked in the owner's name, so that it ends with their session and with their right. It is taken under /dicomweb alone.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Response, g, request

from gateway import caller
from gateway.clients import ask as ask_as
from services.documents.contract import STUDY_TOKEN
from services.settings import load
from services.tokens import Caller, Context

_REMEMBERED = 2000


def authenticate() -> Caller:
    """The person whose access token, or study token, came with this request.

    Refuses: Unauthenticated, StudyTokenRefused.
    """
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if kind.lower() != "bearer" or not token.startswith(STUDY_TOKEN):
        return caller.authenticate()
    told = _tokens.told(token)
    g.only = [told["record_id"], told["study_uid"]]
    return caller.speak_as(told["token"])


class Tokens:
    """What study tokens stand for, asked for once: a viewer comes back for every frame."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def told(self, token: str) -> dict[str, Any]:
        """What a token stands for. Refuses: StudyTokenRefused."""
        digest = sha256(token.encode()).digest()
        until, told = self._known.get(digest, (0.0, {}))
        if until > time.time():
            return told
        told = dict(ask_as("documents", "use_study_token", g.context.without_token(), token=token))
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = (datetime.fromisoformat(told["expires_at"]).timestamp(), told)
        return told


_tokens = Tokens()


@dataclass(frozen=True)
class Reader:
    """Asks documents about one record in the name of who sent this request, also while the answer is on its way."""

    record_id: str
    context: Context
    only: list[str] | None
    gateway_key: str

    @classmethod
    def of(cls, record_id: str) -> Reader:
        """Who sent the present request."""
        return cls(record_id, caller.who().context, g.get("only"), caller.gateway_key())

    def ask(self, method: str, **asked: Any) -> Any:
        """documents' answer. Refuses: what documents refuses."""
        context = replace(self.context, deadline=time.time() + load().rpc_timeout)
        given = {name: value for name, value in asked.items() if value is not None}
        return ask_as("documents", method, context, record_id=self.record_id, only=self.only, **given)

    def open_instances(self, **asked: Any) -> Any:
        """Bytes of instances, or frames of one. Refuses: study_not_found, not_rendered."""
        return self.ask("open_instances", gateway_key=self.gateway_key, **asked)

    def open_rendered(self, **asked: Any) -> Any:
        """A picture. Refuses: study_not_found, not_rendered."""
        return self.ask("open_rendered", gateway_key=self.gateway_key, **asked)


# --- viewers of other origins -----------------------------------------------------------------------------------------


def let_viewers_in(response: Response) -> Response:
    """Lets pages of the origins that the settings name read the answer; no cookie ever goes with such a request."""
    origin = request.headers.get("Origin")
    response.vary.add("Origin")
    if origin is None or origin not in [each.strip() for each in load().viewer_origins.split(",") if each.strip()]:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, HEAD"
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Accept, Accept-Language"
        response.headers["Access-Control-Max-Age"] = "600"
    return response
