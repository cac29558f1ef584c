"""Every query of merging. Nothing here decides; what comes in has been checked by the rules."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from services.db import new_id, rfc3339
from services.directory.contract_merges import ShownMerge
from services.directory.models import Merge, Patient, PossibleDuplicate
from services.directory.rules_merges import Person, Wish
from services.directory.store_patients import living
from services.tokens import Caller


def lock_people(session: Session, patient_ids: Iterable[str]) -> dict[str, Person]:
    """Returns the sheets there are of these, held until the commit.

    One statement locks them in the order of their ids, so that two agents with the same people wait for one another
    and never each for the other.
    """
    rows = session.execute(
        sa.select(
            Patient.patient_id, Patient.merged_into, Patient.birth_name, Patient.usual_name, Patient.first_names,
            Patient.birth_date, Patient.sex,
        )
        .where(Patient.patient_id.in_(list(patient_ids)))
        .order_by(Patient.patient_id)
        .with_for_update(key_share=True)
    )  # fmt: skip
    return {
        row.patient_id: Person(
            row.merged_into, row.birth_name, row.usual_name, row.first_names, row.birth_date, row.sex
        )
        for row in rows
    }  # fmt: skip


def merge(session: Session, wish: Wish, by: Caller, at: datetime) -> Merge:
    """Writes a merge and leads the merged sheet to the survivor."""
    made = Merge(
        merge_id=new_id(), survivor_id=wish.survivor_id, merged_id=wish.merged_id, reason=wish.reason, merged_at=at,
        merged_by=by.account_id,
    )  # fmt: skip
    session.add(made)
    _write(session, wish.survivor_id, version=_version_after(wish.survivor_id, wish.merged_id))
    _write(session, wish.merged_id, merged_into=wish.survivor_id)
    return made


def running_merge(session: Session, merged_id: str) -> Merge:
    """Returns the merge that led this sheet to another one; there is exactly one."""
    return session.scalars(sa.select(Merge).where(Merge.merged_id == merged_id, Merge.undone_at.is_(None))).one()


def merge_of(session: Session, merge_id: str | None) -> Merge | None:
    """Returns a merge as it stands now, whatever was read of it before."""
    return session.get(Merge, merge_id, populate_existing=True) if merge_id else None


def undo(session: Session, merge: Merge, by: Caller, at: datetime) -> None:
    """Ends a merge: the merged sheet speaks for itself again."""
    merge.undone_at, merge.undone_by = at, by.account_id
    spoke = living(session, merge.survivor_id) or merge.survivor_id
    _write(session, merge.merged_id, merged_into=None, version=_version_after(merge.merged_id, spoke))


def _write(session: Session, patient_id: str, **values: Any) -> None:
    session.execute(sa.update(Patient).where(Patient.patient_id == patient_id).values(values))


def _version_after(*patient_ids: str) -> sa.ScalarSelect[Any]:
    """A version that none of these sheets had: what was read under an id that now leads elsewhere is no longer the one
    to be changed, though two sheets may have had as many changes."""
    other = aliased(Patient)
    return sa.select(sa.func.max(other.version) + 1).where(other.patient_id.in_(patient_ids)).scalar_subquery()


def settle_pair(session: Session, pair: tuple[str, str], rate: int, settled: str, by: Caller, at: datetime) -> None:
    """Notes what two sheets turned out to be, whether they were ever put before an agent or not."""
    one_id, other_id = pair
    told = {"settled": settled, "settled_at": at, "settled_by": by.account_id}
    row = insert(PossibleDuplicate).values(one_id=one_id, other_id=other_id, rate=rate, found_at=at, **told)
    session.execute(row.on_conflict_do_update(index_elements=["one_id", "other_id"], set_=told))


def merges_after(session: Session, after: str | None, limit: int) -> Sequence[Merge]:
    """Returns merges, undone ones included, newest first, from a place on."""
    query = sa.select(Merge).order_by(Merge.merge_id.desc()).limit(limit)
    if after is not None:
        query = query.where(Merge.merge_id < after)
    return session.scalars(query).all()


def shown(merge: Merge) -> ShownMerge:
    """Returns a merge as it travels."""
    return {
        "merge_id": merge.merge_id,
        "survivor_id": merge.survivor_id,
        "merged_id": merge.merged_id,
        "reason": merge.reason,
        "merged_at": rfc3339(merge.merged_at),
        "merged_by": merge.merged_by,
        "undone_at": None if merge.undone_at is None else rfc3339(merge.undone_at),
        "undone_by": merge.undone_by,
    }
