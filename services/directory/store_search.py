"""Every query of the search for patients, and of what is counted against it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from services.bus import emitting
from services.directory.contract import SearchedPatient
from services.directory.models import Matricule, Patient, PatientIdentifier, PossibleDuplicate
from services.directory.rules_search import Candidate
from services.directory.store import speaking_for
from services.plans import named, planned_once

# --- how often --------------------------------------------------------------------------------------------------------

# What was counted in earlier stretches goes with the first count of a new one, so that one row per searcher stays.
_COUNTED = """
    with gone as (delete from search_counts where searcher = :searcher and stretch < :stretch),
    counted as (
        insert into search_counts as mine (searcher, stretch, searches) values (:searcher, :stretch, 1)
            on conflict (searcher, stretch) do update set searches = mine.searches + 1
        returning searches, (select licence from professionals where professional_id = :professional_id) as licence)
"""
_KINDS: Final = {"searcher": "text", "professional_id": "uuid"}
_COUNT = planned_once(
    sa.text(f"{_COUNTED} select searches, licence from counted").columns(*named("searches licence")),  # noqa: S608 (its own words)
    **_KINDS,
)  # fmt: skip


@dataclass(frozen=True)
class Counted:
    """How many searches there are within a stretch, this one included, and what licence the searcher has, if any.

    found: who has the matricule that was sought with them, if one was. told: whether the trace of an answer stands.
    """

    searches: int
    licence: str | None
    found: Sequence[SearchedPatient] = ()
    told: bool = False


def count_search(session: Session, searcher: str, stretch: datetime, professional_id: str | None = None) -> Counted:
    """Counts one more search of this searcher."""
    asked = {"searcher": searcher, "stretch": stretch, "professional_id": professional_id}
    row = session.execute(_COUNT, asked).one()
    return Counted(row.searches, row.licence)


# --- who may be meant -------------------------------------------------------------------------------------------------

_MATRICULE = (
    sa.select(Matricule.matricule)
    .where(Matricule.patient_id == Patient.patient_id, Matricule.until.is_(None))
    .scalar_subquery()
)
# Only a first of the month can stand for an unknown day, so only there the matricule is worth its look-up.
_TELLING_MATRICULE = sa.case(
    (
        sa.extract("day", Patient.birth_date) == 1,
        _MATRICULE,
    )
)
COMPARED: Final = (
    Patient.patient_id,
    Patient.birth_name,
    Patient.usual_name,
    Patient.first_names,
    Patient.birth_date,
    Patient.sex,
    _TELLING_MATRICULE.label("matricule"),
)
"""The columns of a Candidate."""

MOST_COMPARED: Final = 2_000
"""Among 1.2 million, searches meet a hundred, at most a thousand; whoever strings common names together meets no more
than this."""

WITH_A_KEY = (
    sa.select(*COMPARED).where(Patient.keys.overlap(sa.cast(sa.bindparam("keys"), ARRAY(sa.Text)))).limit(MOST_COMPARED)
)


def candidates(session: Session, keys: Collection[str]) -> list[Candidate]:
    """Returns every sheet that has one of these keys, those that another one speaks for included."""
    return [Candidate(*row) for row in session.execute(WITH_A_KEY, {"keys": sorted(keys)})]


# --- whom to show -----------------------------------------------------------------------------------------------------

_REGIONAL = "urn:dsp:regional"
_DOUBTED = sa.or_(Patient.identity_check_due, Patient.birth_date_evidence == "provisional")
_IDENTIFIER = (
    sa.select(PatientIdentifier.value)
    .where(PatientIdentifier.patient_id == Patient.patient_id, PatientIdentifier.system == _REGIONAL)
    .order_by(PatientIdentifier.since.desc(), PatientIdentifier.value)
    .limit(1)
    .scalar_subquery()
)


def _noted_beside(mine: Any, its: Any) -> sa.Exists:
    """Whether an open pair has the sheet on one side, and one that still speaks for somebody on the other."""
    beside = aliased(Patient)
    return sa.exists(
        sa.select(PossibleDuplicate.rate)
        .join(beside, beside.patient_id == its)
        .where(mine == Patient.patient_id, PossibleDuplicate.settled.is_(None), beside.merged_into.is_(None))
        .correlate(Patient)
    )


_NOTED = sa.or_(
    _noted_beside(PossibleDuplicate.one_id, PossibleDuplicate.other_id),
    _noted_beside(PossibleDuplicate.other_id, PossibleDuplicate.one_id),
)


def _shown(meant: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The columns of a line of each sheet that is meant, or rather of the one that speaks for it."""
    speaker = speaking_for(meant)
    return sa.select(
        speaker.c.asked_id,
        Patient.patient_id,
        Patient.birth_name,
        Patient.usual_name,
        Patient.first_names,
        Patient.birth_date,
        Patient.sex,
        _MATRICULE.label("insc"),
        _IDENTIFIER.label("identifier"),
        _NOTED.label("possible_duplicate"),
        _DOUBTED.label("identity_unverified"),
    ).join(speaker, Patient.patient_id == speaker.c.patient_id)


_OF_A_MATRICULE = sa.select(Matricule.patient_id).where(Matricule.patient_id.is_not(None))
_BEGINS = Matricule.matricule.between(sa.bindparam("first"), sa.bindparam("last"))
_BY_BEGINNING = _shown(Patient.patient_id.in_(_OF_A_MATRICULE.where(_BEGINS).order_by(Matricule.matricule).limit(2)))


def _written_out(statement: sa.Select[Any]) -> str:
    """A statement with its values written out, since they pick the index, but for `asked`."""
    return str(statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]


_LINE = (
    "asked_id patient_id birth_name usual_name first_names birth_date sex insc identifier possible_duplicate"
    " identity_unverified"
)
_ARGUMENT: sa.ColumnClause[Any] = sa.literal_column(":asked")
_BY_MATRICULE = _written_out(_shown(Patient.patient_id.in_(_OF_A_MATRICULE.where(Matricule.matricule == _ARGUMENT))))
_FOUND = "jsonb_build_object('object_id', found.patient_id, 'count', cast(found.patient_id is not null as integer))"
_MAY = "coalesce(counted.licence, '') = any(cast(:licences as text[])) and counted.searches <= :most"
_COUNT_AND_FIND = planned_once(
    sa.text(
        f"""
        {_COUNTED}, found as ({_BY_MATRICULE}),
        told as ({emitting(_FOUND, f"from counted left join found on true where {_MAY}")} returning event_id)
        select counted.searches, counted.licence, exists (select from told) as told, found.*
          from counted left join found on true
        """  # noqa: S608 (its own words)
    ).columns(*named(f"searches licence told {_LINE}")),
    **_KINDS, asked="text", told_type="text", most="bigint",
)  # fmt: skip
_BY_ID = planned_once(
    sa.text(_written_out(_shown(Patient.patient_id == sa.any_(_ARGUMENT)))).columns(*named(_LINE)), asked="uuid[]"
)


def count_and_find(
    session: Session, searcher: str, stretch: datetime, professional_id: str | None, matricule: str,
    trace: Mapping[str, Any], licences: Sequence[str], most: int,
) -> Counted:  # fmt: skip
    """Counts one more search, finds in the same breath who has or had this very matricule, and leaves its trace.

    trace: of an answer, as `values_to_emit` gives it; of whom, is found here. licences, most: with which licences, and
    up to how many searches, there is an answer: a refusal is not traced here.
    """
    row = session.execute(_COUNT_AND_FIND, {
        "searcher": searcher, "stretch": stretch, "professional_id": professional_id, "asked": matricule,
        "licences": list(licences), "most": most, **trace,
    }).one()  # fmt: skip
    return Counted(row.searches, row.licence, [] if row.patient_id is None else [_found(row, 100)], row.told)


def patients_by_beginning(session: Session, matricule: str) -> list[SearchedPatient]:
    """Returns at most two patients whose matricule has these first eleven digits."""
    rows = session.execute(_BY_BEGINNING, {"first": f"{matricule}00", "last": f"{matricule}99"}).all()
    return [_found(row, 100) for row in rows]


def patients_by_id(session: Session, rates: Mapping[str, int]) -> list[SearchedPatient]:
    """Returns the patients to whom these sheets lead, in the order in which the sheets are given.

    rates: of each sheet.
    """
    if not rates:
        return []
    rows = {str(row.asked_id): row for row in session.execute(_BY_ID, {"asked": list(rates)})}
    return [_found(rows[found_id], rate) for found_id, rate in rates.items() if found_id in rows]


def _found(row: Any, rate: int) -> SearchedPatient:
    return {
        "patient_id": str(row.patient_id),
        "birth_name": row.birth_name,
        "usual_name": row.usual_name,
        "first_names": row.first_names,
        "birth_date": row.birth_date.isoformat(),
        "sex": row.sex,
        "insc": row.insc,
        "identifier": row.identifier,
        "alerts": _alerts(row),
        "rate": rate,
    }


def _alerts(row: Any) -> Sequence[str]:
    return [alert for alert in ("possible_duplicate", "identity_unverified") if getattr(row, alert)]
