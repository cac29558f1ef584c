"""The queries of what a holder has set: every word stays, the last one holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import Record
from services.dossier.models_desk import Setting

REPEATED = ("emergency", "responsibility", "autonomous_minor")
"""What every decision asks for: repeated in the record, so that a decision reads one row."""

_CURRENT = (
    Setting.setting_id, Setting.name, Setting.value, Setting.declared_on, Setting.note, Setting.risk_version,
    Setting.account_id, Setting.since, Setting.copied_from,
)  # fmt: skip


def put(
    session: Session,
    record_id: str,
    name: str,
    value: str,
    *,
    account_id: str,
    at: datetime,
    declared_on: date | None = None,
    note: str | None = None,
    risk_version: str | None = None,
    copied_from: str | None = None,
) -> bool:
    """Sets a value from a moment on, and ends the one before; False when that is what stands already.

    name: a setting of settings.csv, or `default_level:` and a folder. The caller holds the record's lock.
    """
    stands = current(session, record_id, name)
    same = stands is not None and (stands.value, stands.declared_on, stands.note) == (value, declared_on, note)
    if same and (stands.copied_from is None or copied_from is not None):  # what a merge brought goes back with it
        return False
    running = (Setting.record_id == record_id) & (Setting.name == name) & Setting.until.is_(None)
    # Never before it began: the clocks of two replicas differ.
    session.execute(sa.update(Setting).where(running).values(until=sa.func.greatest(Setting.since, at)))
    session.execute(
        sa.insert(Setting).values(
            setting_id=new_id(), record_id=record_id, name=name, value=value, declared_on=declared_on, note=note,
            risk_version=risk_version, account_id=account_id, since=at, copied_from=copied_from,
        )
    )  # fmt: skip
    repeat(session, record_id, name, value)
    return True


def repeat(session: Session, record_id: str, name: str, value: str) -> None:
    """Repeats a value in the record, where decisions ask for it; `inherited` takes a default level away."""
    repeated = _repeated(name, value)
    if repeated:
        session.execute(sa.update(Record).where(Record.record_id == record_id).values(repeated))


def _repeated(name: str, value: str) -> dict[str, Any]:
    if name in REPEATED:
        return {name: value}
    setting, _, folder = name.partition(":")
    if setting != "default_level":
        return {}
    if value == "inherited":
        return {"default_levels": Record.default_levels.op("-")(folder)}
    return {"default_levels": Record.default_levels.concat({folder: value})}


def current(session: Session, record_id: str, name: str) -> Any | None:
    """What stands under this name; None where nothing was ever said."""
    stands = sa.select(*_CURRENT).where(
        Setting.record_id == record_id, Setting.name == name, Setting.until.is_(None)
    )  # fmt: skip
    return session.execute(stands).first()


def all_current(session: Session, record_id: str) -> dict[str, Any]:
    """What stands in a record, by the name it is kept under."""
    stands = sa.select(*_CURRENT).where(Setting.record_id == record_id, Setting.until.is_(None))
    return {row.name: row for row in session.execute(stands)}


def history(session: Session, record_id: str, name: str, limit: int, after: str | None) -> Sequence[Any]:
    """Every word said under this name, the newest first; one more than the limit, if there are so many."""
    words = sa.select(Setting).where(Setting.record_id == record_id, Setting.name == name, ~Setting.taken_back)
    if after is not None:
        words = words.where(Setting.setting_id < after)
    return session.scalars(words.order_by(Setting.setting_id.desc()).limit(limit + 1)).all()


def with_value(session: Session, record_ids: Sequence[str], name: str, value: str) -> list[str]:
    """Those of these records where this value stands under this name."""
    stands = sa.select(Setting.record_id).where(
        Setting.record_id.in_(record_ids), Setting.name == name, Setting.value == value, Setting.until.is_(None)
    )  # fmt: skip
    return list(session.scalars(stands))
