"""Shapes of the statistics, and the three forms in which each is answered."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Day, Listed, Number, Part, Text
from services.audit.contract import ADDED, DATES_MOST, STANDING

JSON, CSV, SVG = "application/json", "text/csv", "image/svg+xml"
KINDS = {"json": JSON, "csv": CSV, "svg": SVG}
MEASURES = tuple(dict.fromkeys((*STANDING, *ADDED)))


class Form(Query):
    format = Choice(tuple(KINDS), "`svg` is a plot.", load_default="json")


class DatesQuery(Form):
    dates = Text(
        f"Days in Luxembourg, at whose end it is counted: 1 to {DATES_MOST}, with commas between.",
        maximum=11 * DATES_MOST, required=True, metadata={"example": "2016-01-31,2017-06-30"},
    )  # fmt: skip


_MONTH: dict[str, Any] = {"pattern": r"\A[0-9]{4}-(0[1-9]|1[0-2])\Z", "code": "date", "required": True}

# `from` is no name that a class can give to a field.
MonthsQuery = Form.from_dict(
    {"from": Text("The first month, `2016-01`.", **_MONTH), "to": Text("The last; at most ten years.", **_MONTH)},
    name="MonthsQuery",
)


class CoverageQuery(Form):
    day = Day("As it was counted last by the end of that day; without it the last time.")


class StatisticRow(Shape):
    key = Text("Document type, state, capacity or profession; of deposits what the software calls itself.")
    name = Text("In the caller's language.")
    counts = Listed(Number(), "In the order of the columns.")


class Statistic(Shape):
    measure = Choice(MEASURES)
    columns = Listed(Text(), "Days or months, as they were asked for.")
    rows = Listed(Part(StatisticRow))
    totals = Listed(Number())
    example: ClassVar = {
        "measure": "documents",
        "columns": ["2017-05-31", "2017-06-30"],
        "rows": [
            {"key": "imaging", "name": "Imaging", "counts": [1232, 1596]},
            {"key": "laboratory_results", "name": "Laboratory results", "counts": [7553, 10995]},
        ],
        "totals": [8785, 12591],
    }


class CommuneCovered(Shape):
    commune = Text("`abroad` and `unknown` beside those of the country.")
    registered = Number("Who has their registered address there; null where the line is not shown.", allow_none=True)
    covered = Number("Those of them who have a record that is neither closed nor deleted.", allow_none=True)
    percent = fields.Float(allow_none=True)


class Coverage(Shape):
    day = Day("When it was counted; null before the first time.", allow_none=True)
    smallest = Number("No number below the country's that is smaller is shown, nor what would give it away.")
    registered = Number()
    covered = Number()
    percent = fields.Float(allow_none=True)
    communes = Listed(Part(CommuneCovered))
    example: ClassVar = {
        "day": "2026-11-21",
        "smallest": 5,
        "registered": 22700,
        "covered": 711,
        "percent": 3.1,
        "communes": [
            {"commune": "Mersch", "registered": 10300, "covered": 412, "percent": 4.0},
            {"commune": "Vianden", "registered": None, "covered": None, "percent": None},
            {"commune": "Wiltz", "registered": None, "covered": None, "percent": None},
        ],
    }


_FILES = {kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in (CSV, SVG)}
TABLE: dict[str, Any] = {JSON: {"schema": Statistic, "example": Statistic.example}, **_FILES}
COVERAGE: dict[str, Any] = {JSON: {"schema": Coverage, "example": Coverage.example}, **_FILES}
