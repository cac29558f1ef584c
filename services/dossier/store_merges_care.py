"""The queries of merging for the professionals around a holder: foreseen ends of the circle, referring physicians.

Merges and every change of these grants hold their record, so that neither misses the other.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier import store_circle, store_deadlines, store_referring

# One at a time: the survivor's own referring physician stands. A copy keeps since when it counts, which the first year
# is reckoned from; a ground in this record it is from now on (proposed_at). What ended here is not made again; what a
# merge that was undone took away is.
_COPY = sa.text(
    """
    with wanted as materialized (
        select d.*, gen_random_uuid() as copy_id from referring_physicians d
         where d.record_id = :merged and d.effective_at is not null
           and (coalesce(d.ended_at, d.ends_at) is null or coalesce(d.ended_at, d.ends_at) > :at)
           and not exists (select from referring_physicians t
                            where t.record_id = :into and t.copied_from = d.designation_id
                              and t.end_cause is distinct from 'unmerged')
           and not exists (select from referring_physicians own
                            where own.record_id = :into and own.effective_at is not null
                              and (coalesce(own.ended_at, own.ends_at) is null
                                   or coalesce(own.ended_at, own.ends_at) > :at)))
    insert into referring_physicians (
           designation_id, record_id, professional_id, replaces_id, proposed_by, proposed_at, holder_signed_at,
           physician_signed_at, notified_at, effective_at, ends_at, end_cause, end_asked_by, copied_from)
    select copy_id, :into, professional_id,
           (select w.copy_id from wanted w where w.designation_id = wanted.replaces_id),
           proposed_by, :at, holder_signed_at, physician_signed_at, notified_at, effective_at, ends_at, end_cause,
           end_asked_by, designation_id
      from wanted
     where replaces_id is null or replaces_id in (select designation_id from wanted)
    returning cast(designation_id as text), effective_at, ends_at
    """
)
_BRING_DOWN = sa.text(
    """
    update referring_physicians mine
       set ends_at = copy.ends_at, ended_at = copy.ended_at, end_cause = copy.end_cause,
           end_asked_by = copy.end_asked_by, ended_by = copy.ended_by
      from referring_physicians copy
     where mine.record_id = :merged and mine.ended_at is null
       and copy.record_id = :into and copy.copied_from = mine.designation_id
       and copy.end_cause is distinct from 'unmerged'
       and (copy.ended_at is not null or copy.ends_at is distinct from mine.ends_at)
    returning cast(mine.designation_id as text), mine.ends_at
    """
)
_BRING_DOWN_CIRCLE = sa.text(
    """
    update circle_members mine set ends_at = copy.ends_at
      from circle_members copy
     where mine.record_id = :merged and mine.until is null
       and copy.record_id = :into and copy.professional_id = mine.professional_id and copy.since >= :merged_at
       and copy.ends_at < coalesce(mine.ends_at, 'infinity')
    returning cast(mine.member_id as text), mine.ends_at
    """
)

COPIES: dict[str, str] = {
    "table": "referring_physicians",
    "id": "designation_id",
    "ended": "ended_at = coalesce(ended_at, :at),"
    " end_cause = case when ended_at is null then 'unmerged' else end_cause end",
}
"""What the copies of designations are ended by, when what they repeat leads elsewhere."""


def copy_referring_physicians(session: Session, asked: dict[str, Any]) -> None:
    """Gives in a record the referring physician of the one merged into it, unless it has its own.

    asked: merged, into, at.
    """
    copied = session.execute(_COPY, asked).all()
    into, at = asked["into"], asked["at"]
    coming = [(copy_id, into, effective_at) for copy_id, effective_at, _ in copied if effective_at > at]
    store_deadlines.put_many(session, store_referring.EFFECTIVE, coming)
    ends = [(copy_id, into, ends_at) for copy_id, _, ends_at in copied if ends_at is not None]
    store_deadlines.put_many(session, store_referring.END, ends)


def bring_down_ends(session: Session, asked: dict[str, Any]) -> None:
    """Ends in a merged record what ended, or is to end earlier, in the one it led to.

    asked: merged, into, merged_at.
    """
    for kind, statement in ((store_referring.END, _BRING_DOWN), (store_circle.END, _BRING_DOWN_CIRCLE)):
        ends = session.execute(statement, asked).all()
        store_deadlines.put_many(session, kind, [(each, asked["merged"], end) for each, end in ends if end is not None])
