"""Webhooks: an event at a time to a foreign system's own https address, signed; and the question whether it wants them.

The question is the validation handshake of the CloudEvents webhook specification [CloudEvents 1.0.2, HTTP Web Hooks 4]:
an OPTIONS request that names who would send, answered with leave for that name. It keeps anybody from having us send to
an address that is not theirs.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.notifications.ports.outward import Outward, OutwardAnswer, OutwardRefused
from services.notifications.ports.signing import Signer
from services.notifications.ports.subscriber_broker import CONTENT_TYPE
from services.settings import Settings

SIGNATURE = "JWS-Signature"
HANDSHAKE_SECONDS = 3.0
"""Somebody waits for the answer to their own request."""


@dataclass(frozen=True)
class Outcome:
    """What became of one request; cause: null when it was taken. retry_after: as the receiver put it."""

    cause: str | None
    retry_after: str | None = None


class Webhooks:
    """Speaks to webhooks."""

    def __init__(self, settings: Settings, outward: Outward, signer: Signer) -> None:
        self._outward, self.signer = outward, signer
        self.origin = urlsplit(settings.public_url).hostname or "localhost"

    def agree(self, url: str) -> Outcome:
        """Asks whoever answers there whether they take events from us; the cause says what else came."""
        if not self.signer.able:
            return Outcome("not_offered")
        headers = {"WebHook-Request-Origin": self.origin, "User-Agent": "OpenDSP"}
        answer = self._spoken(url, b"", headers, method="OPTIONS", seconds=HANDSHAKE_SECONDS)
        if isinstance(answer, Outcome):
            return answer
        if not 200 <= answer.status < 300:
            return Outcome(f"http_{answer.status}")
        allowed = answer.headers.get("webhook-allowed-origin", "").strip().lower()
        return Outcome(None if allowed in ("*", self.origin.lower()) else "not_allowed")

    def send(self, url: str, body: bytes, *, audience: str, at: int, seconds: float | None = None) -> Outcome:
        """Sends one signed event; any 2xx takes it."""
        headers = {
            "Content-Type": f"{CONTENT_TYPE}; charset=utf-8", "User-Agent": "OpenDSP",
            SIGNATURE: self.signer.sign(body, audience=audience, at=at),
        }  # fmt: skip
        answer = self._spoken(url, body, headers, method="POST", seconds=seconds)
        if isinstance(answer, Outcome):
            return answer
        if 200 <= answer.status < 300:
            return Outcome(None)
        return Outcome(f"http_{answer.status}", answer.headers.get("retry-after"))

    def _spoken(
        self, url: str, body: bytes, headers: dict[str, str], *, method: str, seconds: float | None
    ) -> OutwardAnswer | Outcome:
        try:
            return self._outward.post(url, body, headers, method=method, seconds=seconds)
        except OutwardRefused as refused:
            return Outcome(refused.code)
        except ssl.SSLError:
            return Outcome("tls")
        except TimeoutError:
            return Outcome("timeout")
        except OSError:
            return Outcome("unreachable")
