"""Every query of professionals: their entries, what is told of them, names and addresses to show.

Searching is in store_professional_search.py, licences over time in store_licences.py, where they work in
store_workplaces.py.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.orm import Session

from services.db import rfc3339
from services.directory import store_workplaces
from services.directory.contract import (
    CapacityFacts,
    LetterAddress,
    NamedProfessional,
    PersonSheet,
    ProfessionalUpdated,
)
from services.directory.models import Id, Licence, Professional, Workplace
from services.directory.rules import display_name, letter_lines, letter_name, searchable_names, searchable_text
from services.directory.rules_sheets import ProfessionalSheet
from services.directory.store import NO_SHEET, address_columns, address_of, registration
from services.tokens import Caller

A_MOMENT = timedelta(microseconds=1)


def insert_professional(
    session: Session, professional_id: str, sheet: ProfessionalSheet, by: Caller, at: datetime
) -> None:
    """Writes a new professional with a valid licence and their workplaces, as version 1."""
    session.execute(
        sa.insert(Professional).values(
            professional_id=professional_id,
            licence="valid",
            version=1,
            updated_at=at,
            **_sheet_columns(sheet),
            **registration(by, at),
        )
    )
    session.execute(
        sa.insert(Licence).values(
            professional_id=professional_id, since=at, noted_at=at, state="valid", noted_by=by.account_id
        )
    )
    store_workplaces.start(session, professional_id, sheet.establishment_ids, at)


def lock_professional(session: Session, professional_id: str | None) -> Professional | None:
    """Returns a professional's row, held so that versions and the events that tell them follow one another."""
    return session.get(Professional, professional_id, with_for_update=True) if professional_id else None


def require_locked(session: Session, professional_id: str) -> Professional:
    """Returns the row of a professional known to exist, held."""
    return session.get_one(Professional, professional_id, with_for_update=True)


def moment_after(professional: Professional, at: datetime) -> datetime:
    """Returns this moment, or, where a replica's clock is behind, the first one after the entry's last change."""
    return max(at, professional.updated_at + A_MOMENT)


def update_professional(session: Session, professional: Professional, sheet: ProfessionalSheet, at: datetime) -> bool:
    """Brings a held entry and its workplaces to what the sheet says; returns whether that makes a new version."""
    before = set(store_workplaces.running(session, professional.professional_id))
    asked = set(sheet.establishment_ids)
    changed = _change(professional, _sheet_columns(sheet))
    if before == asked and not changed:
        return False
    new_version(professional, at)
    store_workplaces.end(session, professional.professional_id, before - asked, at)
    store_workplaces.start(session, professional.professional_id, asked - before, at)
    return True


def change_professional(professional: Professional, changes: Mapping[str, Any], at: datetime) -> bool:
    """Changes these fields of a held entry; returns whether that makes a new version."""
    columns = {name: value for name, value in changes.items() if name != "address"}
    if "address" in changes:
        columns |= address_columns(changes["address"])
    kept = {name: columns.get(name, getattr(professional, name)) for name in ("family_name", "first_name")}
    profession = columns.get("profession", professional.profession)
    columns["names_folded"] = searchable_names(**kept)
    columns["found_by"] = searchable_text(
        **kept, profession=profession, specialities=columns.get("specialities", professional.specialities)
    )
    if not _change(professional, columns):
        return False
    new_version(professional, at)
    return True


def new_version(professional: Professional, at: datetime) -> None:
    """Notes that a held entry is another than it was."""
    professional.version += 1
    professional.updated_at = at


def _change(row: Any, columns: Mapping[str, Any]) -> bool:
    changed = {name: value for name, value in columns.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)


def licence_of(session: Session, professional_id: str) -> str | None:
    """Returns the licence state of this professional, None when there is no such person."""
    return session.scalar(sa.select(Professional.licence).where(Professional.professional_id == professional_id))


def capacity_facts(session: Session, professional_id: str | None) -> CapacityFacts:
    """Returns what a token says of this professional, nulls when there is no such person."""
    row = session.execute(
        sa.select(Professional.profession, Professional.licence).where(Professional.professional_id == professional_id)
    ).one_or_none()
    if row is None or professional_id is None:
        return {"profession": None, "licence": None, "establishment_ids": []}
    places = store_workplaces.running(session, professional_id)
    return {"profession": row.profession, "licence": row.licence, "establishment_ids": places}


def updates(session: Session, professional_ids: Sequence[str]) -> list[ProfessionalUpdated]:
    """Returns the events that tell what these professionals now are, in the order of their ids, by one statement."""
    session.flush()
    places = (
        sa.select(sa.func.coalesce(_in_order(Workplace.establishment_id), sa.cast(sa.literal("{}"), ARRAY(Id))))
        .where(Workplace.professional_id == Professional.professional_id, Workplace.until.is_(None))
    )  # fmt: skip
    rows = session.execute(
        sa.select(
            Professional.professional_id, Professional.profession, Professional.licence, Professional.version,
            Professional.updated_at.label("at"), places.scalar_subquery().label("establishment_ids"),
            places.where(Workplace.emergency).scalar_subquery().label("emergency_establishment_ids"),
        )
        .where(Professional.professional_id.in_(professional_ids))
        .order_by(Professional.professional_id)
    )  # fmt: skip
    return [ProfessionalUpdated(**{**row, "at": rfc3339(row["at"])}) for row in rows.mappings()]


def _in_order(column: Any) -> Any:
    return sa.func.array_agg(aggregate_order_by(column, column), type_=ARRAY(Id))


def professional_names(session: Session, professional_ids: Sequence[str]) -> dict[str, NamedProfessional]:
    """Returns the name to show and the profession of each professional that exists."""
    if not professional_ids:
        return {}
    rows = session.execute(
        sa.select(Professional.professional_id, Professional.family_name, Professional.first_name,
                  Professional.profession)
        .where(Professional.professional_id.in_(professional_ids))
    )  # fmt: skip
    return {
        professional_id: {"name": display_name(family, first), "profession": profession}
        for professional_id, family, first, profession in rows
    }


def letter_address_of_professional(session: Session, professional_id: str | None) -> LetterAddress | None:
    """Returns where this professional's letters go: without an address of their own, to a workplace."""
    professional = session.get(Professional, professional_id) if professional_id else None
    if professional is None or professional_id is None:
        return None
    own = letter_lines(address_of(professional)) if professional.address_line else None
    return {
        "name_lines": [letter_name(professional.family_name, professional.first_name)],
        "address_lines": own or _lines_at_work(session, professional_id),
        "language": professional.language,
    }


def _lines_at_work(session: Session, professional_id: str) -> list[str]:
    for place in store_workplaces.establishments_of(session, professional_id):
        return [place.name, *(letter_lines(address_of(place)) if place.address_line else [])]
    return []


def sheet_of_professional(session: Session, professional_id: str | None) -> PersonSheet | None:
    """Returns what a professional confirms about themselves."""
    professional = session.get(Professional, professional_id) if professional_id else None
    if professional is None or professional_id is None:
        return None
    places = store_workplaces.establishments_of(session, professional_id)
    return {
        **NO_SHEET, "family_name": professional.family_name, "first_name": professional.first_name,
        "profession": professional.profession, "workplaces": [place.name for place in places],
    }  # fmt: skip


def _sheet_columns(sheet: ProfessionalSheet) -> dict[str, Any]:
    return {
        "family_name": sheet.family_name,
        "first_name": sheet.first_name,
        "profession": sheet.profession,
        "specialities": list(sheet.specialities),
        "language": sheet.language,
        **address_columns(sheet.address),
        "names_folded": searchable_names(sheet.family_name, sheet.first_name),
        "found_by": searchable_text(sheet.family_name, sheet.first_name, sheet.profession, sheet.specialities),
    }
