"""How a year of entries is written down, and what is taken for one."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit import rules_archive as rules


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), min_size=1))
def test_what_was_written_is_read(rows: list[str]) -> None:
    assert rules.read(rules.written(rows)) == rows


@pytest.mark.parametrize("bent", [lambda g: g[:-1], lambda g: b"x" + g, lambda g: g[:10], lambda _: b"", bytes])
def test_a_group_that_is_cut_or_changed_is_none(bent: object) -> None:
    group = rules.written(['{"trace_id": "x"}'] * 50)
    if bent is bytes:
        assert rules.read(bytes(group)) == ['{"trace_id": "x"}'] * 50
        return
    with pytest.raises(rules.NotAnArchive):
        rules.read(bent(group))  # type: ignore[operator]


def test_a_group_that_would_fill_the_memory_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    group = rules.written(["x" * 10_000])
    monkeypatch.setattr(rules, "LONGEST_GROUP", 9_999)
    with pytest.raises(rules.NotAnArchive):
        rules.read(group)
    monkeypatch.setattr(rules, "LONGEST_GROUP", 10_001)
    assert rules.read(group) == ["x" * 10_000]


@pytest.mark.parametrize(
    ("at", "over"),
    [
        (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 1, 12, 0, tzinfo=UTC), False),
        (datetime(2026, 1, 2, 0, 0, tzinfo=UTC), True),
        (datetime(2024, 6, 1, tzinfo=UTC), False),
    ],
)
def test_a_year_is_over_when_it_is_everywhere(at: datetime, over: bool) -> None:
    assert rules.is_over(2025, at) is over


def test_what_is_said_names_each_pack_in_one_order() -> None:
    packs = [("b", 2, "22"), ("a", 1, "11")]
    assert rules.said(2025, packs) == "opendsp audit archive\n2025\na 1 11\nb 2 22\n" == rules.said(2025, packs[::-1])
    assert rules.digest_of("x") == sha256(b"x").hexdigest()
