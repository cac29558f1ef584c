"""Every query of slots: tries that are given ahead to who has just deposited, for what they may deposit next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.documents import store_wishes
from services.documents.models import Id, attempts, documents, record_keys, uploads, versions
from services.documents.store import Row
from services.documents.store_moves import STAY
from services.documents.store_rows import added, rows
from services.plans import planned_once
from services.words import say_last


class Slot(NamedTuple):
    """Whose slot is meant, and for which record."""

    record_id: str
    version_id: str
    account_id: str
    capacity: str


def add(session: Session, version_id: str, account_id: str, capacity: str, wrapped_key: bytes, at: datetime) -> None:
    """Remembers a slot before its URL leaves, with the commit: no object without a row."""
    slot = {"version_id": version_id, "account_id": account_id, "capacity": capacity, "wrapped_key": wrapped_key,
            "started_at": at}  # fmt: skip
    say_last(session, _ADD, slots=rows([slot]))


_ADD = added(attempts, "version_id, account_id, capacity, wrapped_key, started_at", "slots")


def ready_with(session: Session, slots: Sequence[Slot], not_before: datetime) -> Sequence[Row]:
    """Of each slot what its record has ready for deposits, as `store_deposits.ready_for`, and `slot_key`: the wrapped
    key of a person's own slot, held until the commit; None where it is not theirs, too old or used.

    `stays`: whether the record speaks for itself and was not deleted; no merge that was not noted yet is noted before
    the commit.
    """
    record_ids, version_ids, account_ids, capacities = (list(column) for column in zip(*slots, strict=True))
    asked = {"record_ids": record_ids, "slots": version_ids, "account_ids": account_ids, "capacities": capacities,
             "not_before": not_before}  # fmt: skip
    return session.execute(_READY, asked).all()


# One word of three statements: what the first two waited for is seen by the last.
_READY = planned_once(
    sa.text(f"""
        {STAY};
        select from attempts
         where version_id = any(cast(:slots as uuid[])) and account_id = any(cast(:account_ids as uuid[]))
         order by version_id for update;
        select (select wrapped_key from record_keys where record_id = asked.record_id) as wrapped_key,
               {store_wishes.opposing("asked.record_id")} as opposed,
               not exists (select from record_moves where record_id = asked.record_id and leads_to is not null)
               and not exists (select from record_keys where record_id = asked.record_id
                                  and deleted_at is not null) as stays,
               (select wrapped_key from attempts where version_id = asked.slot
                   and account_id = asked.whose and capacity = asked.capacity
                   and condemned_at is null and started_at > :not_before) as slot_key
          from unnest(cast(:record_ids as uuid[]), cast(:slots as uuid[]), cast(:account_ids as uuid[]),
                      cast(:capacities as text[]))
               with ordinality as asked (record_id, slot, whose, capacity, place)
         order by asked.place
    """).columns(  # noqa: S608 (words of this file and of the queries it names)
        record_keys.c.wrapped_key, sa.column("opposed", sa.JSON), sa.column("stays", sa.Boolean),
        sa.column("slot_key", sa.LargeBinary),
    )
)  # fmt: skip


def made_in(session: Session, slot: Slot, author_id: str | None) -> Row | None:
    """The upload that a person's slot became a document for in this record and in this author's name, with the bytes'
    `sha256`; None where it became none."""
    return session.execute(_MADE, {**slot._asdict(), "author_id": author_id}).first()


_MADE = planned_once(
    sa.select(uploads, versions.c.sha256)
    .select_from(versions).join(documents, documents.c.document_id == versions.c.document_id)
    .join(uploads, uploads.c.upload_id == documents.c.upload_id)
    .where(
        versions.c.version_id == sa.bindparam("version_id", type_=Id), uploads.c.version_id == versions.c.version_id,
        uploads.c.account_id == sa.bindparam("account_id", type_=Id), uploads.c.capacity == sa.bindparam("capacity"),
        uploads.c.home_record_id == sa.bindparam("record_id", type_=Id),
        versions.c.author_id.is_not_distinct_from(sa.bindparam("author_id", type_=Id)),
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
