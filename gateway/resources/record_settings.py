"""A record's settings and what its holder declares; every word that was said stays in the history."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import record_settings as shapes

record_settings = APIBlueprint("record_settings", __name__, url_prefix="/records/<uuid:record_id>")


@operation(
    record_settings, "GET", "/settings", summary="Read the settings of a record", answer=shapes.Settings,
    refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_record_settings(record_id: str) -> Any:
    """Each with since when it holds, and the default that holds while nobody has said anything."""
    return ask("dossier", "settings", record_id=record_id)


@operation(
    record_settings, "PUT", "/settings/<name>", summary="Change a setting of a record", answer=shapes.Setting,
    body=shapes.SettingWanted, once=True, refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def change_record_setting(record_id: str, name: str, body: dict[str, Any]) -> Any:
    """emergency, responsibility, default_level (overall or of one folder) or longer_keeping; the last word holds, also
    for accesses that run."""
    return ask("dossier", "change_setting", record_id=record_id, name=name, **body)


@operation(
    record_settings, "GET", "/settings/<name>/history", summary="Read the history of a setting",
    answer=shapes.History, query=shapes.HistoryQuery, paged=True, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_setting_history(record_id: str, name: str, query: dict[str, Any]) -> Any:
    """Of a setting, or of organ_donation or end_of_life: what was said, when, and by whom."""
    return ask("dossier", "setting_history", record_id=record_id, name=name, **query)


# --- declarations ---------------------------------------------------------------------------------------------------


@operation(
    record_settings, "GET", "/organ-donation", summary="Read the declaration on organ donation",
    answer=shapes.Declaration, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_organ_donation(record_id: str) -> Any:
    """For the holder side, and for a professional whose ground lets such a document be read."""
    return ask("dossier", "declaration", record_id=record_id, name="organ_donation")


@operation(
    record_settings, "PUT", "/organ-donation", summary="Declare on organ donation", answer=shapes.Declaration,
    body=shapes.OrganDonation, once=True, refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def declare_organ_donation(record_id: str, body: dict[str, Any]) -> Any:
    """By the holder or a representative; what was declared before stays in the history."""
    return ask("dossier", "declare", record_id=record_id, name="organ_donation", **body)


@operation(
    record_settings, "GET", "/end-of-life", summary="Read the declaration on the end of life",
    answer=shapes.Declaration, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_end_of_life(record_id: str) -> Any:
    """For the holder side, and for a professional whose ground lets such a document be read."""
    return ask("dossier", "declaration", record_id=record_id, name="end_of_life")


@operation(
    record_settings, "PUT", "/end-of-life", summary="Declare on the end of life", answer=shapes.Declaration,
    body=shapes.EndOfLife, once=True, refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def declare_end_of_life(record_id: str, body: dict[str, Any]) -> Any:
    """By the holder or a representative; what was declared before stays in the history."""
    return ask("dossier", "declare", record_id=record_id, name="end_of_life", **body)
