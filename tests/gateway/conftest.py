"""A gateway in this process, as far as it goes without services: nobody is on its bus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import OKPKey

from gateway import caller
from gateway.app import create_app
from services.db import new_id
from services.tokens import AUDIENCE, ISSUER

ACCOUNT = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
RECORD = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"


@pytest.fixture(scope="session")
def app() -> Flask:
    return create_app()


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


class Signer:
    """Signs tokens as identity does, with a key the gateway was told of."""

    def __init__(self) -> None:
        self.kid = new_id()
        self.key = OKPKey.generate_key("Ed25519", {"kid": self.kid})

    def token(self, key: OKPKey | None = None, _typ: str = "JWT", **claims: Any) -> str:
        facts = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": ACCOUNT, "sid": RECORD, "cap": "patient", "pat": ACCOUNT,
            "exp": in_minutes(10),
        }  # fmt: skip
        header = {"alg": "Ed25519", "kid": self.kid, "typ": _typ}
        return jwt.encode(header, facts | claims, key or self.key, algorithms=["Ed25519"])

    def header(self, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**claims)}"}


def in_minutes(minutes: float) -> int:
    return int(time.time() + 60 * minutes)


@pytest.fixture
def signer() -> Iterator[Signer]:
    made = Signer()
    caller._keys.remember([made.key.as_dict(private=False)])
    yield made
    caller._keys.remember([])


@pytest.fixture
def bearer(signer: Signer) -> dict[str, str]:
    return signer.header()
