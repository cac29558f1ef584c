"""What directory answers to a search for patients, and about sheets that may be one person's.

`search_patients(matricule)` or `search_patients(name, first_names, birth_date, sex)`, of professionals and agents; of
agents, `possible_duplicates(limit, cursor)` and `settle_duplicate(one_id, other_id, settled)`.
"""

from collections.abc import Sequence
from typing import ClassVar, Final, TypedDict

from services.directory.contract_sheets import Identification
from services.refusals import Refusal

ALERTS: tuple[str, ...] = ("possible_duplicate", "identity_unverified")
"""possible_duplicate: another sheet may be this person's. identity_unverified: the birth date is not the matricule's,
or an estimate, and nobody has looked at the papers yet."""

SETTLEMENTS: tuple[str, ...] = ("distinct",)
"""What an agent may say of a pair here; that they are one person is said by merging them."""

DUPLICATES_LIMIT: Final = 100
"""The most pairs of one page."""


class DuplicateNotFound(Refusal):
    """These two sheets were never noted as possibly one person's, or are no longer two."""

    code: ClassVar[str] = "duplicate_not_found"


class SearchedPatient(TypedDict):
    """One line of a search; insc: the present matricule. rate: how well it matches, 100 by an exact matricule."""

    patient_id: str
    birth_name: str
    usual_name: str | None
    first_names: str
    birth_date: str
    sex: str
    insc: str | None
    identifier: str | None
    alerts: Sequence[str]
    rate: int


class PatientsFound(TypedDict):
    """Who was found, the best first; more: there are others, and nobody says how many."""

    patients: list[SearchedPatient]
    more: bool


class PossiblePair(TypedDict):
    """Two sheets that may be one person's, and how alike they are."""

    one: Identification
    other: Identification
    rate: int
    found_at: str


class PossiblePairs(TypedDict):
    """A page of pairs, the most alike first; `next_cursor` is null on the last one."""

    duplicates: list[PossiblePair]
    next_cursor: str | None


class Settled(TypedDict):
    """What was said of a pair."""

    one_id: str
    other_id: str
    settled: str
