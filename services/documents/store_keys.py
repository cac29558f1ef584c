"""Every query of the record keys' own life: under which master key they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.documents.models import record_keys


def hold_others(session: Session, master_key_id: str, after: str | None, limit: int) -> Sequence[Any]:
    """Some record keys after a record that another master key wraps, held until the commit; none held elsewhere."""
    query = (
        sa.select(record_keys.c.record_id, record_keys.c.wrapped_key)
        .where(record_keys.c.master_key_id != master_key_id, record_keys.c.wrapped_key.is_not(None))
        .order_by(record_keys.c.record_id).limit(limit).with_for_update(skip_locked=True)
    )  # fmt: skip
    return session.execute(query if after is None else query.where(record_keys.c.record_id > after)).all()


def put(session: Session, wrapped: Mapping[str, bytes], master_key_id: str) -> None:
    """Keeps record keys as they are wrapped now."""
    if not wrapped:
        return
    session.execute(
        sa.update(record_keys).where(record_keys.c.record_id == sa.bindparam("of_record"))
        .values(wrapped_key=sa.bindparam("anew"), master_key_id=master_key_id)
        .execution_options(synchronize_session=False),
        [{"of_record": record_id, "anew": key} for record_id, key in wrapped.items()],
    )  # fmt: skip
