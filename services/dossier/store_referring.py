"""The queries of referring physicians' designations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier import rules_referring, store_deadlines
from services.dossier.models import Record
from services.dossier.models_entourage import ReferringPhysician as Row
from services.dossier.rules_referring import Designation

EFFECTIVE, ENDING, END = "referring_effective", "referring_ending", "referring_end"
"""The deadlines of a designation: it takes effect, its end is announced, it ends."""

LISTED = 100
"""How many designations of a record are looked at."""

_FIELDS = tuple(Designation.__dataclass_fields__)
_COLUMNS = tuple(getattr(Row, name) for name in _FIELDS)


def _designations(rows: Iterable[Any]) -> list[Designation]:
    return [Designation(*row) for row in rows]


def designations(session: Session, record_id: str) -> list[Designation]:
    """The designations of a record: those that count or will, then what is proposed, then those that ended."""
    first = (Row.ended_at.is_not(None), Row.effective_at.is_(None), Row.designation_id.desc())
    asked = sa.select(*_COLUMNS).where(Row.record_id == record_id, ~Row.taken_back).order_by(*first).limit(LISTED)
    return _designations(session.execute(asked))


def insert(session: Session, record_id: str, one: Designation) -> None:
    """A new designation."""
    session.execute(sa.insert(Row).values(record_id=record_id, **{name: getattr(one, name) for name in _FIELDS}))


def put_signature(session: Session, designation_id: str, side: str, at: datetime) -> None:
    """A side signs; who signed stays signed."""
    column = Row.holder_signed_at if side == rules_referring.HOLDER else Row.physician_signed_at
    signed = sa.update(Row).where(Row.designation_id == designation_id, column.is_(None))
    session.execute(signed.values({column: at}))


def put_notice(session: Session, record_id: str, one: Designation) -> None:
    """The health fund got its notice: writes from when on the designation counts, and has that told."""
    assert one.effective_at is not None
    session.execute(
        sa.update(Row).where(Row.designation_id == one.designation_id)
        .values(notified_at=one.notified_at, effective_at=one.effective_at, ends_at=one.ends_at)
    )  # fmt: skip
    store_deadlines.put(session, EFFECTIVE, one.designation_id, record_id, one.effective_at)
    if one.ends_at is not None:
        store_deadlines.put(session, END, one.designation_id, record_id, one.ends_at)


def put_asked(session: Session, designation_id: str, side: str) -> None:
    """A side asks for the end, which needs the other side too."""
    session.execute(sa.update(Row).where(Row.designation_id == designation_id).values(end_asked_by=side))


_PLAN_END = sa.text(
    """
    update referring_physicians
       set ends_at = :ends_at, end_cause = :cause, end_asked_by = coalesce(:side, end_asked_by), ended_by = :account_id
     where (designation_id = :designation_id or replaces_id = :designation_id) and ended_at is null
       and (ends_at is null or ends_at > :ends_at)
    returning cast(designation_id as text)
    """
)
_END = sa.text(
    """
    update referring_physicians
       set ended_at = :at, end_cause = :cause, end_asked_by = coalesce(:side, end_asked_by), ended_by = :account_id
     where (designation_id = :designation_id or replaces_id = :designation_id) and ended_at is null
       and (ends_at is null or ends_at > :at)
    returning cast(designation_id as text)
    """
)


def plan_end(
    session: Session, record_id: str, designation_id: str, ends_at: datetime, cause: str,
    side: str | None = None, account_id: str | None = None,
) -> bool:  # fmt: skip
    """Foresees the end of a designation, and of whoever stands in for it; False where they end earlier anyway."""
    asked = {
        "designation_id": designation_id, "ends_at": ends_at, "cause": cause, "side": side, "account_id": account_id,
    }  # fmt: skip
    planned = session.scalars(_PLAN_END, asked).all()
    store_deadlines.put_many(session, END, [(each, record_id, ends_at) for each in planned])
    return designation_id in planned


def end_now(
    session: Session, designation_id: str, at: datetime, cause: str, side: str | None = None,
    account_id: str | None = None,
) -> bool:  # fmt: skip
    """Ends a designation at once, and whoever stands in for it; False where it had ended."""
    asked = {"designation_id": designation_id, "at": at, "cause": cause, "side": side, "account_id": account_id}
    ended = session.scalars(_END, asked).all()
    for each in ended:
        store_deadlines.drop(session, each, EFFECTIVE, ENDING, END)
    return designation_id in ended


# --- with the record --------------------------------------------------------------------------------------------------


def end_on_closing(session: Session, record_id: str, at: datetime, cause: str = "closing") -> None:
    """Ends the designations of a record that is being closed: on the 1st of the following month, by death at once;
    what was only proposed comes to nothing. Those concerned are told by the scheduler. The caller holds the record.

    cause: closing or death. [RGD 9(4)]
    """
    ends_at = at if cause == "death" else rules_referring.effective_after(at)
    for one in designations(session, record_id):
        if rules_referring.is_over(one, at):
            continue
        if one.effective_at is None or (one.effective_at > at and cause == "death"):
            end_now(session, one.designation_id, at, cause)
        elif plan_end(session, record_id, one.designation_id, max(ends_at, one.effective_at), cause) and ends_at > at:
            store_deadlines.put(session, ENDING, one.designation_id, record_id, at)


# --- what falls due ---------------------------------------------------------------------------------------------------


def due_designation(session: Session, designation_id: str) -> tuple[Designation, str] | None:
    """A designation, and the patient whose record it is in; None of an unknown one."""
    asked = sa.select(*_COLUMNS, Record.patient_id).join(Record, Record.record_id == Row.record_id)
    row = session.execute(asked.where(Row.designation_id == designation_id)).first()
    return None if row is None else (Designation(*row[:-1]), row[-1])


def close(session: Session, one: Designation) -> None:
    """Closes a designation whose end has come, at that end."""
    session.execute(sa.update(Row).where(Row.designation_id == one.designation_id).values(ended_at=one.ends_at))


# --- the health fund's list -------------------------------------------------------------------------------------------

# Of a record that was merged, the one that speaks for it: what the health fund says is of the person.
_RECORDS_TOLD = sa.text(
    """
    select asked.place, cast(r.record_id as text) as record_id, cast(r.patient_id as text) as patient_id, r.state
      from unnest(cast(:record_ids as uuid[]), cast(:patient_ids as uuid[])) with ordinality
           as asked (record_id, patient_id, place)
      left join records named on named.record_id = asked.record_id
      left join patient_merges m on m.merged_id = asked.patient_id and m.state = 'running'
      join records r on r.patient_id = coalesce(named.patient_id, m.speaks_id, asked.patient_id)
                    and r.state <> 'deleted' and r.merged_into is null
    """
)
_LOCK = sa.text(
    "select merged_into is null from records where record_id = any (cast(:record_ids as uuid[]))"
    " order by record_id for no key update"
)
_PROFESSIONS = sa.text(
    "select cast(professional_id as text), profession from professionals"
    " where professional_id = any (cast(:professional_ids as uuid[]))"
)
_REWRITE = sa.text(
    """
    update referring_physicians d set ends_at = told.ends_at, ended_at = told.ended_at, end_cause = told.cause
      from unnest(cast(:ids as uuid[]), cast(:ends_at as timestamptz[]), cast(:ended_at as timestamptz[]),
                  cast(:causes as text[])) as told (designation_id, ends_at, ended_at, cause)
     where d.designation_id = told.designation_id
        or (d.replaces_id = told.designation_id and d.ended_at is null
            and (d.ends_at is null or d.ends_at > told.ends_at))
    returning cast(d.designation_id as text), cast(d.record_id as text), d.ends_at
    """
)


def records_told(session: Session, told: Sequence[tuple[str | None, str | None]]) -> list[Any | None]:
    """Of each (record id, patient id) the record that is meant, held until the commit: record_id, state; or None."""
    record_ids, patient_ids = (list(column) for column in zip(*told, strict=True))
    asked, speaks = {"record_ids": record_ids, "patient_ids": patient_ids}, False
    while not speaks:  # a record that was merged before it could be held leads to another one by now
        found = {row.place: row for row in session.execute(_RECORDS_TOLD, asked)}
        speaks = all(session.scalars(_LOCK, {"record_ids": [row.record_id for row in found.values()]}))
    return [found.get(place) for place in range(1, len(told) + 1)]


def professions(session: Session, professional_ids: Iterable[str]) -> dict[str, str]:
    """What each of these professionals is, of those whom the directory announced."""
    asked = {"professional_ids": sorted(set(professional_ids))}
    return {row[0]: row[1] for row in session.execute(_PROFESSIONS, asked)}


def designations_of(session: Session, record_ids: Iterable[str]) -> dict[str, list[Designation]]:
    """The designations of each of these records."""
    found: dict[str, list[Designation]] = {record_id: [] for record_id in record_ids}
    for record_id, *fields in session.execute(
        sa.select(Row.record_id, *_COLUMNS).where(Row.record_id.in_(list(found)), ~Row.taken_back)
        .order_by(Row.designation_id)
    ):
        found[record_id].append(Designation(*fields))
    return found


def write_told(session: Session, before: dict[str, list[Designation]], after: dict[str, list[Designation]]) -> None:
    """Writes what the health fund's list changed, for those who stand in too, and has it told when its time comes."""
    old = {one.designation_id: one for known in before.values() for one in known}
    placed = [(record_id, one) for record_id, known in after.items() for one in known]
    added = [(record_id, one) for record_id, one in placed if one.designation_id not in old]
    ended = [(record_id, one) for record_id, one in placed if old.get(one.designation_id, one) != one]
    if added:
        session.execute(sa.insert(Row), [
            {"record_id": record_id, **{name: getattr(one, name) for name in _FIELDS}} for record_id, one in added
        ])  # fmt: skip
    ends = [(one.designation_id, record_id, one.ends_at) for record_id, one in added if one.ends_at]
    if ended:
        ends += session.execute(_REWRITE, {
            "ids": [one.designation_id for _, one in ended], "ends_at": [one.ends_at for _, one in ended],
            "ended_at": [one.ended_at for _, one in ended], "causes": [one.end_cause for _, one in ended],
        }).all()  # fmt: skip
    store_deadlines.put_many(session, EFFECTIVE, [
        (one.designation_id, record_id, one.effective_at) for record_id, one in added if one.effective_at
    ])  # fmt: skip
    store_deadlines.put_many(session, END, ends)
