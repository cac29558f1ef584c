"""Every query of dossier. The one behind all decisions fetches a caller's whole situation in a record at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import (
    CircleMember,
    FirstAccess,
    Mandate,
    PresenceCode,
    PresenceTry,
    Professional,
    Record,
    StateChange,
)
from services.dossier.rules import Facts, Grant
from services.dossier.store_holders import situation_of_holder
from services.tokens import Caller

# --- the situation of a caller ------------------------------------------------------------------------------

# Only the grants of the professional asked about are touched: a record with many costs what one with few does.
SITUATION = """
    select cast(asked.professional_id as text) as professional_id, cast(r.record_id as text) as record_id,
           cast(r.patient_id as text) as patient_id, r.state, r.record_number, p.profession, p.licence,
           exists (select from blocklist b
                    where b.record_id = asked.record_id and b.professional_id = asked.professional_id
                      and b.since <= :now and (b.until is null or b.until > :now)) as blocked,
           exists (select from first_accesses f where f.record_id = asked.record_id
                      and f.professional_id = asked.professional_id) as accessed_before,
           g.ground, g.since, g.read_until, g.deposit_until
      from ({asked}) as asked
      left join records r on r.record_id = asked.record_id
      left join professionals p on p.professional_id = asked.professional_id
      left join lateral (
           select 'circle' as ground, c.since, c.until as read_until, c.until as deposit_until
             from circle_members c
            where c.record_id = asked.record_id and c.professional_id = asked.professional_id
              and (c.until is null or c.until > :now)
           union all
           select m.kind, m.starts_at, m.read_until, m.deposit_until
             from mandates m
            where m.record_id = asked.record_id and m.professional_id = asked.professional_id
              and m.ended_at is null and m.deposit_until > :now
      ) as g on true
"""

# Planning it takes longer than running it, and every decision asks it: each connection plans it once.
_PREPARE_OF_ONE = sa.text(
    "prepare situation_of_one (uuid, uuid, timestamptz) as"
    + SITUATION.replace(":now", "$3").format(asked="select $1 as record_id, $2 as professional_id")
)
_OF_ONE = sa.text("execute situation_of_one (:record_id, :professional_id, :now)")

_OF_THOSE_WORKING_AT = sa.text(
    SITUATION.format(
        asked="""
           select cast(:record_id as uuid) as record_id, w.professional_id
             from professionals w
             join (select professional_id from circle_members where record_id = :record_id
                   union select professional_id from mandates where record_id = :record_id
                   union select cast(:author_id as uuid)) as holding using (professional_id)
            where w.establishment_ids && cast(:establishment_ids as uuid[])"""
    )
)


def situation(session: Session, caller: Caller, record_id: str, now: datetime) -> Facts:
    """Everything a decision about this caller and this record needs, in one statement."""
    if caller.capacity != "professional":
        return situation_of_holder(session, caller, record_id)
    asked = {"record_id": record_id, "professional_id": caller.professional_id, "now": now}
    kept = session.connection().info  # as long as the connection itself
    if not kept.get("situation_of_one"):
        session.execute(_PREPARE_OF_ONE)
        kept["situation_of_one"] = True
    rows = session.execute(_OF_ONE, asked).all()
    return facts_of(record_id, rows, claimed_profession=caller.profession)


def situations_at(
    session: Session, establishment_ids: Iterable[str], record_id: str, author_id: str | None, now: datetime
) -> list[Facts]:
    """The situation of every professional working there who holds a grant in this record, or wrote the document."""
    asked = {
        "record_id": record_id,
        "author_id": author_id,
        "establishment_ids": list(establishment_ids),
        "now": now,
    }
    by_professional: dict[str, list[Any]] = {}
    for row in session.execute(_OF_THOSE_WORKING_AT, asked):
        by_professional.setdefault(row.professional_id, []).append(row)
    return [facts_of(record_id, rows, claimed_profession=rows[0].profession) for rows in by_professional.values()]


def facts_of(record_id: str, rows: Sequence[Any], claimed_profession: str | None) -> Facts:
    """The situation that these rows of SITUATION tell, one for each grant."""
    first = rows[0]
    return Facts(
        record_id=record_id,
        patient_id=first.patient_id,
        state=first.state,
        capacity="professional",
        professional_id=first.professional_id,
        profession=first.profession,
        claimed_profession=claimed_profession,
        licence=first.licence,
        blocked=first.blocked,
        accessed_before=first.accessed_before,
        grants=tuple(
            Grant(row.ground, row.since, row.read_until, row.deposit_until) for row in rows if row.ground is not None
        ),
    )


def insert_first_access(session: Session, record_id: str, professional_id: str, ground: str, at: datetime) -> bool:
    """Notes that this professional has a ground in this record; False when it was noted before."""
    row = insert(FirstAccess).values(record_id=record_id, professional_id=professional_id, ground=ground, at=at)
    return session.execute(row.on_conflict_do_nothing().returning(FirstAccess.at)).first() is not None


# --- records ------------------------------------------------------------------------------------------------


def insert_record(session: Session, patient_id: str, state: str, at: datetime) -> str | None:
    """A new record of this patient; None when there is one already."""
    row = insert(Record).values(record_id=new_id(), patient_id=patient_id, state=state, since=at)
    return session.scalar(row.on_conflict_do_nothing().returning(Record.record_id))


def record(session: Session, record_id: str) -> Any | None:
    """patient_id and state of a record."""
    return session.execute(sa.select(Record.patient_id, Record.state).where(Record.record_id == record_id)).first()


def lock_record(session: Session, record_id: str) -> None:
    """Makes every other change of this record's grants wait for this transaction."""
    session.execute(sa.select(Record.state).where(Record.record_id == record_id).with_for_update(key_share=True))


def change_state(session: Session, record_id: str, state: str, at: datetime) -> None:
    """Brings a record into another state; the caller also inserts the line of its history."""
    session.execute(sa.update(Record).where(Record.record_id == record_id).values(state=state, since=at))


def insert_state_change(
    session: Session,
    record_id: str,
    *,
    previous: str | None,
    state: str,
    cause: str,
    account_id: str | None,
    at: datetime,
) -> None:
    """One line of the state history."""
    session.execute(
        sa.insert(StateChange).values(
            change_id=new_id(),
            record_id=record_id,
            at=at,
            previous=previous,
            state=state,
            cause=cause,
            account_id=account_id,
        )
    )


# --- professionals ------------------------------------------------------------------------------------------


def upsert_professional(session: Session, values: dict[str, Any]) -> None:
    """Takes over what the directory says, unless a later version is known."""
    row = insert(Professional).values(**values)
    session.execute(
        row.on_conflict_do_update(
            index_elements=[Professional.professional_id], set_=values, where=Professional.version < values["version"]
        )
    )


def has_professional(session: Session, professional_id: str) -> bool:
    """Whether the directory announced this professional."""
    known = sa.select(sa.literal(1)).where(Professional.professional_id == professional_id)
    return session.execute(known).first() is not None


def _leads_nowhere(record_id: str) -> sa.Exists:
    """That the record was not merged in between: what ran in it then runs in the surviving one, to be ended there."""
    return sa.exists().where(Record.record_id == record_id, Record.merged_into.is_(None))


# --- circle of trust ----------------------------------------------------------------------------------------


def current_members(session: Session, record_id: str, at: datetime) -> Sequence[Any]:
    """The circle as it stands: professional_id, since, until, comment."""
    return session.execute(
        sa.select(CircleMember.professional_id, CircleMember.since, CircleMember.until, CircleMember.comment)
        .where(CircleMember.record_id == record_id, sa.or_(CircleMember.until.is_(None), CircleMember.until > at))
        .order_by(CircleMember.member_id)
    ).all()


def put_member(session: Session, record_id: str, professional_id: str, comment: str | None, at: datetime) -> Any:
    """Adds to the circle; who is in it stays, with the new comment. Gives since, comment, created."""
    row = insert(CircleMember).values(
        member_id=new_id(), record_id=record_id, professional_id=professional_id, comment=comment, since=at
    )
    return session.execute(
        row.on_conflict_do_update(
            index_elements=["record_id", "professional_id"],
            index_where=CircleMember.until.is_(None),
            set_={"comment": comment},
        ).returning(CircleMember.since, CircleMember.comment, sa.literal_column("xmax = 0").label("created"))
    ).one()


def end_member(session: Session, record_id: str, professional_id: str, at: datetime) -> bool:
    """Ends a membership; False when there is none."""
    ended = (
        sa.update(CircleMember)
        .where(
            CircleMember.record_id == record_id,
            CircleMember.professional_id == professional_id,
            sa.or_(CircleMember.until.is_(None), CircleMember.until > at),
            _leads_nowhere(record_id),
        )
        .values(until=at)
        .returning(CircleMember.member_id)
    )
    return session.execute(ended).first() is not None


# --- mandates -----------------------------------------------------------------------------------------------

_MANDATE = (
    Mandate.mandate_id,
    Mandate.kind,
    Mandate.professional_id,
    Mandate.establishment_id,
    Mandate.starts_at,
    Mandate.read_until,
    Mandate.deposit_until,
    Mandate.ended_at,
)


def mandates(session: Session, record_id: str, professional_id: str | None = None) -> Sequence[Any]:
    """The mandates of a record, of one professional or of all, the newest first."""
    query = sa.select(*_MANDATE).where(Mandate.record_id == record_id)
    if professional_id is not None:
        query = query.where(Mandate.professional_id == professional_id)
    return session.execute(query.order_by(Mandate.mandate_id.desc())).all()


def mandate(session: Session, record_id: str, mandate_id: str) -> Any | None:
    """One mandate of this record."""
    query = sa.select(*_MANDATE).where(Mandate.record_id == record_id, Mandate.mandate_id == mandate_id)
    return session.execute(query).first()


def reading_mandate(session: Session, record_id: str, professional_id: str, kind: str, at: datetime) -> Any | None:
    """The mandate of this kind under which this professional reads now."""
    query = sa.select(*_MANDATE).where(
        Mandate.record_id == record_id,
        Mandate.professional_id == professional_id,
        Mandate.kind == kind,
        Mandate.ended_at.is_(None),
        Mandate.starts_at <= at,
        Mandate.read_until > at,
    )
    return session.execute(query).first()


def insert_mandate(session: Session, values: dict[str, Any]) -> Any:
    """A new mandate, as it stands in the table."""
    return session.execute(sa.insert(Mandate).values(mandate_id=new_id(), **values).returning(*_MANDATE)).one()


def end_mandate(session: Session, record_id: str, mandate_id: str, at: datetime) -> bool:
    """Ends a running mandate; False when there is none of this id that runs."""
    ended = (
        sa.update(Mandate)
        .where(
            Mandate.record_id == record_id,
            Mandate.mandate_id == mandate_id,
            Mandate.ended_at.is_(None),
            Mandate.deposit_until > at,
            _leads_nowhere(record_id),
        )
        .values(ended_at=at)
        .returning(Mandate.mandate_id)
    )
    return session.execute(ended).first() is not None


# --- presence codes -----------------------------------------------------------------------------------------


def put_presence_code(session: Session, record_id: str, letter_id: str, hash_: str, at: datetime) -> None:
    """The code of a letter; the same letter again replaces it and keeps its place among the letters."""
    row = insert(PresenceCode).values(
        code_id=new_id(), record_id=record_id, letter_id=letter_id, hash=hash_, issued_at=at
    )
    session.execute(
        row.on_conflict_do_update(constraint="uq_presence_codes_letter", set_={"code_id": new_id(), "hash": hash_})
    )


def current_presence_code(session: Session, record_id: str) -> tuple[str | None, str | None]:
    """Id and hash of the code issued last; (None, None) when there is none."""
    newest = (
        sa.select(PresenceCode.code_id, PresenceCode.hash)
        .where(PresenceCode.record_id == record_id)
        .order_by(PresenceCode.issued_at.desc(), PresenceCode.code_id.desc())
        .limit(1)
    )
    found = session.execute(newest).first()
    return (found.code_id, found.hash) if found else (None, None)


_LOCK_TRIES = sa.text("select pg_advisory_xact_lock(hashtextextended('presence_tries' || :professional_id, 0))")

# A right code forgives what was tried on that record before it, and nothing else: otherwise a known code of one
# patient would buy guesses on others. Tries put off count on their own record alone, so that hammering on one
# closes no other.
_TRIES = sa.text(
    """
    with mine as (select record_id, at, outcome from presence_tries
                   where professional_id = :professional_id and at > :after),
         forgiven as (select max(at) as at from mine where record_id = :record_id and outcome = 'right'),
         here as (select at from mine where record_id = :record_id and outcome <> 'right'
                     and at > coalesce((select at from forgiven), :after)),
         everywhere as (select at from mine where outcome in ('looked_at', 'wrong'))
    select (select count(*) from here), (select max(at) from here),
           (select count(*) from everywhere), (select max(at) from everywhere)
    """
)


def lock_tries(session: Session, professional_id: str) -> None:
    """Makes this professional's tries take turns, so that none is missed when they are counted."""
    session.execute(_LOCK_TRIES, {"professional_id": professional_id})


def tries(
    session: Session, professional_id: str, record_id: str, after: datetime
) -> tuple[tuple[int, datetime | None], tuple[int, datetime | None]]:
    """Failed tries after a moment, and the last one: on this record, and on all of them."""
    found = session.execute(_TRIES, {"professional_id": professional_id, "record_id": record_id, "after": after}).one()
    return (found[0], found[1]), (found[2], found[3])


def insert_try(session: Session, professional_id: str, record_id: str, outcome: str, at: datetime) -> str:
    """Notes a try before the code is looked at."""
    try_id = new_id()
    session.execute(
        sa.insert(PresenceTry).values(
            try_id=try_id, professional_id=professional_id, record_id=record_id, at=at, outcome=outcome
        )
    )
    return try_id


def settle_try(session: Session, try_id: str, outcome: str) -> None:
    """What became of a try."""
    session.execute(sa.update(PresenceTry).where(PresenceTry.try_id == try_id).values(outcome=outcome))


def forget_tries(session: Session, before: datetime) -> None:
    """Drops the tries that no throttle looks at any more."""
    session.execute(sa.delete(PresenceTry).where(PresenceTry.at <= before))
