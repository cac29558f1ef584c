"""What a holder has set and declared: the sentences accepted with it, and its shape on the wire."""

from __future__ import annotations

from typing import TypedDict

RISK_WORDINGS: dict[str, str] = {
    "risk-2026-1": "Je comprends et j'accepte les risques.",
}
"""The sentence accepted before what may harm the holder, by version; the version is kept with what was done."""

SETTINGS: tuple[str, ...] = ("emergency", "responsibility", "default_level", "longer_keeping")
"""What the holder side sets; the values are those of settings.csv."""

DECLARATIONS: tuple[str, ...] = ("organ_donation", "end_of_life")
"""What the holder side declares, with the day it was declared on and words of their own."""

FOLDER_PATTERN = r"[a-z][a-z_]{0,39}"
"""A folder's slug, of documents' words: a default level may be set for one of them."""

NOTE_LENGTH = 2000


class SettingShown(TypedDict):
    """A setting as it stands; since: null while nobody has said anything and the default holds.

    folder: of default_level, the one folder it is for; null for every other.
    """

    name: str
    folder: str | None
    value: str
    default: str
    since: str | None


class SettingWord(TypedDict):
    """One word that was said of a setting, from when until when it held; until: null while it does."""

    value: str
    since: str
    until: str | None
    account_id: str
    declared_on: str | None
    note: str | None
    risk_version: str | None


class Declaration(TypedDict):
    """A declaration as it stands; the value is `not_said` and the rest null while nothing was declared."""

    value: str
    declared_on: str | None
    note: str | None
    since: str | None
