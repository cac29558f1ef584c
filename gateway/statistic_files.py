"""Statistics in words: the names of what is counted, and the tables as rows of a spreadsheet and as plots."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from gateway import plots
from gateway.errors import catalogue
from gateway.spreadsheet import csv_rows


def with_names(table: dict[str, Any], locale: str) -> dict[str, Any]:
    """The table with the name of each row, and its rows in the order of their names."""
    names = _names(table["measure"], locale)
    rows = [{"key": row["key"], "name": names.get(row["key"], row["key"]), "counts": row["counts"]}
            for row in table["rows"]]  # fmt: skip
    return {**table, "rows": sorted(rows, key=lambda row: (row["name"].casefold(), row["key"]))}


def table_csv(table: dict[str, Any], locale: str) -> bytes:
    """A row for each key, and one for the totals."""
    words = catalogue(locale)["statistics"]
    rows: Iterable[list[Any]] = (
        [words["key"], words["name"], *table["columns"]],
        *([row["key"], row["name"], *row["counts"]] for row in table["rows"]),
        ["", words["total"], *table["totals"]],
    )
    return csv_rows(rows)


def table_svg(table: dict[str, Any], title: str, locale: str) -> str:
    """A line for each of the largest rows. title: its key in the catalogue."""
    words = catalogue(locale)["statistics"]
    places = [date.fromisoformat(each if len(each) == 10 else f"{each}-01").toordinal() for each in table["columns"]]
    drawn = [plots.Line(row["name"], row["counts"]) for row in table["rows"]]
    return plots.lines(words["titles"][title], table["columns"], places, drawn, words["others"])


def coverage_csv(coverage: dict[str, Any], locale: str) -> bytes:
    """A row for each commune, and one for the country; what is not shown is an empty cell."""
    words = catalogue(locale)["statistics"]
    numbers = ("registered", "covered", "percent")
    rows: Iterable[list[Any]] = (
        [words["commune"], *(words[each] for each in numbers)],
        *([_place(each["commune"], words), *(each[one] for one in numbers)] for each in coverage["communes"]),
        [words["country"], *(coverage[each] for each in numbers)],
    )
    return csv_rows(rows)


def coverage_svg(coverage: dict[str, Any], locale: str) -> str:
    """A bar for the country and one for each commune."""
    words = catalogue(locale)["statistics"]

    def bar(name: str, told: dict[str, Any]) -> plots.Bar:
        shown = told["percent"] is not None
        label = f"{told['percent']} % ({told['covered']}/{told['registered']})" if shown else words["not_shown"]
        return plots.Bar(name, told["percent"], label)

    communes = [bar(_place(each["commune"], words), each) for each in coverage["communes"]]
    title = f"{words['titles']['coverage']} {coverage['day'] or ''}".strip()
    return plots.bars(title, [bar(words["country"], coverage), *communes])


def _place(commune: str, words: dict[str, Any]) -> str:
    return str(words["places"].get(commune, commune))


def _names(measure: str, locale: str) -> dict[str, str]:
    words = catalogue(locale)
    if measure == "documents":
        return dict(words["document_types"])
    if measure == "accesses":
        return {**words["statistics"]["capacities"], **words["document_page"]["professions"]}
    if measure == "deposits":
        return {"unnamed": words["statistics"]["unnamed"]}
    return dict(words["statistics"]["states" if measure == "records" else "capacities"])
