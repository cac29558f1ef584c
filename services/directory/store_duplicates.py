"""Every query of sheets that may be one person's. Nothing here decides."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from services.directory.contract import Identification
from services.directory.models import Id, Matricule, Patient, PossibleDuplicate
from services.directory.rules_duplicates import Position
from services.directory.rules_search import Candidate
from services.directory.store_search import COMPARED

KEYS_JOINED_BY: Final = "|"  # in no key: keys are made of folded words

# --- finding ----------------------------------------------------------------------------------------------------------


def sheet_to_compare(session: Session, patient_id: str) -> Candidate | None:
    """Returns what a sheet is compared by; None when another one speaks for it."""
    row = session.execute(
        sa.select(*COMPARED).where(Patient.patient_id == patient_id, Patient.merged_into.is_(None))
    ).one_or_none()
    return None if row is None else Candidate(*row)


def candidates(session: Session, patient_id: str, keys: Collection[str]) -> list[Candidate]:
    """Returns the other sheets that speak for somebody and have one of these keys, or are noted beside this one."""
    pair = PossibleDuplicate
    noted = sa.union_all(
        sa.select(pair.other_id).where(pair.one_id == patient_id, pair.settled.is_(None)),
        sa.select(pair.one_id).where(pair.other_id == patient_id, pair.settled.is_(None)),
    )
    wanted = sa.or_(Patient.keys.overlap(sa.cast(sorted(keys), ARRAY(sa.Text))), Patient.patient_id.in_(noted))
    rows = session.execute(
        sa.select(*COMPARED).where(wanted, Patient.merged_into.is_(None), Patient.patient_id != patient_id)
    )
    return [Candidate(*row) for row in rows]


_NOTE = sa.text(
    """
    with told as (select * from unnest(cast(:ones as uuid[]), cast(:others as uuid[]), cast(:rates as smallint[]))
                         as told (one_id, other_id, rate)),
         gone as (delete from possible_duplicates d
                   where d.settled is null and cast(:patient_id as uuid) in (d.one_id, d.other_id)
                     and not exists (select from told where told.one_id = d.one_id and told.other_id = d.other_id))
    insert into possible_duplicates as kept (one_id, other_id, rate, found_at)
    select one_id, other_id, rate, :at from told order by one_id, other_id
        on conflict (one_id, other_id) do update set rate = excluded.rate
        where kept.settled is null and kept.rate <> excluded.rate
    """
)


def note(session: Session, patient_id: str, pairs: Sequence[tuple[str, str, int]], at: datetime) -> None:
    """Keeps these pairs as the open ones of a sheet; what an agent has said of a pair stays."""
    ones, others, rates = _columns(pairs)
    told = {"ones": ones, "others": others, "rates": rates, "patient_id": patient_id, "at": at}
    session.execute(_NOTE, told)


# --- finding among all, after a load ----------------------------------------------------------------------------------


def uncompared(session: Session) -> int:
    """Returns how many sheets were never looked at beside all others."""
    waiting = sa.select(sa.func.count()).where(Patient.compared_at.is_(None), Patient.merged_into.is_(None))
    return session.scalar(waiting) or 0


def claim_uncompared(session: Session, most: int, after: str | None) -> list[Candidate]:
    """Returns so many such sheets with a greater id, in that order, and keeps other scans from them until the commit.

    The lock is the weak one: agents' notes of pairs, which refer to these sheets, do not wait for it.
    """
    waiting = sa.select(*COMPARED).where(Patient.compared_at.is_(None), Patient.merged_into.is_(None))
    if after is not None:
        waiting = waiting.where(Patient.patient_id > after)
    locked = (
        waiting.order_by(Patient.patient_id).limit(most).with_for_update(of=Patient, skip_locked=True, key_share=True)
    )
    return [Candidate(*row) for row in session.execute(locked)]


_SOUGHT = sa.func.unnest(sa.cast(sa.bindparam("ids"), ARRAY(Id)), sa.cast(sa.bindparam("keys"), ARRAY(sa.Text)))
_BESIDE_MANY = _SOUGHT.table_valued(sa.column("sought_id", Id), sa.column("keys", sa.Text)).render_derived()
_SHARING_A_KEY = (
    sa.select(_BESIDE_MANY.c.sought_id, *COMPARED)
    .join(Patient, Patient.keys.overlap(sa.func.string_to_array(_BESIDE_MANY.c["keys"], KEYS_JOINED_BY)))
    .where(
        Patient.patient_id != _BESIDE_MANY.c.sought_id,
        Patient.merged_into.is_(None),
        # Of two that both still wait, the one with the greater id finds the other: each pair is looked at once.
        sa.or_(Patient.patient_id < _BESIDE_MANY.c.sought_id, Patient.compared_at.is_not(None)),
    )
    .select_from(_BESIDE_MANY)
)


def candidates_of_many(session: Session, keys: Mapping[str, Collection[str]]) -> dict[str, list[Candidate]]:
    """Returns, of each of these sheets, the others that have one of its keys and are not to find it themselves."""
    asked = {"ids": list(keys), "keys": [KEYS_JOINED_BY.join(sorted(own)) for own in keys.values()]}
    found: dict[str, list[Candidate]] = {patient_id: [] for patient_id in keys}
    for sought_id, *row in session.execute(_SHARING_A_KEY, asked):
        found[sought_id].append(Candidate(*row))
    return found


_ADD = sa.text(
    """
    with compared as (update patients set compared_at = :at where patient_id = any (cast(:patient_ids as uuid[])))
    insert into possible_duplicates (one_id, other_id, rate, found_at)
    select told.*, :at from unnest(cast(:ones as uuid[]), cast(:others as uuid[]), cast(:rates as smallint[])) as told
     order by 1, 2
        on conflict (one_id, other_id) do nothing
    returning 1
    """
)


def note_compared(
    session: Session, patient_ids: Sequence[str], pairs: Sequence[tuple[str, str, int]], at: datetime
) -> int:
    """Notes that these sheets were looked at, and the pairs that were found; how many of those are new."""
    ones, others, rates = _columns(pairs)
    told = {"patient_ids": list(patient_ids), "ones": ones, "others": others, "rates": rates, "at": at}
    return len(session.execute(_ADD, told).all())


def _columns(pairs: Sequence[tuple[str, str, int]]) -> tuple[list[str], list[str], list[int]]:
    return [one for one, _, _ in pairs], [other for _, other, _ in pairs], [rate for _, _, rate in pairs]


# --- looking at -------------------------------------------------------------------------------------------------------


class OpenPair(NamedTuple):
    """A pair nobody has looked at."""

    position: Position
    found_at: datetime
    one: Identification
    other: Identification


def open_pairs(session: Session, limit: int, after: Position | None) -> list[OpenPair]:
    """Returns pairs that are open, of sheets that both speak for somebody, the most alike first."""
    pair, one, other = PossibleDuplicate, aliased(Patient), aliased(Patient)
    place = sa.tuple_(pair.rate, pair.one_id, pair.other_id)
    query = (
        sa.select(
            pair.rate, pair.found_at, one, other, _matricule_of(one).label("one_has"), _matricule_of(other).label("has")
        )
        .join(one, one.patient_id == pair.one_id)
        .join(other, other.patient_id == pair.other_id)
        .where(pair.settled.is_(None), one.merged_into.is_(None), other.merged_into.is_(None))
        .order_by(pair.rate.desc(), pair.one_id.desc(), pair.other_id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(place < sa.tuple_(*after))
    return [
        OpenPair(
            Position(rate, this.patient_id, that.patient_id), found_at, _identified(this, has), _identified(that, its)
        )
        for rate, found_at, this, that, has, its in session.execute(query)
    ]


def settle(session: Session, one_id: str, other_id: str, settled: str, by: str, at: datetime) -> bool:
    """Says of an open pair what an agent found; False when there is no such pair, or something else was said of it."""
    pair = PossibleDuplicate
    said = session.execute(
        sa.update(pair)
        .where(pair.one_id == one_id, pair.other_id == other_id, pair.settled.is_(None))
        .values(settled=settled, settled_at=at, settled_by=by)
        .returning(pair.rate)
    ).first()
    return said is not None or _was_settled(session, one_id, other_id) == settled


def _was_settled(session: Session, one_id: str, other_id: str) -> str | None:
    pair = PossibleDuplicate
    return session.scalar(sa.select(pair.settled).where(pair.one_id == one_id, pair.other_id == other_id))


def _matricule_of(patient: Any) -> sa.ScalarSelect[str]:
    return (
        sa.select(Matricule.matricule)
        .where(Matricule.patient_id == patient.patient_id, Matricule.until.is_(None))
        .scalar_subquery()
    )


def _identified(sheet: Patient, matricule: str | None) -> Identification:
    return {
        "patient_id": sheet.patient_id,
        "version": sheet.version,
        "matricule": matricule,
        "birth_name": sheet.birth_name,
        "usual_name": sheet.usual_name,
        "first_names": sheet.first_names,
        "sex": sheet.sex,
        "birth_date": sheet.birth_date.isoformat(),
        "birth_date_evidence": sheet.birth_date_evidence,
        "birth_place": sheet.birth_place,
        "birth_country": sheet.birth_country,
    }
