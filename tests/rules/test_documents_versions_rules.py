"""Who may change a document, and what counts as changed meanwhile: the rules alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.documents import rules_versions as rules
from services.documents.document_types import document_types
from services.documents.rules import AUTHOR, Facts, may_read
from services.dossier.contract import Clause

CATEGORIES = ("care_reports", "certificates", "personal_expression")
LEVELS = ("standard", "confidential", "private")


@dataclass(frozen=True)
class Scope:
    clauses: tuple[Clause, ...] = ()
    author_id: str | None = None
    holder_side: bool = False
    may_see_blocked: bool = True
    may_see_withheld: bool = True
    reader_id: str | None = None
    autonomous_minor: bool = False
    account_id: str | None = None
    default_levels: dict[str, str] = field(default_factory=dict)


def clause(read: tuple[str, ...], deposit: tuple[str, ...], levels: tuple[str, ...] = ("standard",)) -> Clause:
    return Clause("presence", "mandate/presence", read, deposit, None, levels)


REPORT = Facts("care_reports", "medical_data", "standard", "author", type="medical_report")
RW, R, W = (("care_reports",), ("care_reports",)), (("care_reports",), ()), ((), ("care_reports",))


@pytest.mark.parametrize(
    ("given", "author", "asked", "granted"),
    [
        (RW, "other", False, "presence"), (R, "other", False, None), (W, "other", False, None),
        (RW, "other", True, "presence"), (R, "other", True, None),  # who was asked is the author, and nobody else
        (RW, "author", False, "presence"), (R, "author", False, None), (W, "author", False, None),
        (R, "author", True, "author"), (((), ()), "author", True, "author"), (((), ()), "author", False, None),
    ],
)  # fmt: skip
def test_reading_and_depositing_by_one_ground_or_being_asked(
    given: tuple[tuple[str, ...], tuple[str, ...]], author: str, asked: bool, granted: str | None
) -> None:
    scope = Scope((clause(*given),), author_id=author)
    grant = rules.may_version(scope, REPORT, holder_authored=False, asked=asked)
    assert (grant and grant.ground) == granted


def test_reading_by_one_ground_and_depositing_by_another_is_not_enough() -> None:
    scope = Scope((clause(*R), clause(*W)), author_id="other")
    assert rules.may_version(scope, REPORT, holder_authored=False, asked=False) is None


facts = st.builds(
    Facts, st.sampled_from(CATEGORIES), st.just("medical_data"), st.sampled_from(LEVELS),
    st.sampled_from(["me", "other", None]), st.booleans(), st.just("medical_report"), st.booleans(), st.booleans(),
)  # fmt: skip
some = st.lists(st.sampled_from(CATEGORIES), unique=True).map(tuple)
clauses = st.builds(clause, some, some, st.lists(st.sampled_from(LEVELS), unique=True).map(tuple))
scopes = st.builds(
    Scope, st.lists(clauses, max_size=3).map(tuple), st.sampled_from(["me", None]), st.booleans(), st.booleans(),
    st.booleans(),
)  # fmt: skip


@given(scopes, facts, st.booleans(), st.booleans())
def test_nobody_changes_what_they_do_not_see(scope: Scope, of: Facts, holder_authored: bool, asked: bool) -> None:
    grant = rules.may_version(scope, of, holder_authored=holder_authored, asked=asked)
    if grant is not None:
        assert may_read(scope, of) is not None
        assert not scope.holder_side or holder_authored
        assert grant != AUTHOR or (asked and of.author_id == scope.author_id)


@given(scopes, facts, st.sampled_from(list(document_types().values())), st.booleans())
def test_no_correction_takes_a_document_from_who_makes_it(scope: Scope, of: Facts, kind: object, asked: bool) -> None:
    assert hasattr(kind, "slug")
    if rules.may_become(scope, of, kind, asked=asked):  # type: ignore[arg-type]
        then = Facts(kind.category, kind.folder, of.level, of.author_id, of.patient_blocked, kind.slug,  # type: ignore[attr-defined]
                     of.withheld, of.restricted)  # fmt: skip
        assert may_read(scope, then) is not None


def test_what_was_read_holds_until_something_changed_or_is_about_to() -> None:
    assert rules.holds(3, 3, pending=False) and rules.holds(3, None, pending=True)
    assert not rules.holds(3, 2, pending=False) and not rules.holds(3, 3, pending=True)
    assert not rules.holds(2, 3, pending=False)


@given(st.integers(1, 50), st.integers(1, 50))
def test_every_change_is_counted(number: int, wording: int) -> None:
    now = rules.revision(number, wording)
    assert rules.revision(number + 1, wording) > now and rules.revision(number, wording + 1) > now


@pytest.mark.parametrize("words", ["", "  \n ", "x" * 2001, "a\x00b", "a\u202eb", "a\ud800", 5, None])
def test_words_that_are_none(words: object) -> None:
    assert rules.read_words(words) is None


def test_words_keep_their_lines() -> None:
    assert rules.read_words("  La  date\r\nest fausse. ") == "La date\nest fausse."
