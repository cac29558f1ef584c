"""The queries of opening records by the hundred: few words to the database, whatever their number."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.store_merges import open_beside_merges

# In one order everywhere: two openings of the same patients at the same time wait for each other once, not in a ring.
_OPEN = sa.text(
    """
    insert into records (record_id, patient_id, opened_for, state, since)
    select told.record_id, coalesce(m.speaks_id, told.patient_id),
           case when m.speaks_id is not null then told.patient_id end, :state, :at
      from unnest(cast(:record_ids as uuid[]), cast(:patient_ids as uuid[])) as told (record_id, patient_id)
      left join patient_merges m on m.merged_id = told.patient_id and m.state = 'running'
     where :opposed or not exists (
           select from records gone join state_changes c on c.record_id = gone.record_id
            where coalesce(gone.opened_for, gone.patient_id) = told.patient_id and gone.state = 'deleted'
              and c.state = 'deleted' and c.cause = 'opposition')
     order by 2
    on conflict do nothing
    returning cast(record_id as text), cast(patient_id as text)
    """
)
_HISTORY = sa.text(
    """
    insert into state_changes (change_id, record_id, at, previous, state, cause)
    select told.change_id, told.record_id, :at, :previous, :state, :cause
      from unnest(cast(:change_ids as uuid[]), cast(:record_ids as uuid[])) as told (change_id, record_id)
    """
)


def insert_records(
    session: Session, patient_ids: Sequence[str], state: str, at: datetime, *, opposed: bool = True
) -> list[tuple[str, str]]:
    """(record id, patient id) of each record that is new: who has one that is not deleted gets no second.

    opposed: whether whoever opposed the one they had gets another. Of patients who are one person, who speaks for all
    of them gets it.
    """
    asked = sorted(set(patient_ids))
    open_beside_merges(session)
    ids = {"record_ids": [new_id() for _ in asked], "patient_ids": asked}
    made = session.execute(_OPEN, {**ids, "state": state, "at": at, "opposed": opposed})
    return [(row.record_id, row.patient_id) for row in made]


def insert_state_changes(
    session: Session, record_ids: Sequence[str], at: datetime, previous: str | None, state: str, cause: str
) -> None:
    """The same line in the state history of each of these records; the platform itself took the step."""
    session.execute(
        _HISTORY,
        {
            "change_ids": [new_id() for _ in record_ids], "record_ids": list(record_ids), "at": at,
            "previous": previous, "state": state, "cause": cause,
        },
    )  # fmt: skip
