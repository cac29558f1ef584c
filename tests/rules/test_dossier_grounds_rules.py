"""The domain's table "ground | standard | confidential | private | deposits": each row beside its forbidden twin.

The physician of these tests reads every category that Annex 1 has for one, so that what is refused is the ground's.
"""

from __future__ import annotations

import pytest

from services.dossier import rules
from services.dossier.contract import LEVELS
from tests.rules.situations import (
    DECLARATIONS,
    PROFESSIONAL,
    SOMEBODY_ELSE,
    TYPES,
    deposits,
    document,
    grant,
    professional,
    reader,
    reads,
    scope,
)  # fmt: skip


def levels_read(ground: str, **of_document: object) -> list[str]:
    return [level for level in LEVELS if reads(reader(ground), document(level, **of_document))]  # type: ignore[arg-type]


def types_deposited(ground: str) -> set[str]:
    return {type for type in TYPES if deposits(reader(ground), type)}


# What Annex 1 lets a physician and a referring physician deposit, of the types of these tests.
PHYSICIAN_S = {
    "patient_summary", "medical_report", "medical_surgical_history", "laboratory_results", "drug_treatment",
    "preventive_treatment",
}  # fmt: skip


@pytest.mark.parametrize("ground", ["holder", "legal_representative"])
def test_the_holder_and_a_legal_representative_read_every_level_and_deposit_three_types(ground: str) -> None:
    assert levels_read(ground) == list(LEVELS)
    assert types_deposited(ground) == set(DECLARATIONS)


@pytest.mark.parametrize("ground", ["holder", "legal_representative"])
def test_the_holder_and_a_legal_representative_cannot_deposit_what_professionals_do_nor_read_blocked(
    ground: str,
) -> None:
    assert not types_deposited(ground) & PHYSICIAN_S
    assert levels_read(ground, patient_blocked=True) == []


def test_an_assistant_reads_every_level_and_deposits_expressions_of_the_holder() -> None:
    assert levels_read("assistant") == list(LEVELS)
    assert types_deposited("assistant") == {"holder_expression"}


def test_an_assistant_cannot_deposit_advance_directives_nor_read_blocked() -> None:
    assert not deposits(reader("assistant"), "advance_directives")
    assert not deposits(reader("assistant"), "organ_donation_statement")
    assert levels_read("assistant", patient_blocked=True) == []


def test_an_author_reads_their_own_at_every_level_through_whatever_hides_it_after_every_ground_ended() -> None:
    mine = {"author_id": PROFESSIONAL, "restricted": (PROFESSIONAL,), "patient_blocked": True}
    assert levels_read("author", **mine) == list(LEVELS)
    # A category that Annex 1 leaves empty in their column too [L14 18(2)].
    assert reads(professional(profession="pharmacist"), document("private", "patient_summary", author_id=PROFESSIONAL))


def test_an_author_cannot_read_another_s_document_nor_deposit_a_version_without_another_ground() -> None:
    assert levels_read("author", author_id=SOMEBODY_ELSE) == []
    assert levels_read("author", author_id=None) == []
    assert types_deposited("author") == set()


def test_a_referring_physician_reads_standard_and_confidential_and_deposits_by_their_column() -> None:
    assert levels_read("referring_physician") == ["standard", "confidential"]
    assert types_deposited("referring_physician") == PHYSICIAN_S


def test_a_referring_physician_cannot_read_private_nor_deposit_what_their_column_only_reads() -> None:
    assert not reads(reader("referring_physician"), document("private"))
    assert not deposits(reader("referring_physician"), "drug_dispensation")


def test_a_member_of_the_circle_reads_standard_and_confidential_and_deposits_by_the_matrix() -> None:
    assert levels_read("circle") == ["standard", "confidential"]
    assert types_deposited("circle") == PHYSICIAN_S


def test_a_member_of_the_circle_cannot_read_private_nor_the_column_of_another_profession() -> None:
    assert not reads(reader("circle"), document("private"))
    pharmacist = professional(grant("circle"), profession="pharmacist")
    assert not reads(pharmacist, document(type="patient_summary"))
    assert not deposits(pharmacist, "laboratory_results")


@pytest.mark.parametrize("kind", ["presence", "admission", "hospital_emergency"])
def test_a_mandate_reads_standard_and_deposits_by_the_matrix(kind: str) -> None:
    assert levels_read(kind) == ["standard"]
    assert types_deposited(kind) == PHYSICIAN_S


@pytest.mark.parametrize("kind", ["presence", "admission", "hospital_emergency"])
def test_a_mandate_cannot_read_confidential_nor_private(kind: str) -> None:
    assert not reads(reader(kind), document("confidential"))
    assert not reads(reader(kind), document("private"))


def test_an_order_reads_own_documents_and_deposits_by_the_matrix() -> None:
    assert levels_read("order", author_id=PROFESSIONAL) == list(LEVELS)
    assert types_deposited("order") == PHYSICIAN_S


def test_an_order_cannot_read_another_s_document_at_any_level() -> None:
    assert levels_read("order") == []
    assert rules.readable(scope(reader("order"))) == []


def test_emergency_reads_standard_and_confidential_only_where_the_holder_allows_it() -> None:
    assert levels_read("emergency") == ["standard"]
    allowed = reader("emergency", settings={"emergency": "with_confidential"})
    assert [level for level in LEVELS if reads(allowed, document(level))] == ["standard", "confidential"]


def test_emergency_cannot_read_private_nor_anything_where_it_is_refused_and_deposits_nothing() -> None:
    assert not reads(reader("emergency", settings={"emergency": "with_confidential"}), document("private"))
    assert not reads(reader("emergency", settings={"emergency": "refused"}), document("standard"))
    assert types_deposited("emergency") == set()


def test_refusing_emergency_leaves_the_mandate_of_a_hospital_emergency_untouched() -> None:
    assert reads(reader("hospital_emergency", settings={"emergency": "refused"}), document())


def test_responsibility_reads_standard_documents_of_the_folders_of_prescriptions_and_dispensations() -> None:
    for type in ("drug_treatment", "drug_dispensation"):
        assert levels_read("responsibility", type=type) == ["standard"]


def test_responsibility_cannot_read_another_folder_nor_where_it_is_refused_and_deposits_nothing() -> None:
    for type in sorted(set(TYPES) - {"drug_treatment", "drug_dispensation"}):
        assert levels_read("responsibility", type=type) == [], type
    assert not reads(reader("responsibility", settings={"responsibility": "refused"}), document())
    assert types_deposited("responsibility") == set()
