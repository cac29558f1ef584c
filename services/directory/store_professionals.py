"""Every query of professionals and where they work."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.contract import (
    CapacityFacts,
    FoundProfessional,
    LetterAddress,
    NamedEstablishment,
    NamedProfessional,
    PersonSheet,
    ProfessionalUpdated,
)
from services.directory.models import Establishment, Professional, Workplace
from services.directory.rules import display_name, letter_lines, letter_name, searchable_names, searchable_text
from services.directory.rules_sheets import ProfessionalSheet
from services.directory.store import NO_SHEET, address_of, registration
from services.tokens import Caller


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
    _start_work(session, professional_id, sheet.establishment_ids, at)


def lock_professional(session: Session, professional_id: str) -> tuple[str, str]:
    """Returns (family_name, first_name) of a professional known to exist, held so that versions follow one another."""
    professional = session.get_one(Professional, professional_id, with_for_update=True)
    return professional.family_name, professional.first_name


def update_professional(session: Session, professional_id: str, sheet: ProfessionalSheet, at: datetime) -> bool:
    """Brings a locked entry and its workplaces to what the sheet says; returns whether that makes a new version."""
    professional = session.get_one(Professional, professional_id)
    columns = _sheet_columns(sheet)
    before, asked = set(_workplaces(session, professional_id)), set(sheet.establishment_ids)
    if before == asked and all(getattr(professional, name) == value for name, value in columns.items()):
        return False
    for name, value in columns.items():
        setattr(professional, name, value)
    professional.version += 1
    professional.updated_at = at
    session.execute(
        sa.update(Workplace).values(until=at)
        .where(Workplace.professional_id == professional_id, Workplace.until.is_(None),
               Workplace.establishment_id.in_(before - asked))
    )  # fmt: skip
    _start_work(session, professional_id, asked - before, at)
    return True


def set_licence(session: Session, professional_id: str | None, licence: str, at: datetime) -> bool | None:
    """Gives a professional this licence; returns whether that makes a new version, None when there is no such person.

    The row is held, so that versions and the events that tell them follow one another.
    """
    professional = session.get(Professional, professional_id, with_for_update=True) if professional_id else None
    if professional is None:
        return None
    if professional.licence == licence:
        return False
    professional.licence = licence
    professional.version += 1
    professional.updated_at = at
    return True


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
    places = _workplaces(session, professional_id)
    return {"profession": row.profession, "licence": row.licence, "establishment_ids": places}


def professional_updated(session: Session, professional_id: str) -> ProfessionalUpdated:
    """Returns the event that tells what this professional now is."""
    session.flush()
    row = session.execute(
        sa.select(Professional.profession, Professional.licence, Professional.version).where(
            Professional.professional_id == professional_id
        )
    ).one()
    return ProfessionalUpdated(
        professional_id=professional_id,
        profession=row.profession,
        licence=row.licence,
        establishment_ids=_workplaces(session, professional_id),
        version=row.version,
    )


def _workplaces(session: Session, professional_id: str) -> list[str]:
    return list(
        session.scalars(
            sa.select(Workplace.establishment_id)
            .where(Workplace.professional_id == professional_id, Workplace.until.is_(None))
            .order_by(Workplace.establishment_id)
        )
    )


def search_professionals(session: Session, words: Sequence[str], limit: int) -> list[FoundProfessional]:
    """Returns the professionals each of whose sought words begins one of theirs; matches of the name come first.

    words: folded by the rules, so that none holds a wildcard of LIKE.
    """
    in_names = sa.and_(*(Professional.names_folded.like(f"% {word}%") for word in words))
    found = session.scalars(
        sa.select(Professional)
        .where(Professional.licence != "withdrawn", *(Professional.found_by.like(f"% {word}%") for word in words))
        .order_by(in_names.desc(), Professional.names_folded, Professional.professional_id)
        .limit(limit)
    ).all()
    workplaces = _named_workplaces(session, [each.professional_id for each in found])
    return [
        {
            "professional_id": each.professional_id,
            "family_name": each.family_name,
            "first_name": each.first_name,
            "profession": each.profession,
            "specialities": each.specialities,
            "establishments": workplaces.get(each.professional_id, []),
        }
        for each in found
    ]


def _named_workplaces(session: Session, professional_ids: Sequence[str]) -> dict[str, list[NamedEstablishment]]:
    found: dict[str, list[NamedEstablishment]] = {}
    rows = session.execute(
        sa.select(Workplace.professional_id, Establishment.establishment_id, Establishment.name)
        .join(Establishment, Establishment.establishment_id == Workplace.establishment_id)
        .where(Workplace.professional_id.in_(professional_ids), Workplace.until.is_(None))
        .order_by(Establishment.name, Establishment.establishment_id)
    )
    for row in rows:
        place: NamedEstablishment = {"establishment_id": row.establishment_id, "name": row.name}
        found.setdefault(row.professional_id, []).append(place)
    return found


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
    """Returns where this professional's letters go: without an address of their own, to a workplace by its name."""
    professional = session.get(Professional, professional_id) if professional_id else None
    if professional is None or professional_id is None:
        return None
    workplaces = _named_workplaces(session, [professional_id]).get(professional_id, [])
    at_work = [place["name"] for place in workplaces[:1]]
    return {
        "name_lines": [letter_name(professional.family_name, professional.first_name)],
        "address_lines": letter_lines(address_of(professional)) if professional.address_line else at_work,
        "language": professional.language,
    }


def sheet_of_professional(session: Session, professional_id: str | None) -> PersonSheet | None:
    """Returns what a professional confirms about themselves."""
    professional = session.get(Professional, professional_id) if professional_id else None
    if professional is None or professional_id is None:
        return None
    workplaces = _named_workplaces(session, [professional_id]).get(professional_id, [])
    return {
        **NO_SHEET, "family_name": professional.family_name, "first_name": professional.first_name,
        "profession": professional.profession, "workplaces": [place["name"] for place in workplaces],
    }  # fmt: skip


def _sheet_columns(sheet: ProfessionalSheet) -> dict[str, Any]:
    address = sheet.address
    return {
        "family_name": sheet.family_name,
        "first_name": sheet.first_name,
        "profession": sheet.profession,
        "specialities": list(sheet.specialities),
        "language": sheet.language,
        "address_line": address["line"] if address else None,
        "postal_code": address["postal_code"] if address else None,
        "locality": address["locality"] if address else None,
        "country": address["country"] if address else None,
        "names_folded": searchable_names(sheet.family_name, sheet.first_name),
        "found_by": searchable_text(sheet.family_name, sheet.first_name, sheet.profession, sheet.specialities),
    }


def _start_work(session: Session, professional_id: str, establishment_ids: Iterable[str], at: datetime) -> None:
    rows = [
        {"professional_id": professional_id, "establishment_id": each, "since": at}
        for each in sorted(establishment_ids)
    ]
    if rows:
        session.execute(sa.insert(Workplace), rows)
