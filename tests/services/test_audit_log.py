"""The log as anybody may ask for it: heads, keys, and proofs that hold."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.audit.contract import LeafNotFound, TreeHeadNotFound
from services.audit.rules_tree import verify_consistency, verify_inclusion
from services.refusals import InvalidInput
from tests.builders import House, context
from tests.services.audit_log import Log

SIZES = (1, 2, 9, 300, 301, 812)


class World:
    """A house of audit alone, with a log of several heads."""

    def __init__(self, database: Callable[[str], str], folder: Path) -> None:
        url = database("audit")
        self.log = Log(url, folder)
        self.house = House({"audit": url}.__getitem__, services=("audit",))

    def grow(self) -> None:
        size = 0
        for wanted in SIZES:
            self.log.keep_some(wanted - size)
            self.log.seal()
            size = wanted

    def ask(self, method: str, **given: Any) -> Any:
        return self.house.ask("audit", method, context(), **given)


@pytest.fixture(scope="module")
def world(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(database, tmp_path_factory.mktemp("witness"))
    with pytest.raises(TreeHeadNotFound):
        made.ask("latest_tree_head")
    with pytest.raises(TreeHeadNotFound):
        made.ask("inclusion_proof", leaf="00" * 32)
    made.grow()
    yield made
    made.house.close()
    made.log.close()


def test_heads_come_newest_first_a_page_at_a_time(world: World) -> None:
    found, cursor = [], None
    while True:
        page = world.ask("tree_heads", limit=4, cursor=cursor)
        found += page["heads"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [head["size"] for head in found] == sorted(SIZES, reverse=True)
    assert world.ask("latest_tree_head") == found[0]
    assert {head["key_id"] for head in found} == {world.log.key.id}
    [key] = world.ask("log_keys")["keys"]
    assert b64decode(key["public_key"]) == world.log.key.public
    assert (key["key_id"], key["from_size"]) == (world.log.key.id, 0)


def test_every_entry_is_proved_in_each_head_that_is_over_it_and_in_no_other(world: World) -> None:
    with world.log.sessions.transaction() as session:
        leaves = [bytes(leaf) for leaf in session.scalars(sa.text("select hash from leaves order by position"))]
    for position in (0, 1, 2, 8, 9, 255, 256, 299, 300, 511, 512, 811):
        for size in SIZES:
            if position >= size:
                with pytest.raises(LeafNotFound):
                    world.ask("inclusion_proof", leaf=leaves[position].hex(), size=size)
                continue
            proof = world.ask("inclusion_proof", leaf=leaves[position].hex(), size=size)
            path, root = [b64decode(node) for node in proof["path"]], b64decode(proof["head"]["root"])
            assert proof["position"] == position
            assert verify_inclusion(leaves[position], position, size, path, root)
            assert not verify_inclusion(leaves[position - 1], position, size, path, root)
    assert world.ask("inclusion_proof", leaf=leaves[5].hex())["head"]["size"] == SIZES[-1]


def test_each_head_is_proved_to_have_grown_out_of_each_before_it(world: World) -> None:
    for first in SIZES:
        for second in SIZES:
            if first > second:
                with pytest.raises(InvalidInput):
                    world.ask("consistency_proof", first=first, second=second)
                continue
            proof = world.ask("consistency_proof", first=first, second=second)
            path = [b64decode(node) for node in proof["path"]]
            roots = [b64decode(proof[which]["root"]) for which in ("first", "second")]
            assert verify_consistency(first, second, *roots, path)
            assert first == second or not verify_consistency(first, second, roots[1], roots[1], path)
    assert world.ask("consistency_proof", first=2)["second"]["size"] == SIZES[-1]


@pytest.mark.parametrize(
    ("method", "given", "refusal"),
    [
        ("inclusion_proof", {"leaf": "ab" * 32}, LeafNotFound),
        ("inclusion_proof", {"leaf": "AB" * 32}, InvalidInput),
        ("inclusion_proof", {"leaf": "ab"}, InvalidInput),
        ("inclusion_proof", {"leaf": "ab" * 32, "size": 3}, TreeHeadNotFound),
        ("inclusion_proof", {"leaf": "ab" * 32, "size": 0}, InvalidInput),
        ("consistency_proof", {"first": 3}, TreeHeadNotFound),
        ("consistency_proof", {"first": 2, "second": 3}, TreeHeadNotFound),
        ("consistency_proof", {"first": 1 << 63}, InvalidInput),
        ("tree_heads", {"limit": 0}, InvalidInput),
        ("tree_heads", {"limit": 101}, InvalidInput),
        ("tree_heads", {"cursor": "x"}, InvalidInput),
        ("tree_heads", {"cursor": "٣"}, InvalidInput),
    ],
)  # fmt: skip
def test_what_is_not_there_or_no_question_is_refused(
    world: World, method: str, given: dict[str, Any], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        world.ask(method, **given)
