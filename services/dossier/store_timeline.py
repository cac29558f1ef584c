"""The query of a record's states and mandates in the order of time, for the timeline that documents puts together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.contract import MANDATE_EVENT, NOBODY, STATE_EVENT
from services.dossier.rules_timeline import COMMON_STATES, Told

# The order is that of documents' own part: kind and id as bytes, whatever the database's language.
_EVENTS = sa.text(
    """
    select at, kind, id, what, previous, cause, by, cast(mandate_id as text) as mandate_id, mandate_kind,
           cast(professional_id as text) as professional_id, cast(establishment_id as text) as establishment_id,
           read_until, deposit_until
      from (select c.at, 'state' collate "C" as kind, cast(c.change_id as text) collate "C" as id,
                   c.state as what, case when :all_states then c.previous end as previous,
                   case when :all_states then c.cause end as cause, case when :all_states then c.capacity end as by,
                   cast(null as uuid) as mandate_id,
                   null as mandate_kind, cast(null as uuid) as professional_id, cast(null as uuid) as establishment_id,
                   cast(null as timestamptz) as read_until, cast(null as timestamptz) as deposit_until
              from state_changes c
             where c.record_id = :record_id and :with_states
               and (:all_states or (c.state = any (cast(:common as text[])) and c.previous is distinct from 'closed'))
            union all
            select step.at, 'mandate', m.mandate_id || ':' || step.what, step.what, null, null, null,
                   m.mandate_id, m.kind, m.professional_id, m.establishment_id, m.read_until, m.deposit_until
              from mandates m
             cross join lateral (values ('opened', m.starts_at), ('ended', coalesce(m.ended_at, m.deposit_until)))
                   as step (what, at)
             where m.record_id = :record_id and :with_mandates and not m.taken_back
               and (:all_mandates or m.professional_id = :professional_id
                    or (m.professional_id is null and m.establishment_id = :establishment_id))) as events
     where at <= :now and (cast(:since as timestamptz) is null or at >= :since)
       and (cast(:until as timestamptz) is null or at < :until)
       and (cast(:after_at as timestamptz) is null
            or (at, kind, id) < (:after_at, cast(:after_kind as text) collate "C", cast(:after_id as text) collate "C"))
     order by at desc, kind desc, id desc
     limit :most
    """
)


def events(
    session: Session, record_id: str, told: Told, kinds: Sequence[str], *, professional_id: str | None,
    establishment_id: str | None, now: datetime, since: datetime | None, until: datetime | None,
    after: tuple[datetime, str, str] | None, most: int,
) -> Sequence[Any]:  # fmt: skip
    """The last events that are told, newest first, after a place. since, until: from and before these moments."""
    place = after or (None, None, None)
    return session.execute(
        _EVENTS,
        {
            "record_id": record_id, "with_states": STATE_EVENT in kinds and told.states != "none",
            "all_states": told.states == "all", "common": list(COMMON_STATES),
            "with_mandates": MANDATE_EVENT in kinds, "all_mandates": told.all_mandates,
            "professional_id": professional_id or NOBODY, "establishment_id": establishment_id or NOBODY, "now": now,
            "since": since, "until": until, "after_at": place[0], "after_kind": place[1], "after_id": place[2],
            "most": most,
        },
    ).all()  # fmt: skip
