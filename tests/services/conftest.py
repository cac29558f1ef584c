"""What many files of tests stand on: a dossier, a ward in a house of dossier and documents, the front of identity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from argon2 import PasswordHasher

from deploy.local import processes
from deploy.local.stack import Stack
from services.db import new_id
from services.documents.ports.blobs import Blobs
from services.dossier import presence_code
from services.identity.ports import hashing
from services.settings import Settings
from tests.builders import House
from tests.services.dossier_house import DossierHouse, emptied
from tests.services.identity_house import Front, identity_house
from tests.services.news_house import Newsroom, Ring
from tests.services.post_house import Provider
from tests.services.thread_house import Threads
from tests.services.ward import Ward


@pytest.fixture(scope="session", autouse=True)
def _cheap_hashes() -> None:
    """Secrets are hashed for next to nothing within the tests' own process; what one costs in a service, and that it is
    paid, is told by test_hash_costs.py."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    presence_code._HASHER = hashing._HASHER = cheap
    presence_code._NO_CODE = presence_code.hash_of(presence_code.draw())
    hashing.nobodys_hash.cache_clear()


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


# --- people who are told something ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def together(database: Callable[[str], str]) -> Iterator[House]:
    """Those who have to be there for anybody to be told anything."""
    house = identity_house(database, "dossier", "notifications")
    yield house
    house.close()


@pytest.fixture(scope="module")
def ring(together: House, infra: Stack) -> Ring:
    """Made once: what they have heard is forgotten before each test."""
    return Newsroom.of(together, infra).ring()


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


# --- people who write to one another ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def writers(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, ("dossier", "notifications"))
    yield house
    house.close()


@pytest.fixture
def mail(writers: House, infra: Stack) -> Threads:
    return Threads.fresh(writers, infra)
