"""The service against a reference written differently: what a list shows and what each document would answer.

The sizes of the long runs are 2,000 situations of callers x 500 documents each, and 5,000 small worlds to shrink.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.documents import rules as documents_rules
from services.documents import store as documents_store
from services.documents.rules import Facts
from services.dossier import rules
from services.dossier.contract import AccessScope, DocumentFacts
from services.tokens import Caller
from tests.builders import House
from tests.services.record_reference import Reference
from tests.services.record_world import Row, World


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, ("dossier", "documents"))
    yield made
    made.close()


def settle(house: House, world: World) -> None:
    """Puts a world into both databases."""
    with house.sessions["dossier"].transaction() as session:
        world.fill_dossier(session)
    with house.sessions["documents"].transaction() as session:
        world.fill_documents(session)


def compare(house: House, world: World, reference: Reference, who: Caller, record: Row) -> Counter[str]:
    """Holds one caller's list, and the decision on every document of the record, to the reference."""
    wire = house.ask("dossier", "access_scope", who, record_id=record["record_id"])
    scope, held = AccessScope.from_wire(wire), reference.held(who, record)
    there = [row for row in world.documents if row["record_id"] == record["record_id"]]
    with house.sessions["documents"].transaction() as session:
        listed = documents_store.page(session, scope, record["record_id"], None, len(there))
    shown, seen = {row.document_id for row in listed}, Counter[str]()
    for document in there:
        expected = reference.reads(who, held, record, document)
        assert (document["document_id"] in shown) is expected, (who, record, document, held)
        against = (document["document_id"], who.professional_id) in reference.against
        assert (documents_rules.may_read(scope, of_documents(document, against)) is not None) is expected
        assert (rules.grant_of_reading(scope, of_dossier(document, who, against)) is not None) is expected
        seen["read" if expected else "refused"] += 1
    return seen


def of_documents(row: Row, against: bool) -> Facts:
    return Facts(
        row["category"], row["folder"], row["level"], row["author_id"], row["patient_blocked_at"] is not None,
        row["type"], row["withheld_at"] is not None, against,
    )  # fmt: skip


def of_dossier(row: Row, who: Caller, against: bool) -> DocumentFacts:
    return DocumentFacts(
        row["category"], row["type"], row["folder"], row["level"], row["author_id"],
        row["patient_blocked_at"] is not None, row["withheld_at"] is not None,
        (str(who.professional_id),) if against else (),
    )  # fmt: skip


def agree(house: House, seed: int, situations: int, **sizes: int) -> None:
    world = World(random.Random(seed), documents=500, **sizes)
    settle(house, world)
    reference, seen = Reference(world), Counter[str]()
    pairs = [(who, record) for who in world.callers() for record in world.rows["records"]]
    for who, record in world.draw.sample(pairs, situations):
        seen += compare(house, world, reference, who, record)
    cases = situations * 500
    assert seen.total() == cases
    # The draw must hold enough of both answers to mean something.
    assert seen["read"] > cases // 20
    assert seen["refused"] > cases // 20


def test_the_service_agrees_with_the_reference_on_every_document_of_60_situations(house: House) -> None:
    agree(house, 20261121, 60, records=4, professionals=30, persons=8)


@pytest.mark.long
def test_the_service_agrees_with_the_reference_on_a_million_cases(house: House) -> None:
    agree(house, 4, 2000, records=20, professionals=80, persons=25)


def small_world_agrees(house: House, draw: random.Random) -> None:
    world = World(draw, records=1, professionals=2, persons=2, documents=6)
    settle(house, world)
    reference = Reference(world)
    for who in list(world.callers()):
        compare(house, world, reference, who, world.rows["records"][0])


QUIET: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@settings(max_examples=60, **QUIET)
@given(st.randoms(use_true_random=False))
def test_the_service_agrees_with_the_reference_in_small_worlds(house: House, draw: random.Random) -> None:
    small_world_agrees(house, draw)


@pytest.mark.long
@settings(max_examples=5000, **QUIET)
@given(st.randoms(use_true_random=False))
def test_the_service_agrees_with_the_reference_in_5000_small_worlds(house: House, draw: random.Random) -> None:
    small_world_agrees(house, draw)
