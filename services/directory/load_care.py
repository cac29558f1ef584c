"""A step of a load of professionals, or of establishments."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy.orm import Session

from services.bus import emit_all
from services.db import new_id, rfc3339
from services.directory import store_establishments, store_professionals
from services.directory import store_load_care as store
from services.directory.contract import ProfessionalUpdated
from services.directory.load_patients import Step
from services.directory.rules_load import Good, Refused
from services.directory.rules_sheets import EstablishmentSheet, ProfessionalSheet, is_professional
from services.directory.store_load import Progress
from services.directory.store_load_care import Known, New


def load_professionals(session: Session, lines: Sequence[Good], software: str, at: datetime, load: Progress) -> Step:
    """Writes what these lines say that is not so yet, and tells each new version to those who decide by it.

    The licence is never touched: who may practise is noted by agents. Refuses: Overtaken.
    """
    step = Step()
    known = store.professionals(session, [line.identifier for line in lines])
    asked = {place for line in lines for place in _sheet(line).establishment_ids}
    places = set(store_establishments.hold_open_establishments(session, sorted(asked)))
    new: list[New] = []
    changed: list[str] = []
    for line in lines:
        sheet, there = _sheet(line), known.get(line.identifier)
        kept = there.workplaces if there else ()
        missing = [place for place in sheet.establishment_ids if place not in places and place not in kept]
        if missing:
            faults = tuple(
                (f"establishment_ids/{sheet.establishment_ids.index(place)}", "unknown") for place in missing
            )
            step.refused.append(Refused(line.number, faults))
        elif there is None:
            new.append(New(new_id(), line.text, sheet))
        elif there.former:
            step.refuse(line, "former_matricule", "matricule")
        elif not is_professional(sheet, there.row.family_name, there.row.first_name):
            step.refuse(line, "professional_exists", "matricule")
        elif _update(session, there, _with_what_stays(sheet, there.sheet, line.unsaid), at):
            changed.append(there.row.professional_id)
        else:
            step.unchanged += 1
    store.add_professionals(session, new, software, at)
    updated = store_professionals.updates(session, changed) if changed else []
    emit_all(session, [*(_told(one, at) for one in new), *updated])
    step.added, step.changed = len(new), len(changed)
    return step


def load_establishments(session: Session, lines: Sequence[Good], software: str, at: datetime, load: Progress) -> Step:
    """Writes what these lines say that is not so yet, as far as an agent may change it.

    One that is closed stays as it is, and what one is stays: a line that says otherwise is refused.
    """
    step = Step()
    known = store.establishments(session, [line.identifier for line in lines])
    new: dict[str, str] = {}
    for line in lines:
        there, sheet = known.get(line.identifier), cast(EstablishmentSheet, line.sheet)
        if there is None:
            new[line.identifier] = line.text
            continue
        as_it_is = store.sheet_there(there)
        if "address_line" in line.unsaid.split():
            sheet = replace(sheet, address=as_it_is.address)
        if there.closed_at is not None and sheet != as_it_is:
            step.refuse(line, "establishment_closed", "establishment_id")
        elif sheet.kind != as_it_is.kind:
            step.refuse(line, "kind_stays", "kind")
        elif there.closed_at is None and store.change_establishment(there, sheet):
            step.changed += 1
        else:
            step.unchanged += 1
    session.flush()
    store.add_establishments(session, new, software, at)
    step.added = len(new)
    return step


def _sheet(line: Good) -> ProfessionalSheet:
    return cast(ProfessionalSheet, line.sheet)


def _update(session: Session, there: Known, sheet: ProfessionalSheet, at: datetime) -> bool:
    if replace(sheet, matricule="") == there.sheet:
        return False
    moment = store_professionals.moment_after(there.row, at)
    return store_professionals.update_professional(session, there.row, sheet, moment)


def _with_what_stays(new: ProfessionalSheet, old: ProfessionalSheet, unsaid: str) -> ProfessionalSheet:
    names = {"address" if name == "address_line" else name for name in unsaid.split()}
    kept: dict[str, Any] = {name: getattr(old, name) for name in ("specialities", "establishment_ids", "address")
                            if name in names}  # fmt: skip
    return replace(new, **kept) if kept else new


def _told(one: New, at: datetime) -> ProfessionalUpdated:
    return ProfessionalUpdated(
        professional_id=one.professional_id, profession=one.sheet.profession, licence="valid",
        establishment_ids=list(one.sheet.establishment_ids), version=1, at=rfc3339(at),
    )  # fmt: skip
