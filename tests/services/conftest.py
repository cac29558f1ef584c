"""What many files of tests stand on: a dossier, a ward in a house of dossier and documents, the front of identity."""

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
from tests.services.dossier_house import DossierHouse, emptied
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
    """A fresh record in the house; the outbox starts empty, and nothing waits for a close look."""
    made = Ward(care_house, bucket)
    made.sql("delete from outbox")
    made.sql("delete from examinations")
    return made


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest, database: Callable[[str], str]) -> Iterator[DossierHouse]:
    """One dossier for a file of tests; one of another kind where the file names it as HOUSE."""
    made = getattr(request.module, "HOUSE", DossierHouse)(database("dossier"))
    yield made
    made.sessions.engine.dispose()


@pytest.fixture
def house(built: DossierHouse) -> DossierHouse:
    """It as it was on its first day: emptying tables is much faster than making a database."""
    return emptied(built)


@pytest.fixture(scope="module")
def front(database: Callable[[str], str]) -> Iterator[Front]:
    """A fresh house of identity and directory per file, seen from its front door."""
    house = identity_house(database)
    yield Front(house)
    house.close()
