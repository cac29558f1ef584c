"""The stack's own LuxTrust: strict where LuxTrust is, so that what passes here has walked the whole way."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet

from deploy.local.layout import Layout
from deploy.local.luxtrust import PIN_TRIES, Card, challenge_of, issuer, new_card, prepare, url
from deploy.local.stack import Stack

VERIFIER = "v" * 43


class Office:
    """The issuer, asked as a browser and as its client would."""

    def __init__(self, layout: Layout) -> None:
        prepare(layout)
        self.folder = layout.state / "luxtrust"
        self.client = json.loads((self.folder / "client.json").read_text())
        self.http: FlaskClient = issuer(str(self.folder)).test_client()

    def card(self) -> Card:
        return new_card(self.folder / "cards")

    def request(self, **changes: str) -> Any:
        asked = {
            "client_id": self.client["client_id"], "redirect_uri": self.client["redirect_uris"][0],
            "response_type": "code", "scope": "openid", "state": "s", "nonce": "n",
            "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256",
        }  # fmt: skip
        return self.http.get("/authorize", query_string=asked | changes)

    def pin(self, card: Card, pin: str | None = None, page: Any = None, action: str = "log_in") -> Any:
        journey = re.search(r'name="journey" value="([^"]+)"', (page or self.request()).text)
        assert journey
        form = {"journey": journey[1], "card": card.number, "pin": pin or card.pin, "action": action}
        return self.http.post("/authorize", data=form)

    def code(self, card: Card) -> str:
        return back(self.pin(card))["code"]

    def redeem(self, code: str, secret: str | None = None, **changes: str) -> Any:
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER,
                "redirect_uri": self.client["redirect_uris"][0]}  # fmt: skip
        auth = (self.client["client_id"], secret or self.client["client_secret"])
        return self.http.post("/token", data=form | changes, auth=auth)


def back(answer: Any) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    layout = Layout(tmp_path_factory.mktemp("luxtrust"))
    layout.create()
    return Office(layout)


def test_a_card_and_its_pin_end_in_a_signed_id_token_for_this_client_and_this_nonce(office: Office) -> None:
    card = office.card()
    answer = back(office.pin(card))
    assert answer["state"] == "s"
    tokens = office.redeem(answer["code"]).get_json()
    keys = KeySet.import_key_set(office.http.get("/jwks").get_json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims
    assert (claims["iss"], claims["aud"]) == (office.client["issuer"], office.client["client_id"])
    assert (claims["sub"], claims["nonce"], claims["amr"]) == (card.subject, "n", ["sc", "pin"])


def test_a_code_works_once_and_only_for_the_client_with_the_verifier(office: Office) -> None:
    card = office.card()
    code = office.code(card)
    assert office.redeem(code).status_code == 200
    assert office.redeem(code).status_code == 400
    assert office.redeem(office.code(card), secret="another").status_code == 401
    assert office.redeem(office.code(card), code_verifier="w" * 43).status_code == 400
    assert office.redeem(office.code(card), redirect_uri="http://localhost/elsewhere").status_code == 400


def test_nobody_gets_a_pin_page_without_pkce_or_for_another_address(office: Office) -> None:
    assert office.request().status_code == 200
    for changes in ({"redirect_uri": "http://localhost/elsewhere"}, {"client_id": "somebody"}):
        assert office.request(**changes).status_code == 400
    for changes in ({"code_challenge_method": "plain"}, {"code_challenge": ""}, {"response_type": "token"}):
        assert back(office.request(**changes))["error"] == "invalid_request"


def test_five_wrong_pins_block_the_card_and_no_other(office: Office) -> None:
    card, other = office.card(), office.card()
    for _ in range(PIN_TRIES - 1):
        assert office.pin(card, "0").status_code == 403
    assert office.pin(card).status_code == 303, "four wrong ones are forgiven by the right one"
    for _ in range(PIN_TRIES):
        assert office.pin(card, "0").status_code == 403
    assert office.pin(card).status_code == 403
    assert office.pin(other).status_code == 303


def test_who_cancels_comes_back_without_a_code(office: Office) -> None:
    assert back(office.pin(office.card(), action="cancel")) == {"error": "access_denied", "state": "s"}


def test_a_new_card_is_shown_with_its_pin_and_lies_among_the_others(office: Office) -> None:
    before = set((office.folder / "cards").iterdir())
    page = office.pin(Card("", "", ""), action="new_card").text
    (made,) = set((office.folder / "cards").iterdir()) - before
    card = Card(**json.loads(Path(made).read_text()))
    assert card.number in page and card.pin in page


def test_it_is_a_part_of_the_stack_that_answers_once_the_stack_stands(infra: Stack) -> None:
    told = requests.get(f"{url(infra.layout)}/.well-known/openid-configuration", timeout=5).json()
    assert told["issuer"] == url(infra.layout)
    assert (infra.layout.state / "luxtrust" / "client.json").stat().st_mode & 0o077 == 0
