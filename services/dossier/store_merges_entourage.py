"""The queries of merging for the persons around a holder: representatives and assistants go along, and go back.

Merges and every change of these grants hold their record, so that neither misses the other.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier import store_assistants, store_deadlines, store_representatives
from services.dossier.store_holders import SPEAKS

# What somebody ended is not made again; what a merge that was undone took away is. Nobody stands by themself.
_COPY = """
    insert into {table} ({id}, record_id, {begun}, copied_from, {columns})
    select gen_random_uuid(), :into, greatest(g.{begun}, :at), g.{id}, {ours}
      from {table} g
     where g.record_id = :merged and g.{begun} is not null and g.ended_at is null and (g.until is null or g.until > :at)
       and not exists (select from {table} t
                        where t.record_id = :into and t.copied_from = g.{id} and t.ended_by is not null)
       and not exists (select from {table} t
                        where t.record_id = :into and t.ended_at is null and (t.until is null or t.until > :at)
                          and {theirs} = {person})
       and not exists (select from records r where r.record_id = :into and r.patient_id = {person})
    returning cast({id} as text), until
"""
_BRING_DOWN = """
    update {table} mine set ended_at = theirs.ended_at, ended_by = theirs.ended_by
      from (select distinct on (patient_id) patient_id, ended_at, ended_by from {table}
             where record_id = :into and ended_by is not null and ended_at > :merged_at
             order by patient_id, ended_at desc) as theirs
     where mine.record_id = :merged and mine.ended_at is null and mine.patient_id = theirs.patient_id
       and not exists (select from {table} again
                        where again.record_id = :into and again.patient_id = theirs.patient_id
                          and again.ended_at is null and (again.until is null or again.until > :at))
"""
_END_SITTINGS = """
    update representatives mine set together_until = copy.together_until from representatives copy
     where mine.record_id = :merged and copy.record_id = :into and copy.copied_from = mine.representative_id
       and copy.together_until < mine.together_until
"""
_REPRESENTATIVES = {"table": "representatives", "id": "representative_id", "begun": "since"}
_ASSISTANTS = {"table": "assistants", "id": "assistant_id", "begun": "accepted_at"}
_KEPT = {
    "representatives": ("patient_id", "kind", "proof", "until", "until_cause", "together_until", "recorded_by"),
    "assistants": ("patient_id", "name", "invited_by", "invited_at", "code_until", "until"),
}


def _copying(of: dict[str, str]) -> sa.TextClause:
    kept = _KEPT[of["table"]]
    return sa.text(
        _COPY.format(
            **of,
            columns=", ".join(kept),
            ours=", ".join(f"g.{column}" for column in kept),
            theirs=SPEAKS.format(id="t.patient_id"),
            person=SPEAKS.format(id="g.patient_id"),
        )
    )


_COPIES = (
    (store_representatives.OVER, _copying(_REPRESENTATIVES)),
    (store_assistants.OVER, _copying(_ASSISTANTS)),
)
_ENDS = tuple(map(sa.text, (_BRING_DOWN.format(**_REPRESENTATIVES), _BRING_DOWN.format(**_ASSISTANTS), _END_SITTINGS)))
_ENDED = {"ended": "ended_at = coalesce(ended_at, :at)"}

COPIES: tuple[dict[str, str], ...] = tuple(
    {"table": of["table"], "id": of["id"], **_ENDED} for of in (_REPRESENTATIVES, _ASSISTANTS)
)
"""What the copies of these grants are ended by, when what they repeat leads elsewhere."""


def copy_people(session: Session, asked: dict[str, Any]) -> None:
    """Lets those act and read in a record who do in the one merged into it. asked: merged, into, at."""
    for kind, statement in _COPIES:
        copied = session.execute(statement, asked).all()
        store_deadlines.put_many(
            session, kind, [(copy_id, asked["into"], until) for copy_id, until in copied if until is not None]
        )


def bring_down_ends(session: Session, asked: dict[str, Any]) -> None:
    """Ends in a merged record whom somebody ended in the one it led to. asked: merged, into, merged_at, at."""
    for statement in _ENDS:
        session.execute(statement, asked)
