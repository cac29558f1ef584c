"""Every query by which professionals and establishments are loaded."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.models import Establishment, Matricule, Professional, Workplace
from services.directory.rules import searchable_establishment
from services.directory.rules_load_sheets import ESTABLISHMENT_COLUMNS, PROFESSIONAL_COLUMNS, cell
from services.directory.rules_sheets import EstablishmentSheet, ProfessionalSheet
from services.directory.store import address_columns, address_of
from services.directory.store_load import copy


class New(NamedTuple):
    """A professional who gets an entry; text: of PROFESSIONAL_COLUMNS."""

    professional_id: str
    text: str
    sheet: ProfessionalSheet


class Known(NamedTuple):
    """A professional who has one, held until the step is over. former: the matricule asked for is not the present."""

    row: Professional
    former: bool
    workplaces: tuple[str, ...]

    @property
    def sheet(self) -> ProfessionalSheet:
        """The entry as it stands, without the matricule."""
        row = self.row
        return ProfessionalSheet(
            matricule="", family_name=row.family_name, first_name=row.first_name, profession=row.profession,
            specialities=tuple(row.specialities), establishment_ids=self.workplaces, language=row.language,
            address=address_of(row) if row.address_line is not None else None,
        )  # fmt: skip


def professionals(session: Session, matricules: Sequence[str]) -> dict[str, Known]:
    """Returns whose these matricules are or were, held in the order of their ids."""
    whose = sa.select(Matricule.matricule, Matricule.professional_id, Matricule.until.is_not(None).label("former"))
    owners = session.execute(
        whose.where(Matricule.matricule.in_(matricules), Matricule.professional_id.is_not(None))
    ).all()
    if not owners:
        return {}
    ids = [owner.professional_id for owner in owners]
    held = sa.select(Professional).where(Professional.professional_id.in_(ids)).order_by(Professional.professional_id)
    rows = {row.professional_id: row for row in session.scalars(held.with_for_update())}
    places: dict[str, list[str]] = {}
    for professional_id, place in session.execute(
        sa.select(Workplace.professional_id, Workplace.establishment_id)
        .where(Workplace.professional_id.in_(ids), Workplace.until.is_(None))
        .order_by(Workplace.establishment_id)
    ):
        places.setdefault(professional_id, []).append(place)
    return {
        owner.matricule: Known(
            rows[owner.professional_id], owner.former, tuple(places.get(owner.professional_id, ()))
        )
        for owner in owners
    }  # fmt: skip


def add_professionals(session: Session, new: Sequence[New], software: str, at: datetime) -> None:
    """Writes new entries with a valid licence and their workplaces, as version 1."""
    when = at.isoformat()
    mark = f"valid\t1\t{when}\t{when}\t{cell(software)}"
    columns = ("professional_id", *PROFESSIONAL_COLUMNS, "licence", "version", "updated_at", "registered_at",
               "registered_with")  # fmt: skip
    copy(session, "professionals", columns, (f"{one.professional_id}\t{one.text}\t{mark}" for one in new))
    numbers = (f"{one.sheet.matricule}\t{one.professional_id}\t{when}" for one in new)
    copy(session, "matricules", ("matricule", "professional_id", "since"), numbers)
    licences = (f"{one.professional_id}\t{when}\t{when}\tvalid" for one in new)
    copy(session, "licences", ("professional_id", "since", "noted_at", "state"), licences)
    places = (f"{one.professional_id}\t{place}\t{when}" for one in new for place in one.sheet.establishment_ids)
    copy(session, "workplaces", ("professional_id", "establishment_id", "since"), places)


def establishments(session: Session, establishment_ids: Sequence[str]) -> dict[str, Establishment]:
    """Returns those of these that are registered, held in the order of their ids."""
    held = (
        sa.select(Establishment)
        .where(Establishment.establishment_id.in_(establishment_ids))
        .order_by(Establishment.establishment_id)
        .with_for_update(key_share=True)
    )
    return {row.establishment_id: row for row in session.scalars(held)}


def add_establishments(session: Session, new: Mapping[str, str], software: str, at: datetime) -> None:
    """Writes new establishments; new: the text of ESTABLISHMENT_COLUMNS of each id."""
    mark = f"{at.isoformat()}\t{cell(software)}"
    columns = ("establishment_id", *ESTABLISHMENT_COLUMNS, "registered_at", "registered_with")
    copy(session, "establishments", columns, (f"{one}\t{text}\t{mark}" for one, text in new.items()))


def change_establishment(row: Establishment, sheet: EstablishmentSheet) -> bool:
    """Brings a held establishment to name and address of a sheet of its kind; returns whether it was otherwise."""
    locality = sheet.address["locality"] if sheet.address else None
    columns = {
        "name": sheet.name, **address_columns(sheet.address),
        "found_by": searchable_establishment(sheet.name, sheet.kind, locality),
    }  # fmt: skip
    changed = {name: value for name, value in columns.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)


def sheet_there(row: Establishment) -> EstablishmentSheet:
    """Returns the entry of an establishment as it stands."""
    return EstablishmentSheet(row.name, row.kind, address_of(row) if row.address_line is not None else None)
