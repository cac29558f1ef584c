"""Shapes of a record's settings and of what its holder declares."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Flag, Id, Listed, Moment, Part, Text
from gateway.schemas.people import OTHER_ID, TIME
from gateway.schemas.records import Page
from services.documents.contract import FOLDERS
from services.dossier.contract import NOTE_LENGTH, RISK_WORDINGS

RISK = max(RISK_WORDINGS)
VALUES = (
    "emergency: refused, normal, with_confidential. responsibility: allowed, refused. default_level: standard,"
    " confidential, private, and of a folder inherited. longer_keeping: no, yes."
)


class Setting(Shape):
    name = Text()
    folder = Text("Of default_level, the one folder it is for.", allow_none=True)
    value = Text()
    default = Text("What holds while nobody has said anything.")
    since = Moment("Null while nobody has said anything.", allow_none=True)
    example: ClassVar = {
        "name": "emergency", "folder": None, "value": "with_confidential", "default": "normal", "since": TIME,
    }  # fmt: skip


class Settings(Shape):
    settings = Listed(Part(Setting))
    example: ClassVar = {"settings": [Setting.example]}


class SettingWanted(Shape):
    """`refused` of emergency needs the risk accepted."""

    value = Text(VALUES, maximum=40, required=True)
    folder = Choice(FOLDERS, "Of default_level: for this folder alone.", allow_none=True)
    risk_accepted = Flag(RISK_WORDINGS[RISK])
    risk_version = Choice(tuple(RISK_WORDINGS), "Version of the sentence that was shown.")
    example: ClassVar = {"value": "refused", "risk_accepted": True, "risk_version": RISK}


class HistoryQuery(Page):
    folder = Choice(FOLDERS, "Of default_level: of this folder.")


class Word(Shape):
    value = Text()
    since = Moment()
    until = Moment("Null while it holds.", allow_none=True)
    account_id = Id("Who said it.")
    declared_on = Day(allow_none=True)
    note = Text(allow_none=True)
    risk_version = Text("Version of the risk that was accepted with it.", allow_none=True)


class History(Shape):
    history = Listed(Part(Word), "Newest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {
        "history": [
            {
                "value": "refused",
                "since": TIME,
                "until": None,
                "account_id": OTHER_ID,
                "declared_on": None,
                "note": None,
                "risk_version": RISK,
            }
        ],
        "next_cursor": None,
    }


# --- declarations ---------------------------------------------------------------------------------------------------


class Declaration(Shape):
    value = Text("`not_said` while nothing was declared.")
    declared_on = Day(allow_none=True)
    note = Text("The holder's own words.", allow_none=True)
    since = Moment("When it was entered.", allow_none=True)
    example: ClassVar = {"value": "donor", "declared_on": "2026-03-01", "note": "Sauf les cornées.", "since": TIME}


class OrganDonation(Shape):
    value = Choice(("not_said", "donor", "donor_with_limits", "not_a_donor"), required=True)
    declared_on = Day("The day it was declared on, as on paper; not one to come.", required=True)
    note = Text("The holder's own words.", minimum=0, maximum=NOTE_LENGTH, allow_none=True)
    example: ClassVar = {"value": "donor_with_limits", "declared_on": "2026-03-01", "note": "Sauf les cornées."}


class EndOfLife(Shape):
    value = Choice(("not_said", "statement_made", "no_statement"), required=True)
    declared_on = Day("The day it was declared on, as on paper; not one to come.", required=True)
    note = Text("The holder's own words.", minimum=0, maximum=NOTE_LENGTH, allow_none=True)
    example: ClassVar = {"value": "statement_made", "declared_on": "2026-03-01", "note": "Chez mon notaire."}
