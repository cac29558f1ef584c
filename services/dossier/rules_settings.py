"""What may be set and declared, in which values, and who may read it: decisions over settings.csv."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.dossier.contract import FOLDER_PATTERN, NOTE_LENGTH, AccessScope, Clause, RecordClosed, RecordNotFound
from services.dossier.rules import require_open_ground
from services.dossier.rules_tables import Setting, Tables
from services.refusals import InvalidInput

HERE: Final = ZoneInfo("Europe/Luxembourg")
"""Where a day begins and ends that people write down."""

OF_FOLDER: Final = "default_level_of_folder"
_FOLDER: Final = re.compile(FOLDER_PATTERN)


def opens_access(tables: Tables, setting: str) -> bool:
    """Whether a ground gives more or less by the value of this setting."""
    rows = (row for several in tables.grounds.values() for row in several)
    return any(row.condition is not None and row.condition.setting == setting for row in rows)


def setting_named(tables: Tables, name: object, folder: object = None) -> tuple[Setting, str]:
    """The row of a setting, and under which name its words are kept: a folder's level has a name of its own.

    Refuses: InvalidInput (name, folder).
    """
    row = tables.settings.get(name) if isinstance(name, str) else None
    if row is None or row.said == "by_folder":
        raise _invalid("/name", "unknown")
    if folder is None:
        return row, row.setting
    if row.setting != "default_level":
        raise _invalid("/folder", "unknown_member")
    if not isinstance(folder, str) or not _FOLDER.fullmatch(folder):
        raise _invalid("/folder", "invalid")
    return tables.settings[OF_FOLDER], f"default_level:{folder}"


def code_of(kept: str) -> str:
    """The setting's own name, of the name its words are kept under: a folder's slug is no code for a trace."""
    return kept.partition(":")[0]


def require_said(row: Setting, *said: str) -> None:
    """That it is said in one of these ways: what is declared or flagged has ways of its own. Refuses: InvalidInput."""
    if row.said not in said:
        raise _invalid("/name", "unknown")


def require_value(row: Setting, value: object) -> str:
    """One of the setting's values. Refuses: InvalidInput."""
    if not isinstance(value, str) or value not in row.values:
        raise _invalid("/value", "choice")
    return value


def require_declared_on(declared_on: object, at: datetime) -> date:
    """The day a declaration was made on, which has begun in Luxembourg. Refuses: InvalidInput."""
    if declared_on is None:
        raise _invalid("/declared_on", "required")
    try:
        if not isinstance(declared_on, str) or len(declared_on) != 10:
            raise ValueError
        day = date.fromisoformat(declared_on)
    except ValueError:
        raise _invalid("/declared_on", "date") from None
    if day > at.astimezone(HERE).date():
        raise _invalid("/declared_on", "future")
    return day


def require_note(note: object) -> str | None:
    """The holder's own words, without blanks around them; None when there are none. Refuses: InvalidInput."""
    if note is None:
        return None
    if not isinstance(note, str):
        raise _invalid("/note", "text")
    if len(note) > NOTE_LENGTH:
        raise _invalid("/note", "too_long")
    return note.strip() or None


def require_holder_side(given: AccessScope) -> RecordNotFound | RecordClosed | None:
    """The refusal for everybody but the holder side of an open record."""
    if not given.holder_side:
        return RecordNotFound()
    return None if given.clauses else RecordClosed()


def declaration_clause(given: AccessScope, row: Setting) -> Clause | None:
    """The clause under which somebody reads a declaration: of the holder side any, of a professional's one that would
    let a standard document of that type be read."""
    if given.holder_side:
        return next(iter(given.clauses), None)
    return given.reading_clause(row.category, "standard", row.type, row.folder)


def require_declaration(given: AccessScope, row: Setting) -> RecordNotFound | RecordClosed | None:
    """The refusal for whoever may not read a declaration: to a professional, as if there were no record."""
    refusal = require_open_ground(given)
    if refusal is not None:
        return refusal
    return None if declaration_clause(given, row) else RecordNotFound()


def standing(tables: Tables, words: Mapping[str, Any]) -> list[tuple[Setting, str | None, Any | None]]:
    """Every setting in the table's order with the word that stands (None: the default holds), folders after their
    kind; what is declared is not among them.

    words: what stands, by the name it is kept under.
    """
    found: list[tuple[Setting, str | None, Any | None]] = []
    for row in tables.settings.values():
        if row.said == "by_folder":
            found += [(row, folder, words[kept]) for kept, folder in _folders(words)]
        elif row.said != "declared":
            found.append((row, None, words.get(row.setting)))
    return found


def going_along(tables: Tables, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[Any]:
    """Of what stands in a record that is merged into ours, the words that hold in ours too.

    What nobody has said in ours; where both have, what guards the holder better, and of the rest what was said last.
    theirs, ours: words with value and since, by the name they are kept under.
    """
    return [word for kept, word in theirs.items() if _goes_along(tables, kept, word, ours.get(kept))]


def guarding(tables: Tables, said: Mapping[str, Any], before: Mapping[str, Any]) -> list[Any]:
    """Of these words, those that guard the holder better than what stands, or holds by default."""
    found = []
    for kept, word in said.items():
        row = tables.settings.get(kept)
        stands = before[kept].value if kept in before else row and row.default
        if row is not None and row.guarded and row.guarded.index(word.value) < row.guarded.index(stands):
            found.append(word)
    return found


def _goes_along(tables: Tables, kept: str, theirs: Any, ours: Any | None) -> bool:
    if ours is None:
        return True
    row = tables.settings.get(kept)
    if row is not None and row.guarded:
        return row.guarded.index(theirs.value) < row.guarded.index(ours.value)
    return bool(theirs.value != ours.value and theirs.since > ours.since)


def _folders(kept: Iterable[str]) -> list[tuple[str, str]]:
    return sorted((name, name.partition(":")[2]) for name in kept if name.startswith("default_level:"))


def _invalid(pointer: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])
