"""Rules of deposits: several at once, what a header says, wishes against them, and how a file falls into parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.documents import contract, rules, rules_deposits, rules_parts, rules_wishes
from services.documents.contract import MATRICULE_ROOT, PART
from services.documents.document_types import document_types
from services.dossier.contract import AccessScope, Clause
from services.refusals import InvalidInput
from services.sealing import SEGMENT, segments_of

TYPES = document_types()
IDS = ("01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01", "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02", None)


@dataclass(frozen=True)
class Wish:
    wish_id: str
    professional_id: str | None
    establishment_id: str | None
    ground: str | None
    type: str | None


def clause(ground: str, *categories: str) -> Clause:
    return Clause(ground, f"{ground}/x", read=(), deposit=categories, folders=None, levels=())


wishes = st.builds(
    Wish, wish_id=st.sampled_from(("w1", "w2", "w3")), professional_id=st.sampled_from(IDS),
    establishment_id=st.sampled_from(IDS), ground=st.sampled_from((None, "presence", "admission")),
    type=st.sampled_from((None, "imaging", "medical_report")),
)  # fmt: skip
kinds = st.sampled_from([TYPES[slug] for slug in ("imaging", "medical_report", "laboratory_results")])
clauses = st.lists(
    st.builds(
        clause, st.sampled_from(("presence", "admission", "circle")), st.sampled_from(("imaging", "care_reports"))
    ),
    max_size=3,
)  # fmt: skip


@given(st.lists(wishes, max_size=4), clauses, kinds, st.sampled_from(IDS), st.sampled_from(IDS), st.booleans())
def test_a_deposit_is_allowed_exactly_where_one_ground_is_left_that_no_wish_opposes(
    standing: list[Wish], given_clauses: list[Clause], kind: Any, professional: Any, establishment: Any, holder: bool
) -> None:
    scope = AccessScope("r", "p", "active", holder, True, professional, tuple(given_clauses))
    found = rules_wishes.may_deposit(scope, kind, standing, (professional, establishment))

    def meant(wish: Wish, ground: str) -> bool:
        whom = [
            pair for pair in ((wish.professional_id, professional), (wish.establishment_id, establishment)) if pair[0]
        ]
        return bool(whom) and all(mine == theirs for mine, theirs in whom) and (
            wish.type in (None, kind.slug) and wish.ground in (None, ground)
        )  # fmt: skip

    may = [each for each in given_clauses if each.deposits(kind.category, kind.slug, kind.folder)]
    left = [each for each in may if holder or not any(meant(wish, each.ground) for wish in standing)]
    if left:
        assert found == rules.Grant(left[0].ground, left[0].rule)
    else:
        assert (found is None) if not may else isinstance(found, str)


@given(st.integers(1, 2_000_000_000))
def test_parts_cover_a_file_without_gap_or_overlap_and_begin_at_segments(size: int) -> None:
    count = rules_parts.count(size)
    sizes = [rules_parts.size_of(number, size) for number in range(1, count + 1)]
    assert sum(sizes) == size and set(sizes[:-1]) <= {PART} and 1 <= sizes[-1] <= PART
    assert [rules_parts.first_segment(number) for number in range(1, count + 1)] == [
        sum(sizes[: number - 1]) // SEGMENT for number in range(1, count + 1)
    ]
    assert sum(segments_of(each) for each in sizes) == segments_of(size)
    assert rules_parts.missing({}, size) == list(range(1, count + 1))[: rules_parts.MISSING_SHOWN]
    assert rules_parts.missing(range(1, count + 1), size) == []


@pytest.mark.parametrize(("number", "size"), [(0, PART), (3, 10), (2, PART), (1, 10), (True, PART), ("1", PART)])
def test_a_part_that_a_file_has_not_is_refused(number: Any, size: int) -> None:
    rules_parts.require_part(1, PART, PART + 10)
    rules_parts.require_part(2, 10, PART + 10)
    with pytest.raises(InvalidInput):
        rules_parts.require_part(number, size, PART + 10)


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([], set()), ([("1.2.3", "1990010112345")], set()), ([(MATRICULE_ROOT, "1990010112345")], {"1990010112345"}),
        ([(MATRICULE_ROOT, "1990 0101 12345"), ("1.2", "x")], {"1990010112345"}),
        ([(MATRICULE_ROOT, "1990010112345"), (MATRICULE_ROOT, "1990010112346")], {"1990010112345", "1990010112346"}),
        ([(MATRICULE_ROOT, "x"), (MATRICULE_ROOT, "1990010112345")], {"", "1990010112345"}),
    ],
)  # fmt: skip
def test_the_matricules_of_a_header_are_those_under_their_root(ids: Any, found: set[str]) -> None:
    named = [{"root": root, "extension": extension} for root, extension in ids]
    assert rules_deposits.matricules_in(named) == found


OWN, OTHER = ((MATRICULE_ROOT, "1990010112345"), (MATRICULE_ROOT, "1990010112346"))


@pytest.mark.parametrize(
    ("patients", "found"),
    [
        ([[OWN]], "1990010112345"), ([[OWN, ("9.9", "x")], [("9.9", "y"), OWN]], "1990010112345"), ([], None),
        ([[]], None), ([[("9.9", "x")]], None), ([[OWN], []], None), ([[OWN], [("9.9", "1990010112346")]], None),
        ([[OWN], [OTHER]], None), ([[OWN, OTHER]], None), ([[OWN, OTHER], [OWN, OTHER]], None),
    ],
)  # fmt: skip
def test_every_patient_of_a_header_is_the_one_that_its_one_matricule_names(patients: Any, found: str | None) -> None:
    named = [[{"root": root, "extension": extension} for root, extension in ids] for ids in patients]
    assert rules_deposits.matricule_of(named) == found


def test_every_type_with_a_code_is_found_by_it_and_by_no_other() -> None:
    by_code = rules_deposits.types_by_code(TYPES)
    coded = [kind for kind in TYPES.values() if kind.loinc]
    assert len(by_code) == len(coded) and all(by_code[kind.loinc] is kind for kind in coded)
    assert None not in by_code and "" not in by_code


@given(st.text(max_size=400), st.text(max_size=10))
def test_a_header_becomes_a_description_that_is_taken_or_pointed_at(title: str, language: str) -> None:
    words = rules_deposits.words_of({"title": title, "language": language, "act_date": None}, TYPES["imaging"])
    assert 1 <= len(words["title"]) <= rules.TITLE_LENGTH and (words["language"] is None or len(words["language"]) <= 2)


def test_each_kind_of_bytes_has_a_bound_within_that_of_the_platform() -> None:
    for kind in TYPES.values():
        for media_type in rules.media_types_of(kind):
            assert 0 < rules.most_bytes(media_type, 2**31) <= 2**31
            assert rules.most_bytes(media_type, 10) == 10
    assert rules_deposits.most_of(TYPES["imaging"], 2**31) == 2**31, "DICOM has no bound of its own"
    assert rules_deposits.most_of(TYPES["holder_expression"], 2**31) == contract.MOST_BYTES[contract.PDF]
