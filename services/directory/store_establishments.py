"""Every query of establishments."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.models import Establishment
from services.directory.rules_sheets import EstablishmentSheet
from services.directory.store import registration
from services.tokens import Caller


def insert_establishment(
    session: Session, establishment_id: str, sheet: EstablishmentSheet, by: Caller, at: datetime
) -> None:
    """Writes a new establishment."""
    session.execute(
        sa.insert(Establishment).values(
            establishment_id=establishment_id, name=sheet.name, kind=sheet.kind, **registration(by, at)
        )
    )


def known_establishments(session: Session, establishment_ids: Sequence[str]) -> list[str]:
    """Returns those of the ids that are registered."""
    return list(
        session.scalars(
            sa.select(Establishment.establishment_id).where(Establishment.establishment_id.in_(establishment_ids))
        )
    )


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
