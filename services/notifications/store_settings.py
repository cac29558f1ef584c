"""Queries on what people have set of their notices."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.notifications import rules
from services.notifications.models_messages import Message
from services.notifications.models_settings import NotificationSettings
from services.notifications.rules_settings import settings_from
from services.notifications.rules_ways import PersonSettings

# Where two patients are one person, what was set last for either holds for both. Whoever is told something as the owner
# of an account is told as they wish in the capacity in which they set it last.
_APPLIES = sa.text("""
    with recursive asked as (
        select * from unnest(cast(:kinds as text[]), cast(:ids as uuid[])) as asked (kind, id)
    ), same as (
        select kind, id, id as same_id from asked
        union
        select same.kind, same.id,
               case when merges.survivor_id = same.same_id then merges.merged_id else merges.survivor_id end
        from same join patient_merges as merges
            on not merges.undone and same.kind = 'patient' and same.same_id in (merges.survivor_id, merges.merged_id)
    )
    select distinct on (same.kind, same.id) same.kind, cast(same.id as text) as id, found.*
    from same cross join lateral (
        select * from notification_settings
        where person_kind = same.kind and person_id = cast(same.same_id as text)
        union all
        select * from notification_settings
        where same.kind = 'account' and person_kind <> 'account' and account_id = same.same_id
    ) as found
    order by same.kind, same.id, found.person_kind = same.kind desc, found.changed_at desc
""")


def _applying(session: Session, people: Collection[tuple[str, str]]) -> list[dict[str, Any]]:
    known = [(kind, person_id) for kind, person_id in people if rules.is_id(person_id)]
    if not known:
        return []
    asked = {"kinds": [kind for kind, _ in known], "ids": [person_id for _, person_id in known]}
    return [dict(row) for row in session.execute(_APPLIES, asked).mappings()]


def settings_of(session: Session, people: Collection[tuple[str, str]]) -> dict[tuple[str, str], PersonSettings]:
    """What these people have set, each named by kind and id as a `Reader` is; who has set nothing is left out."""
    return {(row["kind"], row["id"]): settings_from(row) for row in _applying(session, people)}


def settings_row(session: Session, kind: str, person_id: str) -> dict[str, Any] | None:
    """The row that holds for this person; None where they have set nothing."""
    return next(iter(_applying(session, [(kind, person_id)])), None)


def put_settings(session: Session, row: dict[str, Any], present: dict[str, Any] | None) -> int | None:
    """Keeps what somebody wishes from now on; the new version, or None where somebody else was faster.

    present: the row that held until now; it is changed, whichever of two merged patients it is of.
    """
    if present is None:
        first = insert(NotificationSettings).values(**row, version=2).on_conflict_do_nothing()
        return session.scalar(first.returning(NotificationSettings.version))
    changed = (
        sa.update(NotificationSettings)
        .where(
            NotificationSettings.person_kind == present["person_kind"],
            NotificationSettings.person_id == present["person_id"],
            NotificationSettings.version == present["version"],
        )
        .values({name: value for name, value in row.items() if name not in ("person_kind", "person_id")})
        .values(version=NotificationSettings.version + 1)
        .returning(NotificationSettings.version)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(changed)


def move_waiting(session: Session, kind: str, person_id: str, channel: str, due_at: datetime) -> None:
    """Lets what waits for a person's digest go with the next one, at its new hour and on its new channel."""
    session.execute(
        sa.update(Message)
        .where(
            Message.recipient_kind == kind, Message.recipient_id == person_id, Message.state == "queued",
            Message.digest, Message.digest_id.is_(None),
        )
        .values(due_at=due_at, channel=channel)
        .execution_options(synchronize_session=False)
    )  # fmt: skip
