"""A person at LuxTrust's pages: follows the link, chooses a card, types its PIN and comes back to the platform.

One `requests.Session` plays the browser: the cookie with which the journey began goes along to its end, and to its own
site only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests

from deploy.local.luxtrust import Card, new_card

if TYPE_CHECKING:
    from deploy.visitors import Visitor

JOURNEY = re.compile(r'name="journey" value="([^"]+)"')
PATIENCE = 120  # seconds


class LuxTrustRefused(Exception):
    """The issuer or the way back said no; carries the status and which of the two, no secrets."""


def card_of(visitor: Visitor) -> Card:
    """The visitor's card, made when they have none: the number, PIN and holder are theirs from then on."""
    cards = visitor.town.letters_folder.parent / "luxtrust" / "cards"
    if "card" not in visitor.ids:
        card = new_card(cards)
        visitor.ids |= {"card": card.number, "card_pin": card.pin, "card_subject": card.subject}
    return Card(visitor.ids["card"], visitor.ids["card_pin"], visitor.ids["card_subject"])


def luxtrust(visitor: Visitor, authorization_url: str, pin: str | None = None) -> requests.Response:
    """Walks to LuxTrust and back with the visitor's own browser; the page they end on.

    Refuses: LuxTrustRefused, when the PIN is not taken or the platform does not take them back.
    """
    back = way_back(visitor.http, authorization_url, card_of(visitor), pin)
    page = visitor.http.get(back, timeout=PATIENCE, allow_redirects=False)
    if page.status_code != requests.codes.ok:
        raise LuxTrustRefused(f"the way back: {page.status_code}")
    return page


def way_back(http: requests.Session, authorization_url: str, card: Card, pin: str | None = None) -> str:
    """The address to which LuxTrust sends the browser after the PIN; it is not followed.

    Refuses: LuxTrustRefused.
    """
    page = http.get(authorization_url, timeout=PATIENCE, allow_redirects=False)
    found = JOURNEY.search(page.text)
    if page.status_code != requests.codes.ok or found is None:
        raise LuxTrustRefused(f"the PIN page: {page.status_code}")
    form = {"journey": found.group(1), "card": card.number, "pin": pin or card.pin, "action": "log_in"}
    answer = http.post(urljoin(authorization_url, "/authorize"), data=form, timeout=PATIENCE, allow_redirects=False)
    if answer.status_code != requests.codes.see_other:
        raise LuxTrustRefused(f"the PIN: {answer.status_code}")
    return answer.headers["Location"]
