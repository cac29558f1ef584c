"""What a list shows equals what each document would answer: one WHERE clause, the rule of documents and the rule of
dossier against brute force, over any scope."""

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
from services.documents import rules, store, store_hidden
from services.documents.contract import LEVELS, PDF
from services.documents.models import documents, patient_blocks, record_keys, restrictions, versions, withholdings
from services.dossier import rules as dossier_rules
from services.dossier.contract import NOBODY, AccessScope, Clause, DocumentFacts

CATEGORIES = ("care_reports", "laboratory", "prescriptions", "personal_expression")
FOLDERS = ("medical_data", "prescription")
TYPES = ("medical_report", "laboratory_results", "discharge_letter")
PROFESSIONALS = (new_id(), new_id(), new_id())
AUTHORS = (None, *PROFESSIONALS[:2])
AGAINST: tuple[tuple[str, ...], ...] = ((), (), PROFESSIONALS[:1], PROFESSIONALS[1:])
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
    unread=st.sets(st.sampled_from(TYPES), max_size=2).map(tuple),
)
scopes = st.builds(
    AccessScope,
    record_id=st.just(RECORD),
    patient_id=st.none(),
    state=st.none(),
    holder_side=st.booleans(),
    may_see_blocked=st.booleans(),
    author_id=st.sampled_from((None, NOBODY, *PROFESSIONALS)),
    clauses=st.lists(clauses, max_size=3).map(tuple),
    may_see_withheld=st.booleans(),
    reader_id=st.sampled_from((None, *PROFESSIONALS)),
)


def every_document() -> Iterator[dict[str, Any]]:
    """Two documents of every category × folder × level × author × block in the record, and a neighbour's twins.

    Type, withholding and restrictions change in steps of their own, so that they meet the rest in every way.
    """
    kinds = product((RECORD, NEIGHBOUR), CATEGORIES, FOLDERS, LEVELS, AUTHORS, (False, True), range(2))
    for number, (record_id, category, folder, level, author_id, blocked, twin) in enumerate(kinds):
        at = BEGINNING + timedelta(minutes=number // 3)  # some share their moment
        yield {
            "document_id": new_id(), "record_id": record_id, "home_record_id": record_id,
            "type": TYPES[number * 7 // 5 % 3], "category": category, "folder": folder, "title": "x",
            "author_kind": "professional" if author_id else "holder",
            "author_id": author_id, "level": level, "patient_blocked_at": at if blocked else None,
            "withheld_at": at if (number // 2 + twin) % 3 == 0 else None,
            "current_version_id": new_id(), "deposited_at": at, "upload_id": new_id(),
            "against": AGAINST[number * 5 // 3 % 4],
        }  # fmt: skip


def hiding(row: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The rows of what hides a document, and of what did once."""
    begun = {"document_id": row["document_id"], "since": row["deposited_at"]}
    over = {**begun, "until": row["deposited_at"] + timedelta(days=1)}
    account = {"account_id": new_id()}
    for whom in PROFESSIONALS:
        told = {"restriction_id": new_id(), "professional_id": whom, "risk_version": "r", **account}
        yield restrictions, {**(begun if whom in row["against"] else over), **told}
    if row["patient_blocked_at"] is not None:
        told = {"block_id": new_id(), "professional_id": PROFESSIONALS[0], "reason": "x", **account}
        yield patient_blocks, {**begun, **told}
    if row["withheld_at"] is not None:
        yield withholdings, {**begun, "withholding_id": new_id(), **account}


@pytest.fixture(scope="module")
def shelf(database: Callable[[str], str]) -> Iterator[tuple[Sessions, list[dict[str, Any]]]]:
    """A database with every document there can be."""
    sessions, rows = Sessions(database("documents")), list(every_document())
    columns = [column.name for column in documents.c if column.name in rows[0]]
    with sessions.transaction() as session:
        for record_id in (RECORD, NEIGHBOUR):
            session.execute(sa.insert(record_keys).values(record_id=record_id, wrapped_key=b"k", created_at=BEGINNING))
        session.execute(sa.insert(documents), [{name: row[name] for name in columns} for row in rows])
        session.execute(sa.insert(versions), [
            {"version_id": row["current_version_id"], "content_id": row["current_version_id"],
             "document_id": row["document_id"], "number": 1,
             "wrapped_key": b"k", "key_record_id": row["record_id"], "media_type": PDF, "size": 1, "sha256": bytes(32),
             "account_id": new_id(), "created_at": row["deposited_at"]}
            for row in rows
        ])  # fmt: skip
        told = [each for row in rows for each in hiding(row)]
        for table in (patient_blocks, withholdings):
            session.execute(sa.insert(table), [values for of, values in told if of is table])
        for values in (values for of, values in told if of is restrictions):
            session.execute(sa.insert(restrictions).values(**values))
    yield sessions, rows
    sessions.engine.dispose()


def allowed(scope: AccessScope, row: dict[str, Any]) -> bool:
    """The dictionary's words, one after the other."""
    if row["record_id"] != RECORD:
        return False
    if row["author_id"] is not None and row["author_id"] == scope.author_id:
        return True
    if row["patient_blocked_at"] is not None and not scope.may_see_blocked:
        return False
    if row["withheld_at"] is not None and not scope.may_see_withheld:
        return False
    if scope.reader_id in row["against"]:
        return False
    return any(
        row["category"] in clause.read
        and row["level"] in clause.levels
        and (clause.folders is None or row["folder"] in clause.folders)
        and row["type"] not in clause.unread
        for clause in scope.clauses
    )


def of_documents(scope: AccessScope, row: dict[str, Any]) -> tuple[str, str] | None:
    """What documents' own rule says of one document."""
    facts = rules.Facts(
        row["category"], row["folder"], row["level"], row["author_id"], row["patient_blocked_at"] is not None,
        row["type"], row["withheld_at"] is not None, scope.reader_id in row["against"],
    )  # fmt: skip
    grant = rules.may_read(scope, facts)
    return None if grant is None else (grant.ground, grant.rule)


def facts_of(row: dict[str, Any]) -> DocumentFacts:
    return DocumentFacts(
        row["category"], row["type"], row["folder"], row["level"], row["author_id"],
        row["patient_blocked_at"] is not None, row["withheld_at"] is not None, row["against"],
    )  # fmt: skip


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


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scope=scopes)
def test_the_rules_of_documents_and_of_dossier_name_the_same_ground(
    shelf: tuple[Sessions, list[dict[str, Any]]], scope: AccessScope
) -> None:
    _, rows = shelf
    for row in (row for row in rows if row["record_id"] == RECORD):
        named = of_documents(scope, row)
        assert (named is not None) == allowed(scope, row)
        assert dossier_rules.grant_of_reading(scope, facts_of(row)) == named


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scope=scopes, own=scopes)
def test_who_looks_over_somebodys_shoulder_sees_what_both_see(
    shelf: tuple[Sessions, list[dict[str, Any]]], scope: AccessScope, own: AccessScope
) -> None:
    sessions, rows = shelf
    both = {row["document_id"] for row in rows if allowed(scope, row) and allowed(own, row)}
    with sessions.transaction() as session:
        found = store.page(session, scope, RECORD, None, 1000, shown_to=own)
    assert {row.document_id for row in found} == both


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
                store.seen_document(*asked) is not None,
            )
            assert answers == (allowed(scope, row),) * 4
            seen = store_hidden.facts_seen(*asked)
            assert seen == (store_hidden.Seen(facts_of(row), row["deposited_at"]) if allowed(scope, row) else None)


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
