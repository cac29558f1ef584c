"""LuxTrust, or any OpenID Connect issuer that the settings name.

Authorization code with PKCE (S256), state and nonce. What the issuer says of itself and its keys are remembered for an
hour; redirects are not followed, and nothing is waited for longer than five seconds.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.refusals import Unavailable
from services.settings import Settings, load

ALGORITHMS = ["ES256", "ES384", "PS256", "RS256"]  # a key pair's only: never `none`, never one with a shared secret
REMEMBERED = 3600.0  # seconds
KEYS_AGAIN_AFTER = 60.0  # an unknown key id may mean a new key, but not a flood of questions
TIMEOUT = (2.0, 5.0)  # seconds to connect, and for an answer
LEEWAY = 60  # seconds; the issuer's clock is not ours

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identified:
    """Whom the issuer vouches for. authenticated_at: when its holder proved it, epoch seconds as the issuer says."""

    subject: str
    means: list[object]
    authenticated_at: object


class Issuer:
    """One OpenID Connect issuer, to which this platform is known as a client."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, redirect_uri: str) -> None:
        self.issuer = issuer
        self._client_id, self._client_secret, self._redirect_uri = client_id, client_secret, redirect_uri
        self._kept: dict[str, tuple[float, Any]] = {}

    @classmethod
    def of(cls, settings: Settings) -> "Issuer":
        """The one of the settings; where they name none, every question is answered by Unavailable."""
        redirect_uri = f"{settings.public_url}/luxtrust/callback"
        return cls(settings.luxtrust_issuer, settings.luxtrust_client_id, settings.luxtrust_client_secret, redirect_uri)

    def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the person's browser goes to prove who they are, anew. Refuses: Unavailable."""
        with self._session() as session:
            url, _ = session.create_authorization_url(
                self._about_itself()["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce,
                prompt="login", max_age=0,
            )  # fmt: skip
        return str(url)

    def identify(self, code: str, *, nonce: str, verifier: str) -> Identified | None:
        """Redeems a code; None when the issuer does not take it, or says something that cannot be believed.

        Refuses: Unavailable, when the issuer does not answer.
        """
        endpoint = self._about_itself()["token_endpoint"]
        try:
            with self._session() as session:
                tokens = session.fetch_token(
                    endpoint, grant_type="authorization_code", code=code, code_verifier=verifier,
                    allow_redirects=False, timeout=TIMEOUT,
                )  # fmt: skip
            return self._believed(tokens["id_token"], nonce)
        except requests.HTTPError as error:  # an answer, but none that OAuth knows
            if error.response is not None and error.response.status_code < 500:
                return self._disbelieved(error)
            raise self._away(error) from None
        except requests.JSONDecodeError as error:
            return self._disbelieved(error)
        except requests.RequestException as error:
            raise self._away(error) from None
        except (OAuthError, JoseError, ValueError, KeyError, TypeError) as error:
            return self._disbelieved(error)

    # --- what is believed ---------------------------------------------------------------------------------------------

    def _believed(self, id_token: str, nonce: str) -> Identified:
        """Raises JoseError or ValueError for a token that is not this issuer's, for us, now, on this journey."""
        token = self._decoded(id_token)
        options: Any = {"iss": {"essential": True, "value": self.issuer},
                        "aud": {"essential": True, "value": self._client_id}}  # fmt: skip
        claims = CodeIDToken(token.claims, token.header, options, {"nonce": nonce, "client_id": self._client_id})
        claims.validate(now=int(time.time()), leeway=LEEWAY)
        subject, means = claims["sub"], claims.get("amr") or []
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise ValueError("sub")
        return Identified(subject, means, claims.get("auth_time"))

    def _decoded(self, id_token: str) -> jwt.Token:
        try:
            return jwt.decode(id_token, self._keys(REMEMBERED), algorithms=ALGORITHMS)
        except (JoseError, ValueError):  # perhaps signed with a key that is newer than what is remembered
            return jwt.decode(id_token, self._keys(KEYS_AGAIN_AFTER), algorithms=ALGORITHMS)

    def _disbelieved(self, error: Exception) -> None:
        log.warning("luxtrust answer refused", extra={"kind": type(error).__name__})

    # --- what the issuer says of itself -------------------------------------------------------------------------------

    def _about_itself(self) -> dict[str, Any]:
        return self._remembered("about", REMEMBERED, self._discover)

    def _discover(self) -> dict[str, Any]:
        found: dict[str, Any] = self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        endpoints = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if found.get("issuer") != self.issuer or not all(_is_safe(endpoint) for endpoint in endpoints):
            raise ValueError("not the issuer of the settings")  # OpenID Connect Discovery 4.3
        return found

    def _keys(self, lifetime: float) -> KeySet:
        return self._remembered("keys", lifetime, lambda: KeySet.import_key_set(
            self._get(self._about_itself()["jwks_uri"])
        ))  # fmt: skip

    def _remembered(self, name: str, lifetime: float, ask: Callable[[], Any]) -> Any:
        """What was asked within its lifetime, or is asked now. Refuses: Unavailable."""
        asked_at, kept = self._kept.get(name, (0.0, None))
        if kept is None or time.monotonic() - asked_at > lifetime:
            try:
                kept = ask()
            except (requests.RequestException, JoseError, ValueError, KeyError, TypeError) as error:
                raise self._away(error) from None
            self._kept[name] = (time.monotonic(), kept)
        return kept

    def _get(self, url: str) -> Any:
        if not _is_safe(url):
            raise ValueError("neither https nor this machine")
        with self._session() as session:
            answer = session.get(url, withhold_token=True, allow_redirects=False, timeout=TIMEOUT)
        if answer.status_code != requests.codes.ok:
            raise ValueError("no answer of its own")
        return answer.json()

    def _session(self) -> Any:
        return OAuth2Session(
            self._client_id, self._client_secret, token_endpoint_auth_method="client_secret_basic",  # noqa: S106
            scope="openid", redirect_uri=self._redirect_uri, code_challenge_method="S256", trust_env=False,
        )  # fmt: skip

    def _away(self, error: Exception) -> Unavailable:
        log.warning("luxtrust unavailable", extra={"kind": type(error).__name__})
        return Unavailable(service="luxtrust")


def _is_safe(url: object) -> bool:
    """Whether what is said there is said in private: over TLS, or without leaving this machine."""
    parts = urlsplit(url if isinstance(url, str) else "")
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"))


@cache
def issuer() -> Issuer:
    """This process' issuer, with what it remembers of it."""
    return Issuer.of(load())
