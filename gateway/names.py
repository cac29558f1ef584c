"""Names for display: whatever an answer shows, one bulk question to directory names all people and places in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.caller import ask_if_possible

_NOBODY: dict[str, Any] = {"name": None, "profession": None}


def _ids(items: Iterable[dict[str, Any]], field: str) -> list[str]:
    return list(dict.fromkeys(item[field] for item in items if item.get(field)))


def named(
    items: list[dict[str, Any]],
    *,
    professional: str | None = None,
    patient: str | None = None,
    establishment: str | None = None,
    name: str = "name",
    profession: str | None = "profession",
) -> list[dict[str, Any]]:
    """The items with display names beside their ids; null where nobody is known, or directory cannot be asked.

    professional, patient, establishment: the fields that hold ids. name, profession: the fields to fill; a profession
    that an item carries already (as it was at the time) stays.
    """
    asked = {
        "professional_ids": _ids(items, professional) if professional else [],
        "patient_ids": _ids(items, patient) if patient else [],
        "establishment_ids": _ids(items, establishment) if establishment else [],
    }
    answer = ask_if_possible("directory", "names", **asked) if any(asked.values()) else None
    found = answer or {"professionals": {}, "patients": {}, "establishments": {}}
    return [filled(item, found, professional, patient, establishment, name, profession) for item in items]


def filled(
    item: dict[str, Any],
    found: dict[str, Any],
    professional: str | None,
    patient: str | None,
    establishment: str | None,
    name: str,
    profession: str | None,
) -> dict[str, Any]:
    """One item with the names that were found."""
    person = found["professionals"].get(item.get(professional or ""), _NOBODY)
    shown = {**item, name: person["name"] or found["patients"].get(item.get(patient or ""))}
    if profession:
        shown[profession] = item.get(profession) or person["profession"]
    if establishment:
        shown["establishment_name"] = found["establishments"].get(item.get(establishment))
    return shown
