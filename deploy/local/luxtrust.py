"""The LuxTrust of the stack: a small OpenID Connect issuer of our own, with the page where a card's PIN is typed.

It stands where LuxTrust stands in production, so that log-in and activation walk the whole way: discovery,
authorization code with PKCE, ID token. It is strict where LuxTrust is: PKCE S256 or nothing, a code works once and for
a minute, redirect addresses match exactly, five wrong PINs block a card. `python -m deploy.local.luxtrust STATE` lists
the cards. Each card is a file; whoever may write the state folder may add one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from flask import Flask, Response, redirect, request
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.layout import REPOSITORY, Layout, write_private
from deploy.local.part import Part

CLIENT_ID = "opendsp"
ALGORITHM = "ES256"
PRODUCTS = {"smartcard": ["sc", "pin"], "token": ["hwk", "pin"], "mobile": ["swk", "pin"]}
"""What LuxTrust hands out, and how a log-in with it is described (RFC 8176)."""
PIN_TRIES = 5
JOURNEY_SECONDS, CODE_SECONDS, TOKEN_SECONDS = 600, 60, 300
BIN = Path(sys.prefix) / "bin"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


# --- a part of the stack ----------------------------------------------------------------------------------------------


def url(layout: Layout) -> str:
    """The issuer's name, which is its address: another site than the gateway's, as in life."""
    return f"http://127.0.0.1:{layout.ports['luxtrust']}"


def home(layout: Layout) -> Path:
    """The folder of its key, its one client and its cards."""
    return layout.state / "luxtrust"


def prepare(layout: Layout) -> None:
    """Write its client and its key; an existing key is kept, or tokens under way would be worth nothing."""
    folder = home(layout)
    for each in (folder, folder / "cards", folder / "tries"):
        each.mkdir(mode=0o700, exist_ok=True)
    client = {
        "issuer": url(layout),
        "client_id": CLIENT_ID,
        "client_secret": layout.secrets["luxtrust_client_secret"],
        "redirect_uris": [f"{layout.public_url}/luxtrust/callback"],
    }
    write_private(folder / "client.json", json.dumps(client, indent=1))
    if not (folder / "key.json").exists():
        write_private(folder / "key.json", json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))


def part(layout: Layout) -> Part:
    """The supervised issuer."""
    return Part(
        name="luxtrust",
        command=[
            str(BIN / "gunicorn"), "--bind", f"127.0.0.1:{layout.ports['luxtrust']}", "--workers", "1",
            "--threads", "8", "--worker-class", "gthread", "--worker-tmp-dir", str(home(layout)),
            "--graceful-timeout", "5", "--no-control-socket", "--log-level", "warning",
            f"deploy.local.luxtrust:issuer({str(home(layout))!r})",
        ],
        directory=REPOSITORY,
        environment={"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


# --- cards ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A LuxTrust product of somebody. subject: what the issuer calls its holder, in every token."""

    number: str
    pin: str
    subject: str
    product: str = "smartcard"


def new_card(cards: Path, product: str = "smartcard", subject: str | None = None) -> Card:
    """A card with a PIN of its own, put among the others; with a subject, one more product of the same holder."""
    card = Card(
        number="-".join(f"{secrets.randbelow(10_000):04d}" for _ in range(4)),
        pin=f"{secrets.randbelow(10**8):08d}",
        subject=subject or f"lt-{secrets.token_hex(12)}",
        product=product,
    )
    write_private(cards / f"{card.number}.json", json.dumps(asdict(card)))
    return card


class Drawer:
    """The cards, and how often each one's PIN was typed wrongly."""

    def __init__(self, folder: Path) -> None:
        self._cards, self._tries = folder / "cards", folder / "tries"
        self._lock = threading.Lock()

    def cards(self) -> list[Card]:
        """Every card, by number."""
        return [Card(**json.loads(file.read_text())) for file in sorted(self._cards.glob("*.json"))]

    def add(self) -> Card:
        """One more card."""
        return new_card(self._cards)

    def tries(self, number: str) -> int:
        """Wrong PINs since the last right one."""
        file = self._tries / number
        return int(file.read_text()) if file.exists() else 0

    def opens(self, number: str, pin: str) -> Card | None:
        """The card, when the PIN is its own and it is not blocked; a wrong PIN is counted before it is answered."""
        with self._lock:
            card = next((one for one in self.cards() if one.number == number), None)
            if card is None or self.tries(number) >= PIN_TRIES:
                return None
            right = hmac.compare_digest(card.pin.encode(), pin.encode())
            write_private(self._tries / number, str(0 if right else self.tries(number) + 1))
            return card if right else None


# --- what is under way ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Journey:
    """A visitor between the client's request and the way back."""

    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    ends_at: float
    card: Card | None = None
    authenticated_at: int = 0


class Journeys:
    """Journeys by a random word that works once; lost with the process, as LuxTrust's own sessions would be."""

    def __init__(self) -> None:
        self._kept: dict[str, Journey] = {}
        self._lock = threading.Lock()

    def keep(self, journey: Journey) -> str:
        word = secrets.token_urlsafe(32)
        with self._lock:
            self._kept = {key: one for key, one in self._kept.items() if one.ends_at > time.time()}
            self._kept[word] = journey
        return word

    def look(self, word: str) -> Journey | None:
        found = self._kept.get(word)
        return found if found is not None and found.ends_at > time.time() else None

    def take(self, word: str) -> Journey | None:
        with self._lock:
            found = self._kept.pop(word, None)
        return found if found is not None and found.ends_at > time.time() else None


# --- the issuer -------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html>
<html lang="fr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>LuxTrust (local)</title><style>body {{ font-family: sans-serif; max-width: 32rem; margin: 3rem auto }}
label, select, input, button {{ display: block; margin: .5rem 0; font-size: 1rem }}</style></head>
<body><h1>LuxTrust (local)</h1>{body}</body></html>
"""
PIN_FORM = """<p>{told}</p>
<form method="post" action="/authorize"><input type="hidden" name="journey" value="{journey}">
<label>Carte <select name="card">{cards}</select></label>
<label>PIN <input name="pin" type="password" inputmode="numeric" autocomplete="off" autofocus></label>
<button name="action" value="log_in">OK</button><button name="action" value="cancel">Annuler</button>
<button name="action" value="new_card">Nouvelle carte</button></form>
"""


def issuer(folder: str) -> Flask:
    """The application, from its folder."""
    app = Flask(__name__)
    client = json.loads((Path(folder) / "client.json").read_text())
    key = ECKey.import_key(json.loads((Path(folder) / "key.json").read_text()))
    kid = key.thumbprint()
    drawer, visits, codes = Drawer(Path(folder)), Journeys(), Journeys()

    @app.get("/.well-known/openid-configuration")
    def configuration() -> Any:
        name = client["issuer"]
        return {
            "issuer": name, "authorization_endpoint": f"{name}/authorize", "token_endpoint": f"{name}/token",
            "jwks_uri": f"{name}/jwks", "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM], "scopes_supported": ["openid"],
            "code_challenge_methods_supported": ["S256"], "grant_types_supported": ["authorization_code"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }  # fmt: skip

    @app.get("/jwks")
    def jwks() -> Any:
        return {"keys": [key.as_dict(private=False) | {"kid": kid, "use": "sig", "alg": ALGORITHM}]}

    @app.get("/authorize")
    def authorize() -> Response:
        asked = request.args
        if asked.get("client_id") != client["client_id"] or asked.get("redirect_uri") not in client["redirect_uris"]:
            return _page("<p>Demande inconnue.</p>", 400)  # never sent on: the address is not known to be the client's
        journey = Journey(
            asked["redirect_uri"], asked.get("state", ""), asked.get("nonce", ""), asked.get("code_challenge", ""),
            time.time() + JOURNEY_SECONDS,
        )  # fmt: skip
        if asked.get("response_type") != "code" or "openid" not in asked.get("scope", "").split():
            return _back(journey, error="invalid_request")
        if len(journey.challenge) != 43 or asked.get("code_challenge_method") != "S256":
            return _back(journey, error="invalid_request")
        return _pin_page(drawer, visits.keep(journey), "Choisissez votre carte et saisissez son PIN.")

    @app.post("/authorize")
    def pin() -> Response:
        word, action = request.form.get("journey", ""), request.form.get("action", "log_in")
        journey = visits.look(word)
        if journey is None:
            return _page("<p>Cette demande n'est plus valable.</p>", 400)
        if action == "cancel":
            visits.take(word)
            return _back(journey, error="access_denied")
        if action == "new_card":
            card = drawer.add()
            return _pin_page(drawer, word, f"Votre nouvelle carte : {card.number}, PIN : {card.pin}")
        number = request.form.get("card", "")
        opened = drawer.opens(number, request.form.get("pin", ""))
        if opened is None:
            blocked = drawer.tries(number) >= PIN_TRIES
            return _pin_page(drawer, word, "Cette carte est bloquée." if blocked else "Le PIN n'est pas juste.", 403)
        if visits.take(word) is None:
            return _page("<p>Cette demande n'est plus valable.</p>", 400)
        now = int(time.time())
        code = codes.keep(replace(journey, card=opened, authenticated_at=now, ends_at=time.time() + CODE_SECONDS))
        return _back(journey, code=code)

    @app.post("/token")
    def token() -> tuple[Any, int]:
        if not _is_client(client):
            return {"error": "invalid_client"}, 401
        found = codes.take(request.form.get("code", ""))  # used up, whatever follows
        if (
            request.form.get("grant_type") != "authorization_code"
            or found is None
            or found.card is None
            or request.form.get("redirect_uri") != found.redirect_uri
            or not hmac.compare_digest(challenge_of(request.form.get("code_verifier", "")), found.challenge)
        ):
            return {"error": "invalid_grant"}, 400
        now = int(time.time())
        claims = {
            "iss": client["issuer"], "sub": found.card.subject, "aud": client["client_id"], "iat": now,
            "exp": now + TOKEN_SECONDS, "auth_time": found.authenticated_at, "nonce": found.nonce,
            "amr": PRODUCTS[found.card.product],
        }  # fmt: skip
        id_token = jwt.encode({"alg": ALGORITHM, "kid": kid}, claims, key, algorithms=[ALGORITHM])
        return {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": TOKEN_SECONDS,
                "scope": "openid", "id_token": id_token}, 200  # fmt: skip

    return app


def challenge_of(verifier: str) -> str:
    """RFC 7636's S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _is_client(client: dict[str, Any]) -> bool:
    given = request.authorization
    if given is None or given.type != "basic":
        return False
    name, secret = unquote(given.username or ""), unquote(given.password or "")
    right = hmac.compare_digest(secret.encode(), client["client_secret"].encode())
    return right and name == client["client_id"]


def _pin_page(drawer: Drawer, journey: str, told: str, status: int = 200) -> Response:
    cards = "".join(f"<option>{escape(card.number)}</option>" for card in drawer.cards())
    return _page(PIN_FORM.format(told=escape(told), journey=escape(journey), cards=cards), status)


def _page(body: str, status: int) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(PAGE.format(body=body), status, headers, content_type="text/html; charset=utf-8")


def _back(journey: Journey, **answer: str) -> Any:
    return redirect(f"{journey.redirect_uri}?{urlencode(answer | {'state': journey.state})}", 303)


if __name__ == "__main__":
    for card in Drawer(home(Layout(Path(sys.argv[1])))).cards():
        print(f"{card.number}  PIN {card.pin}  {card.product}")
