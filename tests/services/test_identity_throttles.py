"""The rows behind the throttles, when one person knocks many times at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from secrets import token_bytes

import pytest
import sqlalchemy as sa

from services.db import now
from services.identity import rules_throttles as throttles
from services.identity import store
from services.identity.models import TriesRow
from tests.services.identity_house import Front, identity_house


@pytest.fixture(scope="module")
def front(database: Callable[[str], str]) -> Iterator[Front]:
    house = identity_house(database)
    yield Front(house)
    house.close()


@pytest.mark.parametrize("narrow_first", [True, False])
def test_many_right_tries_at_one_moment_neither_wait_for_each_other_nor_lose_a_row(
    front: Front, narrow_first: bool
) -> None:
    narrow, wide = sorted((token_bytes(32), token_bytes(32)), reverse=not narrow_first)
    generous = throttles.Limit(free=10_000, forgotten_after=throttles.PER_ADDRESS.forgotten_after)
    keyed = [(narrow, generous), (wide, generous)]

    def knock(_: int) -> int | None:
        with front.sessions.transaction() as session:
            wait = store.take_tries(session, keyed, now())
        with front.sessions.transaction() as session:
            store.give_back_tries(session, keyed)
        return wait

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(knock, range(300))) == [None] * 300
    left = front.one(sa.select(TriesRow.checked).where(TriesRow.key == wide))
    assert left == 0 and front.one(sa.select(TriesRow.checked).where(TriesRow.key == narrow)) is None


def test_one_right_try_forgives_its_subject_and_not_everybody_at_the_address(front: Front) -> None:
    subject, address, alone = (token_bytes(32) for _ in range(3))
    both = [(subject, throttles.PER_SUBJECT), (address, throttles.PER_ADDRESS)]
    for keyed in (both, [(alone, throttles.PER_ADDRESS)]):
        for _ in range(3):
            with front.sessions.transaction() as session:
                assert store.take_tries(session, keyed, now()) is None
        with front.sessions.transaction() as session:
            store.give_back_tries(session, keyed)
    left = {key: front.one(sa.select(TriesRow.checked).where(TriesRow.key == key)) for key in (subject, address, alone)}
    assert left == {subject: None, address: 2, alone: 2}


@pytest.mark.parametrize(("tries", "blocked"), [(5, False), (7, True)])
def test_a_right_try_is_given_back_with_the_block_that_it_alone_brought(
    front: Front, tries: int, blocked: bool
) -> None:
    subject, wider, at = token_bytes(32), token_bytes(32), now()
    keyed = [(subject, throttles.PER_ADDRESS), (wider, throttles.PER_SUBJECT)]
    for _ in range(tries):
        with front.sessions.transaction() as session:
            session.execute(sa.update(TriesRow).where(TriesRow.key == wider).values(last_at=at - timedelta(hours=2)))
            session.execute(sa.update(TriesRow).where(TriesRow.key == wider).values(blocked_until=None))
            assert store.take_tries(session, keyed, at) is None
    assert front.one(sa.select(TriesRow.blocked_until).where(TriesRow.key == wider)) is not None
    with front.sessions.transaction() as session:
        store.give_back_tries(session, keyed)
    left = sa.select(TriesRow.tries, TriesRow.checked, TriesRow.blocked_until.is_not(None)).where(TriesRow.key == wider)
    with front.sessions.transaction() as session:
        assert tuple(session.execute(left).one()) == (tries, tries - 1, blocked)


def test_a_try_taken_and_given_back_in_one_transaction_counts_nothing(front: Front) -> None:
    alone = token_bytes(32)
    keyed = [(alone, throttles.PER_ADDRESS)]
    with front.sessions.transaction() as session:
        assert store.take_tries(session, keyed, now()) is None
        store.give_back_tries(session, keyed)
    assert front.one(sa.select(TriesRow.checked).where(TriesRow.key == alone)) == 0
