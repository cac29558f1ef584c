"""SMS to people: at least once, under a client reference by which a repeat is known.

Two ways out behind one port: a provider's JSON interface over HTTP, and a folder where each message becomes a file (the
local stack, or a gateway that fetches files).
"""

from __future__ import annotations

import json
from typing import Protocol

import requests

from services.notifications.ports.folder import Folder
from services.settings import Settings

TIMEOUT = 5.0
# These say that we, or the moment, are wrong, not the message: a credential to renew, too much at once, too early.
_NOT_ITS_FAULT = frozenset({401, 403, 407, 408, 425, 429})


class SmsRefused(Exception):
    """The provider will never take this message (no such number): sending again would not help."""


class Sms(Protocol):
    """A way to send short messages."""

    def send(self, text: str, *, to: str, client_reference: str) -> None:
        """Hands one message over and returns when it was taken.

        to: E.164. client_reference: the same at each repeat, so that a message sent twice is seen as one.
        Raises SmsRefused for good, OSError (every error of requests is one) for now.
        """


def sms_of(settings: Settings) -> Sms | None:
    """The way the settings name; None where no SMS are sent. Raises ValueError for one in clear."""
    if settings.sms_provider == "http":
        if settings.profile == "production" and not settings.sms_url.startswith("https://"):
            raise ValueError("sms_url must begin with https://: one-time codes and a credential travel there")
        return HttpSms(settings.sms_url, settings.sms_token, settings.sms_sender)
    if settings.sms_provider == "outbox":
        return SmsFolder(settings.sms_folder, settings.sms_sender)
    return None


class HttpSms:
    """A provider that takes `POST {to, text, sender, client_reference}` as JSON with a bearer token.

    2xx: taken. 4xx: never, except where the credential or the pace is meant. All else, silence included: later.
    """

    def __init__(self, url: str, token: str, sender: str) -> None:
        self._url, self._sender = url, sender
        self._headers = {"Authorization": f"Bearer {token}"}

    def send(self, text: str, *, to: str, client_reference: str) -> None:
        """As the port promises. A redirect is not followed: the code would go where nobody decided."""
        message = {"to": to, "text": text, "sender": self._sender, "client_reference": client_reference}
        with requests.Session() as session:
            session.trust_env = False
            # streamed and never read: what a provider says beside its status is of no use and may be without end
            answer = session.post(
                self._url, json=message, headers=self._headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            )
            status = answer.status_code
            answer.close()
        if 200 <= status < 300:
            return
        if 400 <= status < 500 and status not in _NOT_ITS_FAULT:
            raise SmsRefused()
        raise OSError(f"the SMS provider answered {status}")


class SmsFolder:
    """A folder with one file per message, named by its client reference: a repeat overwrites."""

    def __init__(self, folder: str, sender: str) -> None:
        self._folder, self._sender = Folder(folder), sender

    def send(self, text: str, *, to: str, client_reference: str) -> None:
        """Writes the message's file, whole or not at all, durable when this returns."""
        message = {"to": to, "text": text, "sender": self._sender, "client_reference": client_reference}
        self._folder.write(f"{client_reference}.json", json.dumps(message, ensure_ascii=False).encode())
