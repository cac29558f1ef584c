"""Every query of merging: what directory told of patients, where records lead, and the grants that go along."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from services.db import new_id
from services.dossier import store_circle, store_deadlines, store_mandates, store_merges_care, store_merges_entourage
from services.dossier.models import Block, CircleMember, Mandate, PatientMerge, Record
from services.dossier.rules_merges import Kept, Merge, Place

# --- patients ---------------------------------------------------------------------------------------------------------

_LOCK = "hashtextextended('patient_merges', 0)"
_ALONE = sa.text(f"select pg_advisory_xact_lock({_LOCK})")
_BESIDE = sa.text(f"select pg_advisory_xact_lock_shared({_LOCK})")

_KNOWN_OF = sa.text(
    """
    with recursive person (patient_id) as (
        select told.* from unnest(cast(:patient_ids as uuid[])) as told
        union
        select case m.merged_id when p.patient_id then m.survivor_id else m.merged_id end
          from person p join patient_merges m on p.patient_id in (m.merged_id, m.survivor_id)
    )
    select cast(merge_id as text), cast(survivor_id as text), cast(merged_id as text), state = 'undone'
      from patient_merges where merged_id in (select patient_id from person)
    """
)


def merge_alone(session: Session) -> None:
    """Makes every other merge, and every opening of a record, wait for this transaction."""
    session.execute(_ALONE)


def open_beside_merges(session: Session) -> None:
    """Makes merges wait for this opening of a record, or this opening for a merge under way; not one opening for
    another."""
    session.execute(_BESIDE)


def merges_of(session: Session, patient_ids: Sequence[str]) -> dict[str, Merge]:
    """Everything that was ever told of these patients and of whoever they were merged with, by merge."""
    rows = session.execute(_KNOWN_OF, {"patient_ids": list(patient_ids)})
    return {merge_id: Merge(merge_id, *told) for merge_id, *told in rows}


def keep_merges(session: Session, merges: Iterable[Merge], speakers: Mapping[str, str], over: Collection[str]) -> None:
    """Writes what is known of the merges, ends before beginnings: of one patient one merge runs at a time.

    speakers: of each patient led away, who speaks for them. over: the merges that do not run.
    """
    for merge in sorted(merges, key=lambda merge: merge.merge_id not in over):
        ended = merge.merge_id in over
        row = insert(PatientMerge).values(
            merge_id=merge.merge_id, survivor_id=merge.survivor_id, merged_id=merge.merged_id,
            state="undone" if ended else "running", speaks_id=None if ended else speakers[merge.merged_id],
        )  # fmt: skip
        told = {"state": row.excluded.state, "speaks_id": row.excluded.speaks_id}
        session.execute(row.on_conflict_do_update(index_elements=["merge_id"], set_=told))


# --- records ----------------------------------------------------------------------------------------------------------


def lock_records(session: Session, patient_ids: Collection[str]) -> dict[str, Record]:
    """The records of these patients that are not deleted, merged ones included, held until the commit; by id.

    Held against everything: a grant that is being given in one of them is given before, or refused after.
    """
    theirs, merged = Record.patient_id.in_(list(patient_ids)), Record.merged_into.is_not(None)
    # Written so that each half is one of the two partial indexes.
    either = sa.or_(theirs & ~merged & (Record.state != "deleted"), theirs & merged & (Record.state != "deleted"))
    found = session.scalars(
        sa.select(Record).where(either).order_by(Record.record_id).with_for_update()
        .execution_options(populate_existing=True)
    )  # fmt: skip
    return {record.record_id: record for record in found}


def kept(record: Record) -> Kept:
    """What is weighed of a record."""
    return Kept(
        record_id=record.record_id,
        owner_id=record.opened_for or record.patient_id,
        patient_id=record.patient_id,
        state=record.state_before or record.state,
        merged_into=record.merged_into,
    )


def put(session: Session, moved: Sequence[tuple[Kept, Place]], at: datetime) -> None:
    """Writes where records belong now, and the state that each has there.

    In two steps, because a person has one record that speaks for them at every moment: first every record that moves
    leads somewhere, if only to itself, then those that speak for somebody stand up.
    """
    if not moved:
        return
    session.flush()
    for one, place in moved:
        values: dict[str, Any] = {
            "patient_id": place.patient_id,
            "opened_for": None if one.owner_id == place.patient_id else one.owner_id,
            "merged_into": place.merged_into or one.record_id,
            "merged_at": at,
            "state_before": one.state,
        }
        if place.merged_into != one.merged_into:
            values |= {"moves": Record.moves + 1}
            if one.state != "closed":  # since when its holder has had it closed stays true
                values |= {"state": one.state if place.merged_into is None else "closed", "since": at}
        elif place.merged_into is not None:
            del values["merged_at"]
        session.execute(sa.update(Record).where(Record.record_id == one.record_id).values(values))
    heads = [one.record_id for one, place in moved if place.merged_into is None]
    session.execute(
        sa.update(Record).where(Record.record_id.in_(heads)).values(merged_into=None, merged_at=None, state_before=None)
    )


def moves_of(session: Session, record_ids: Sequence[str]) -> dict[str, int]:
    """How often each of these records has moved."""
    moves = sa.select(Record.record_id, Record.moves).where(Record.record_id.in_(record_ids))
    return {row.record_id: row.moves for row in session.execute(moves)}


_WAY = sa.text(
    """
    with recursive way (record_id, merged_into, state_before, steps) as (
        select record_id, merged_into, state_before, 0 from records where record_id = :record_id
        union all
        select r.record_id, r.merged_into, r.state_before, way.steps + 1
          from way join records r on r.record_id = way.merged_into
         where way.state_before <> 'closed'
    )
    select cast(record_id as text) from way order by steps desc limit 1
    """
)


def where_content_lies(session: Session, record_id: str) -> str:
    """The record in which what was deposited in this one is found now: itself, or where it leads.

    What its holder closed leads nowhere, as nothing came out of it.
    """
    return str(session.scalar(_WAY, {"record_id": record_id}) or record_id)


# --- grants that go along ---------------------------------------------------------------------------------------------


def copy_blocks(session: Session, merged: str, into: str, at: datetime) -> None:
    """Bars from a record whoever is barred from the one that is merged into it: blocks win."""
    barred = _running(Block, into, at).with_only_columns(Block.professional_id)
    wanted = _running(Block, merged, at).where(
        Block.professional_id.not_in(barred), Block.block_id.not_in(_copied(Block, into))
    )
    _insert(session, Block, [
        {**block._mapping, "block_id": new_id(), "record_id": into, "since": max(block.since, at),
         "copied_from": block.block_id}
        for block in session.execute(wanted.with_for_update())
    ])  # fmt: skip


def copy_grants(session: Session, merged: str, into: str, at: datetime) -> None:
    """Gives in a record what runs in the one merged into it: circle, mandates, and whose access the holder was told of.

    Each once: a copy that ended is not made again. Held while they are read: what the holder ends at this moment is
    ended before, or found merged after.
    """
    _copy_circle(session, merged, into, at)
    _copy_mandates(session, merged, into, at)
    store_merges_entourage.copy_people(session, {"merged": merged, "into": into, "at": at})
    store_merges_care.copy_referring_physicians(session, {"merged": merged, "into": into, "at": at})
    session.execute(_COPY_FIRST_ACCESSES, {"merged": merged, "into": into})


def _copy_circle(session: Session, merged: str, into: str, at: datetime) -> None:
    """Gives what runs, with the end that is foreseen; whom both trust has the place there is."""
    store_circle.close_lapsed(session, into, None, at)
    trusted = _running(CircleMember, into, at).with_only_columns(CircleMember.professional_id)
    members = _running(CircleMember, merged, at).where(
        store_circle.runs(at),
        CircleMember.professional_id.not_in(trusted), CircleMember.member_id.not_in(_copied(CircleMember, into))
    )  # fmt: skip
    copies = [
        {**member._mapping, "member_id": new_id(), "record_id": into, "since": max(member.since, at),
         "copied_from": member.member_id}
        for member in session.execute(members.with_for_update())
    ]  # fmt: skip
    _insert(session, CircleMember, copies)
    ends = [(copy["member_id"], into, copy["ends_at"]) for copy in copies if copy["ends_at"] is not None]
    store_deadlines.put_many(session, store_circle.END, ends)


def _copy_mandates(session: Session, merged: str, into: str, at: datetime) -> None:
    """Gives what runs; a stay or an order that its establishment registered in both is the one it has there already."""
    theirs = aliased(Mandate)
    registered = sa.exists().where(
        theirs.record_id == into, theirs.professional_id.is_(None),
        theirs.establishment_id == Mandate.establishment_id, theirs.kind == Mandate.kind,
        theirs.reference == Mandate.reference,
    )  # fmt: skip
    mandates = sa.select(*_columns(Mandate)).where(
        Mandate.record_id == merged, Mandate.ended_at.is_(None), Mandate.deposit_until > at,
        Mandate.mandate_id.not_in(_copied(Mandate, into)),
        sa.or_(Mandate.professional_id.is_not(None), ~registered),
    )  # fmt: skip
    copies = [
        {**mandate._mapping, "mandate_id": new_id(), "record_id": into, "starts_at": max(mandate.starts_at, at),
         "copied_from": mandate.mandate_id}
        for mandate in session.execute(mandates.order_by(Mandate.mandate_id).with_for_update())
    ]  # fmt: skip
    _insert(session, Mandate, copies)
    ends = [(copy["mandate_id"], into, copy["deposit_until"]) for copy in copies]
    store_deadlines.put_many(session, store_mandates.END, ends)


_COPY_FIRST_ACCESSES = sa.text(
    """
    insert into first_accesses (record_id, professional_id, ground, at, last_at, copied_from)
    select :into, professional_id, ground, at, last_at, record_id from first_accesses where record_id = :merged
    on conflict do nothing
    """
)


def _columns(grant: type[Any]) -> Sequence[Any]:
    return list(grant.__table__.c)


def _running(grant: type[Any], record_id: str, at: datetime) -> sa.Select[Any]:
    runs = sa.or_(grant.until.is_(None), grant.until > at)
    return sa.select(*_columns(grant)).where(grant.record_id == record_id, runs)


def _copied(grant: type[Any], record_id: str) -> sa.Select[Any]:
    """Which rows of other records have, or had, a copy in this one, of this merge."""
    return sa.select(grant.copied_from).where(
        grant.record_id == record_id, grant.copied_from.is_not(None), ~grant.taken_back
    )


def _insert(session: Session, grant: type[Any], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(sa.insert(grant), rows)


# A mandate's copy, or what its establishment registered under the same reference in the record it led to: what ended
# there, the patient's discharge and the validation of a result count here too, what was prolonged there does not.
_SAME_MANDATE = """
    update mandates mine set {changes} from mandates same
     where mine.record_id = :merged and mine.ended_at is null and same.record_id = :into and {since}
       and (same.copied_from = mine.mandate_id
            or (same.professional_id is null and mine.professional_id is null
                and same.establishment_id = mine.establishment_id and same.kind = mine.kind
                and same.reference = mine.reference))
"""

# What the holder ended on one side is ended on both, and whom they barred is barred on both; what they granted or
# allowed again concerns the record in which they did it alone.
_BRING_DOWN = tuple(
    map(
        sa.text,
        (
            _SAME_MANDATE.format(
                changes="ended_at = same.ended_at, ended_by = same.ended_by",
                since="same.ended_at is not null"
                " and (same.copied_from = mine.mandate_id or same.ended_at >= :merged_at)",
            ),
            _SAME_MANDATE.format(
                changes="""closes_at = same.closes_at, read_until = least(mine.read_until, same.read_until),
                           deposit_until = least(mine.deposit_until, same.deposit_until)""",
                since="same.closes_at >= :merged_at and mine.closes_at is null",
            ),
            """
    update circle_members mine set until = theirs.ended
      from (select professional_id, max(until) as ended from circle_members
             where record_id = :into and until > :merged_at and until <= :at group by professional_id) as theirs
     where mine.record_id = :merged and mine.professional_id = theirs.professional_id
       and (mine.until is null or mine.until > theirs.ended)
       and not exists (select from circle_members again
                        where again.record_id = :into and again.professional_id = theirs.professional_id
                          and (again.until is null or again.until > :at))
    """,
            """
    insert into blocklist (block_id, record_id, professional_id, since, until)
    select gen_random_uuid(), :merged, b.professional_id, b.since, b.until from blocklist b
     where b.record_id = :into and b.copied_from is null and b.since >= :merged_at
       and (b.until is null or b.until > :at)
       and not exists (select from blocklist mine
                        where mine.record_id = :merged and mine.professional_id = b.professional_id
                          and (mine.until is null or mine.until > :at))
    """,
        ),
    )
)


def bring_down(session: Session, merged: str, into: str, merged_at: datetime, at: datetime) -> None:
    """Ends in a merged record what was ended since in the one it led to, and bars from it whoever was barred there."""
    asked = {"merged": merged, "into": into, "merged_at": merged_at, "at": at}
    for statement in _BRING_DOWN:
        session.execute(statement, asked)
    store_merges_entourage.bring_down_ends(session, asked)
    store_merges_care.bring_down_ends(session, asked)


# Copies of copies lie further up; only this person's records are looked at, by the indexes of their grants.
_END_COPIES = """
    with recursive gone as (
        select c.{id} from {table} c join {table} o on o.{id} = c.copied_from
         where c.record_id = :into and o.record_id = :merged
        union all
        select c.{id} from gone join {table} c on c.copied_from = gone.{id}
         where c.record_id = any (cast(:of_person as uuid[]))
    )
    update {table} set taken_back = true, {ended} where {id} in (select {id} from gone)
"""
_UNTIL = {"ended": "until = case when until <= :at then until else greatest(since, :at) end"}
_TAKE_AWAY = tuple(
    map(
        sa.text,
        (
            _END_COPIES.format(table="blocklist", id="block_id", **_UNTIL),
            _END_COPIES.format(table="circle_members", id="member_id", **_UNTIL),
            _END_COPIES.format(table="mandates", id="mandate_id", ended="ended_at = coalesce(ended_at, :at)"),
            *(_END_COPIES.format(**copies) for copies in store_merges_entourage.COPIES),
            _END_COPIES.format(**store_merges_care.COPIES),
            """
    with recursive gone as (
        select record_id, professional_id from first_accesses where record_id = :into and copied_from = :merged
        union all
        select f.record_id, f.professional_id from gone
          join first_accesses f on f.copied_from = gone.record_id and f.professional_id = gone.professional_id
         where f.record_id = any (cast(:of_person as uuid[]))
    )
    delete from first_accesses f using gone
     where f.record_id = gone.record_id and f.professional_id = gone.professional_id
    """,
        ),
    )
)


def take_away(session: Session, merged: str, into: str, of_person: Collection[str], at: datetime) -> None:
    """Ends what a record has from the one that was merged into it, and what others have of that: no more and no less.

    It is on none of their lists any more, ended before or not.

    of_person: all records of the persons concerned.
    """
    asked = {"merged": merged, "into": into, "of_person": list(of_person), "at": at}
    for statement in _TAKE_AWAY:
        session.execute(statement, asked)
