"""Who is calling over HTTP: the request's headers become one `Context`, its bearer token one verified `Caller`.

Built here and nowhere else. The token is checked in the gateway to stop what is not genuine; every service checks it
again, so a mistake here opens nothing.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from flask import current_app, g, request
from uuid_utils import uuid7
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from gateway.clients import ask as ask_as
from gateway.clients import clients
from services.refusals import InvalidInput, Refusal, Unauthenticated
from services.settings import load
from services.tokens import Caller, Context, Verifier

Answer = TypeVar("Answer")

SOON = 1.5  # seconds
LOCALES = ("fr", "lb", "pt", "en", "de")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._/()+-]+")
_SOFTWARE_LENGTH = 64
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_REFRESH_AFTER = 5.0  # seconds between two questions for keys that a forged token could provoke


# --- the request ----------------------------------------------------------------------------------------------------


def begin() -> Context:
    """Builds the context of this request; called once, before anything else."""
    now = time.time()
    context = Context(
        request_id=str(uuid7()),
        traceparent=child_of(request.headers.get("Traceparent")),
        deadline=now + load().rpc_timeout,
        locale=locale_of(request.headers.get("Accept-Language", "")),
        address=address(),
        software=software_of(request.headers.get("X-Software") or request.headers.get("User-Agent")),
    )
    g.context = context
    return context


def child_of(parent: str | None) -> str:
    """A traceparent of a new span: in the sender's trace when it named one, in a trace of its own otherwise (W3C)."""
    match = _TRACEPARENT.fullmatch(parent or "")
    # not secrets: a span id has to differ, not to be unguessable, and the system's randomness costs a call each
    span = f"{random.getrandbits(63) + 1:016x}"
    if match is None or not int(match[1], 16) or not int(match[2], 16):
        return f"00-{random.getrandbits(127) + 1:032x}-{span}-00"
    return f"00-{match[1]}-{span}-{match[3]}"


@lru_cache(maxsize=512)
def locale_of(accepted: str) -> str:
    """The best of our five languages for an Accept-Language header; French when it names none of them."""
    for tag, quality in parse_accept_header(accepted[:200], LanguageAccept):
        language = tag.lower().partition("-")[0]
        language = "lb" if language == "lu" else language  # what many programmes send for Luxembourgish
        if quality and language in LOCALES:
            return language
    return "fr"


def address() -> str | None:
    """The client's address: the socket's peer, or what the one trusted proxy says it was."""
    peer = request.remote_addr
    proxy = load().trusted_proxy
    if proxy and peer == proxy:
        hops = request.headers.get("X-Forwarded-For", "").split(",")
        return _UNSAFE_ADDRESS.sub("", hops[-1])[:45] or peer
    return peer


_UNSAFE_ADDRESS = re.compile(r"[^0-9A-Fa-f.:]")


@lru_cache(maxsize=512)
def software_of(agent: str | None) -> str | None:
    """The name of the calling software, cut to harmless characters."""
    return _UNSAFE.sub(" ", agent or "").strip()[:_SOFTWARE_LENGTH] or None


def with_idempotency_key() -> None:
    """Takes the Idempotency-Key of this request into its context; the request's own id stands in for a missing one.

    So a command that the bus delivers twice, because a replica died before its answer was out, is worked once.
    Refuses: InvalidInput when it is not 1 to 128 visible ASCII characters.
    """
    key = request.headers.get("Idempotency-Key", g.context.request_id)
    if not _KEY.fullmatch(key):
        raise InvalidInput(errors=[{"pointer": "/Idempotency-Key", "message": "idempotency_key"}])
    g.context = replace(g.context, idempotency_key=key)
    if g.get("caller") is not None:
        g.caller = replace(g.caller, context=g.context)


# --- the person -----------------------------------------------------------------------------------------------------


class Keys:
    """identity's public keys, asked for over RPC when a token names one that is not known yet."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._asked = float("-inf")
        self._lock = threading.Lock()

    def find(self, kid: str) -> dict[str, Any] | None:
        """The public key of this id. Refuses: Unavailable while identity was never reached."""
        found = self._known.get(kid)
        if found is not None:
            return found
        with self._lock:
            # forged key ids must not become a flood of questions
            if kid not in self._known and time.monotonic() - self._asked > _REFRESH_AFTER:
                self.remember(ask_as("identity", "jwks", g.context.without_token())["keys"])
        return self._known.get(kid)

    def remember(self, keys: list[dict[str, Any]]) -> None:
        """Keeps these public keys, and no others."""
        self._known = {key["kid"]: key for key in keys}
        self._asked = time.monotonic()


_keys = Keys()
_verifier = Verifier(_keys.find)


def authenticate() -> Caller:
    """The person whose bearer token came with this request.

    Refuses: Unauthenticated without a token, or with one that is forged, expired or not a token.
    """
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Unauthenticated()
    return speak_as(token.strip())


def speak_as(token: str) -> Caller:
    """The person of an access token, in whose name all is asked from now on. Refuses: Unauthenticated."""
    g.context = replace(g.context, token=token)
    g.caller = _verifier.caller(g.context)
    caller: Caller = g.caller
    return caller


# --- the question ---------------------------------------------------------------------------------------------------


def who() -> Caller | Context:
    """The caller when the request is authenticated, its bare context otherwise."""
    caller: Caller | None = g.get("caller")
    if caller is None:
        context: Context = g.context
        return context
    return caller


def ask(service: str, method: str, **arguments: Any) -> Any:
    """The answer of `service.method`, asked in the name of whoever sent this request, within its deadline."""
    return ask_as(service, method, who(), **arguments)


def ask_anew(service: str, method: str, **arguments: Any) -> Any:
    """Like `ask`, with a deadline of its own: for a question that follows a long stream of bytes."""
    context = replace(who().context, deadline=time.time() + load().rpc_timeout)
    return ask_as(service, method, context, **arguments)  # the token travels in the context


def later(question: Callable[..., Answer]) -> Callable[..., Answer]:
    """A question of this request's that is asked while its answer is on the way, when the request itself is over.

    Each time under a context of its own, in the same caller's name, with a full deadline.
    """
    app, asker = current_app._get_current_object(), g.caller  # type: ignore[attr-defined]

    def asked(*about: Any) -> Answer:
        with app.app_context():
            g.context = replace(asker.context, deadline=time.time() + load().rpc_timeout)
            g.caller = replace(asker, context=g.context)
            return question(*about)

    return asked


def ask_if_possible(service: str, method: str, **arguments: Any) -> Any | None:
    """Like `ask`, but None when the service does not answer soon: for what an answer is merely nicer with."""
    context = who().context
    soon = replace(context, deadline=min(context.deadline, time.time() + SOON))
    try:
        return ask_as(service, method, soon, **arguments)
    except Refusal:
        return None


def gateway_key() -> str:
    """This process' public key, to which data keys are handed over."""
    return clients().keys.public
