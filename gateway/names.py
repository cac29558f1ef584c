"""Names for display: whatever an answer shows, one bulk question to directory names all people and places in it.

A name told stays known to this process for a minute: the next page shows mostly the same people, and a name that
changed may be seen a minute later. Whether anybody may see an id at all was decided before its name is looked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from gateway.caller import ask_if_possible

KEPT = 60.0  # seconds
ROOM = 20_000  # names

_NOBODY: dict[str, Any] = {"name": None, "profession": None}
Kind = str  # "professionals", "patients" or "establishments", as in directory's answer


class NameBook:
    """The names of one process, each until its minute is over."""

    def __init__(self) -> None:
        self._names: dict[tuple[Kind, str], tuple[float, Any]] = {}

    def of(self, ids: dict[Kind, list[str]]) -> dict[Kind, dict[str, Any]]:
        """What is known of these ids; directory is asked for the rest, in one question."""
        now = time.monotonic()
        found: dict[Kind, dict[str, Any]] = {kind: {} for kind in ids}
        missing: dict[Kind, list[str]] = {kind: [] for kind in ids}
        for kind, wanted in ids.items():
            for one in wanted:
                until, name = self._names.get((kind, one), (0.0, None))
                if until > now:
                    found[kind][one] = name
                else:
                    missing[kind].append(one)
        if any(missing.values()):
            asked = {f"{kind[:-1]}_ids": wanted for kind, wanted in missing.items()}
            for kind, names in (ask_if_possible("directory", "names", **asked) or {}).items():
                found[kind] |= names
                self._keep(kind, names, now + KEPT)
        return found

    def _keep(self, kind: Kind, names: dict[str, Any], until: float) -> None:
        if len(self._names) + len(names) > ROOM:
            self._names.clear()
        self._names |= {(kind, one): (until, name) for one, name in names.items()}


_book = NameBook()


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
    found = _book.of({
        "professionals": _ids(items, professional) if professional else [],
        "patients": _ids(items, patient) if patient else [],
        "establishments": _ids(items, establishment) if establishment else [],
    })  # fmt: skip
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
