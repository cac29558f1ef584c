"""What a list shows equals what each document would answer: one WHERE clause against brute force, over any scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from services.db import Sessions, new_id
from services.documents import rules, store
from services.documents.contract import LEVELS, PDF
from services.documents.models import documents, record_keys, versions
from services.dossier.contract import NOBODY, AccessScope, Clause

CATEGORIES = ("care_reports", "laboratory", "prescriptions", "personal_expression")
FOLDERS = ("medical_data", "prescription")
AUTHORS = (None, new_id(), new_id())
RECORD, NEIGHBOUR = new_id(), new_id()
BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)

subsets = st.sets(st.sampled_from(CATEGORIES)).map(lambda chosen: tuple(sorted(chosen)))
clauses = st.builds(
    Clause,
    ground=st.sampled_from(("circle", "presence", "responsibility")),
    rule=st.sampled_from(("a", "b")),
    read=subsets,
    deposit=subsets,
    folders=st.none() | st.sets(st.sampled_from(FOLDERS)).map(tuple),
    levels=st.sets(st.sampled_from(LEVELS)).map(tuple),
)
scopes = st.builds(
    AccessScope,
    record_id=st.just(RECORD),
    patient_id=st.none(),
    state=st.none(),
    holder_side=st.booleans(),
    may_see_blocked=st.booleans(),
    author_id=st.sampled_from((None, NOBODY, *AUTHORS)),
    clauses=st.lists(clauses, max_size=3).map(tuple),
)


def every_document() -> Iterator[dict[str, Any]]:
    """One document of every category × folder × level × author × block in the record, and a neighbour's twins."""
    kinds = product((RECORD, NEIGHBOUR), CATEGORIES, FOLDERS, LEVELS, AUTHORS, (False, True))
    for number, (record_id, category, folder, level, author_id, blocked) in enumerate(kinds):
        at = BEGINNING + timedelta(minutes=number // 3)  # some share their moment
        yield {
            "document_id": new_id(), "record_id": record_id, "home_record_id": record_id,
            "type": "medical_report", "category": category, "folder": folder, "title": "x",
            "author_kind": "professional" if author_id else "holder",
            "author_id": author_id, "level": level, "patient_blocked_at": at if blocked else None,
            "current_version_id": new_id(), "deposited_at": at, "upload_id": new_id(),
        }  # fmt: skip


@pytest.fixture(scope="module")
def shelf(database: Callable[[str], str]) -> Iterator[tuple[Sessions, list[dict[str, Any]]]]:
    """A database with every document there can be."""
    sessions, rows = Sessions(database("documents")), list(every_document())
    with sessions.transaction() as session:
        for record_id in (RECORD, NEIGHBOUR):
            session.execute(sa.insert(record_keys).values(record_id=record_id, wrapped_key=b"k", created_at=BEGINNING))
        session.execute(sa.insert(documents), rows)
        session.execute(sa.insert(versions), [
            {"version_id": row["current_version_id"], "document_id": row["document_id"], "number": 1,
             "wrapped_key": b"k", "key_record_id": row["record_id"], "media_type": PDF, "size": 1, "sha256": bytes(32),
             "account_id": new_id(), "created_at": row["deposited_at"]}
            for row in rows
        ])  # fmt: skip
    yield sessions, rows
    sessions.engine.dispose()


def allowed(scope: AccessScope, row: dict[str, Any]) -> bool:
    """The rule, document by document."""
    facts = rules.Facts(
        row["category"], row["folder"], row["level"], row["author_id"], row["patient_blocked_at"] is not None
    )
    return row["record_id"] == RECORD and rules.may_read(scope, facts) is not None


def whole_list(session: Session, scope: AccessScope, limit: int) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        rows = store.page(session, scope, RECORD, after, limit)
        found += [row.document_id for row in rows[:limit]]
        if len(rows) <= limit:
            return found
        after = rules.from_cursor(
            rules.to_cursor(rules.Position(rows[limit - 1].deposited_at, rows[limit - 1].document_id))
        )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scope=scopes, limit=st.sampled_from((10, 50, 72, 100)))
def test_a_list_shows_exactly_what_each_document_would_answer(
    shelf: tuple[Sessions, list[dict[str, Any]]], scope: AccessScope, limit: int
) -> None:
    sessions, rows = shelf
    right = [row for row in rows if allowed(scope, row)]
    right.sort(key=lambda row: (row["deposited_at"], row["document_id"]), reverse=True)
    with sessions.transaction() as session:
        assert whole_list(session, scope, limit) == [row["document_id"] for row in right]
        assert store.sees_anything(session, scope, RECORD) == bool(right)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scope=scopes, picks=st.lists(st.integers(0, 2**16), min_size=6, max_size=6))
def test_reading_opening_and_changing_one_document_follow_the_same_rule(
    shelf: tuple[Sessions, list[dict[str, Any]]], scope: AccessScope, picks: list[int]
) -> None:
    sessions, rows = shelf
    with sessions.transaction() as session:
        for row in (rows[pick % len(rows)] for pick in picks):
            asked = (session, scope, RECORD, row["document_id"])
            answers = (
                bool(store.history(*asked)),
                store.content(*asked, None, new_id()) is not None,
                store.lock_document(*asked) is not None,
            )
            assert answers == (allowed(scope, row),) * 3


def test_an_empty_scope_sees_nothing(shelf: tuple[Sessions, list[dict[str, Any]]]) -> None:
    sessions, _ = shelf
    nothing = AccessScope(RECORD, None, None, False, True, None, ())
    with sessions.transaction() as session:
        assert whole_list(session, nothing, 100) == []


def test_every_document_of_the_record_is_seen_by_some_scope(shelf: tuple[Sessions, list[dict[str, Any]]]) -> None:
    sessions, rows = shelf
    everything = Clause("holder", "holder", CATEGORIES, (), None, LEVELS)
    with sessions.transaction() as session:
        seen = whole_list(session, AccessScope(RECORD, None, None, True, True, None, (everything,)), 100)
    assert len(seen) == len(rows) / 2
