"""Every query of slots: tries that are given ahead to who has just deposited, for what they may deposit next."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import say_last
from services.documents import store_wishes
from services.documents.models import record_keys
from services.documents.store import Row
from services.documents.store_moves import STAYS
from services.plans import planned_once


def add(
    session: Session, version_id: str, account_id: str, capacity: str, wrapped_key: bytes, at: datetime
) -> None:
    """Remembers a slot before its URL leaves, with the commit: no object without a row."""
    say_last(
        session, _ADD, slot_id=version_id, slot_of=account_id, slot_in=capacity, slot_key=wrapped_key, slot_at=at
    )


_ADD = """
    insert into attempts (version_id, account_id, capacity, wrapped_key, started_at)
    values (cast(:slot_id as uuid), cast(:slot_of as uuid), :slot_in, :slot_key, :slot_at)
"""


def ready_with(
    session: Session, record_id: str, version_id: str, account_id: str, capacity: str, not_before: datetime
) -> Row:
    """What a record has ready for deposits, as `store_deposits.ready_for`, and `slot_key`: the wrapped key of a
    person's own slot, held until the commit; None where it is not theirs, too old or used.

    `stays`: whether the record speaks for itself and was not deleted; no merge that was not noted yet is noted before
    the commit.
    """
    asked = {"record_id": record_id, "slot": version_id, "account_id": account_id, "capacity": capacity,
             "not_before": not_before}  # fmt: skip
    return session.execute(_READY, asked).one()


# One word of three statements: what the first two waited for is seen by the last.
_READY = planned_once(
    sa.text(f"""
        {STAYS};
        select from attempts where version_id = cast(:slot as uuid) and account_id = cast(:account_id as uuid)
           for update;
        select (select wrapped_key from record_keys where record_id = cast(:record_id as uuid)) as wrapped_key,
               {store_wishes.opposing("cast(:record_id as uuid)")} as opposed,
               not exists (select from record_moves where record_id = cast(:record_id as uuid)
                              and leads_to is not null)
               and not exists (select from record_keys where record_id = cast(:record_id as uuid)
                                  and deleted_at is not null) as stays,
               (select wrapped_key from attempts where version_id = cast(:slot as uuid)
                   and account_id = cast(:account_id as uuid) and capacity = :capacity
                   and condemned_at is null and started_at > :not_before) as slot_key
    """).columns(  # noqa: S608 (words of this file and of the queries it names)
        record_keys.c.wrapped_key, sa.column("opposed", sa.JSON), sa.column("stays", sa.Boolean),
        sa.column("slot_key", sa.LargeBinary),
    )
)  # fmt: skip


def become_try(session: Session, version_id: str, upload_id: str, record_id: str, wrapped_key: bytes) -> None:
    """Makes a slot a try of an upload like any other, with the commit, its key wrapped by the record's now."""
    say_last(
        session, _BECOME, became=version_id, became_of=upload_id, became_in=record_id, became_key=wrapped_key
    )  # fmt: skip


_BECOME = """
    update attempts set account_id = null, capacity = null, upload_id = cast(:became_of as uuid),
           key_record_id = cast(:became_in as uuid), wrapped_key = :became_key
     where version_id = cast(:became as uuid)
       and exists (select from uploads where upload_id = cast(:became_of as uuid))
"""
