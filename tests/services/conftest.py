"""What the tests of more than one service stand on: a ward in a house of dossier and documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from deploy.local import processes
from deploy.local.stack import Stack
from services.db import new_id
from services.documents.ports.blobs import Blobs
from services.settings import Settings
from tests.builders import House
from tests.services.identity_house import Front, identity_house
from tests.services.ward import Ward


@pytest.fixture(scope="session")
def bucket(infra: Stack) -> Settings:
    """The settings of documents, with a bucket of the tests' own."""
    settings = replace(processes.load_settings(infra.layout, "documents"), s3_bucket=f"tests-{new_id()}")
    Blobs.of(settings).ensure()
    return settings


@pytest.fixture(scope="session")
def care_house(database: Callable[[str], str]) -> Iterator[House]:
    """dossier and documents, joined in one process."""
    made = House(database, ("dossier", "documents"))
    yield made
    made.close()


@pytest.fixture
def ward(care_house: House, bucket: Settings) -> Ward:
    """A fresh record in the house; the outbox starts empty."""
    made = Ward(care_house, bucket)
    made.sql("delete from outbox")
    return made


@pytest.fixture(scope="module")
def front(database: Callable[[str], str]) -> Iterator[Front]:
    """A fresh house of identity and directory per file, seen from its front door."""
    house = identity_house(database)
    yield Front(house)
    house.close()
