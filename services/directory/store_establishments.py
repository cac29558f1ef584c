"""Every query of establishments."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import rfc3339
from services.directory.contract import EstablishmentRead, NamedEstablishment
from services.directory.models import Establishment
from services.directory.rules import searchable_establishment
from services.directory.rules_professionals import Sought
from services.directory.rules_sheets import EstablishmentSheet
from services.directory.store import address_columns, address_of, registration
from services.tokens import Caller


def insert_establishment(
    session: Session, establishment_id: str, sheet: EstablishmentSheet, by: Caller, at: datetime
) -> None:
    """Writes a new establishment."""
    locality = sheet.address["locality"] if sheet.address else None
    session.execute(
        sa.insert(Establishment).values(
            establishment_id=establishment_id,
            name=sheet.name,
            kind=sheet.kind,
            found_by=searchable_establishment(sheet.name, sheet.kind, locality),
            **address_columns(sheet.address),
            **registration(by, at),
        )
    )


def kind_of(session: Session, establishment_id: str | None) -> str | None:
    """Returns what an establishment is; None of one that is closed, and of one that nobody knows."""
    query = sa.select(Establishment.kind).where(
        Establishment.establishment_id == establishment_id, Establishment.closed_at.is_(None)
    )
    return session.scalar(query) if establishment_id else None


def hold_open_establishments(session: Session, establishment_ids: Sequence[str]) -> list[str]:
    """Returns those of the ids that are registered and open; they stay open until the transaction ends."""
    if not establishment_ids:
        return []
    return list(
        session.scalars(
            sa.select(Establishment.establishment_id)
            .where(Establishment.establishment_id.in_(establishment_ids), Establishment.closed_at.is_(None))
            .order_by(Establishment.establishment_id)
            .with_for_update(read=True)
        )
    )


def hold_establishment(session: Session, establishment_id: str | None) -> Establishment | None:
    """Returns an establishment, open or closed, as it stays until the transaction ends; others may hold it too."""
    return session.get(Establishment, establishment_id, with_for_update={"read": True}) if establishment_id else None


def lock_establishment(session: Session, establishment_id: str | None) -> Establishment | None:
    """Returns an establishment to be changed: nobody else changes it, or begins to work there, meanwhile."""
    # not the strongest lock: who refers to the row by its key need not wait
    lock = {"key_share": True}
    return session.get(Establishment, establishment_id, with_for_update=lock) if establishment_id else None


def change_establishment(row: Establishment, changes: Mapping[str, Any]) -> bool:
    """Changes these fields of a held establishment; returns whether any was another."""
    columns = {"name": changes["name"]} if "name" in changes else {}
    if "address" in changes:
        columns |= address_columns(changes["address"])
    changed = {name: value for name, value in columns.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    row.found_by = searchable_establishment(row.name, row.kind, row.locality)
    return bool(changed)


def close(row: Establishment, at: datetime) -> None:
    """Notes that a held establishment is closed."""
    row.closed_at = at


def read_establishment(session: Session, establishment_id: str | None) -> EstablishmentRead | None:
    """Returns one establishment, open or closed; None when there is none."""
    row = session.get(Establishment, establishment_id) if establishment_id else None
    return shown(row) if row is not None else None


def shown(row: Establishment) -> EstablishmentRead:
    """Returns an establishment as it is shown."""
    return {
        "establishment_id": row.establishment_id,
        "name": row.name,
        "kind": row.kind,
        "address": address_of(row) if row.address_line else None,
        "closed_at": rfc3339(row.closed_at) if row.closed_at else None,
    }


def search_establishments(session: Session, sought: Sought) -> list[NamedEstablishment]:
    """Returns one more than the limit, if there are so many, of the open establishments that answer a search, by name.

    A page goes on after the establishment that the cursor names, whether it is found itself or not.
    """
    place = (Establishment.found_by, Establishment.establishment_id)
    matching: list[sa.ColumnElement[bool]] = [
        Establishment.closed_at.is_(None),
        *(Establishment.found_by.like(f"% {word}%") for word in sought.words),
    ]
    if sought.kind:
        matching.append(Establishment.kind == sought.kind)
    if sought.locality:
        matching.append(Establishment.found_by.like(f"%; {sought.locality} ;%"))
    if sought.after:
        last = sa.select(*place).where(Establishment.establishment_id == sought.after).cte("last")
        after = [sa.select(column).scalar_subquery() for column in last.c]
        matching.append(sa.tuple_(*place) > sa.tuple_(*after))
    rows = session.execute(
        sa.select(Establishment.establishment_id, Establishment.name, Establishment.kind, Establishment.locality)
        .where(*matching).order_by(*place).limit(sought.limit + 1)
    )  # fmt: skip
    return [NamedEstablishment(**row) for row in rows.mappings()]  # type: ignore[typeddict-item]


def establishment_names(session: Session, establishment_ids: Sequence[str]) -> dict[str, str]:
    """Returns the name of each establishment that exists."""
    if not establishment_ids:
        return {}
    rows = session.execute(
        sa.select(Establishment.establishment_id, Establishment.name).where(
            Establishment.establishment_id.in_(establishment_ids)
        )
    )
    return {row.establishment_id: row.name for row in rows}
