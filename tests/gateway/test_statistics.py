"""Statistics as they are handed out: in words of five languages, for spreadsheets without formulas, and drawn."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from typing import Any

import pytest
from flask.testing import FlaskClient
from lxml import etree

from gateway import plots, statistic_files
from gateway.caller import LOCALES
from gateway.errors import catalogue
from gateway.plots import Bar, Line
from services.audit.contract import ADDED, STANDING
from services.documents.document_types import document_types
from services.dossier.contract import PROFESSIONS, STATES

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "=cmd|'/c calc'!A1"


def table(measure: str = "deposits", **rows: list[int]) -> dict[str, Any]:
    counts = rows or {"Praxis": [1, 2]}
    made = [{"key": key, "counts": numbers} for key, numbers in counts.items()]
    return {"measure": measure, "columns": ["2026-01", "2026-02"], "rows": made,
            "totals": [sum(column) for column in zip(*counts.values(), strict=True)]}  # fmt: skip


def covered(*communes: tuple[str, int | None, int | None, float | None]) -> dict[str, Any]:
    names = ("commune", "registered", "covered", "percent")
    return {
        "day": "2026-11-21", "smallest": 5, "registered": 22700, "covered": 711, "percent": 3.1,
        "communes": [dict(zip(names, each, strict=True)) for each in communes],
    }  # fmt: skip


def read(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


def words(picture: str) -> list[str]:
    return [each.text or "" for each in etree.fromstring(picture).iter(f"{SVG}text")]


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", LOCALES)
def test_whatever_is_counted_has_its_name_in_every_language(locale: str) -> None:
    said = catalogue(locale)["statistics"]
    assert set(said["states"]) == set(STATES)
    assert set(said["titles"]) >= {*STANDING, *ADDED, "documents_added", "coverage"}
    assert said.keys() == catalogue("fr")["statistics"].keys() and all(said.values())
    for measure, keys in (
        ("documents", document_types()), ("records", STATES), ("accesses", {*PROFESSIONS} - {"referring_physician"}),
        ("accesses", ("patient", "agent", "machine", "platform")), ("accounts", ("patient", "professional", "agent")),
        ("deposits", ("unnamed",)),
    ):  # fmt: skip
        shown = statistic_files.with_names(table(measure, **{key: [1, 1] for key in keys}), locale)
        assert [row for row in shown["rows"] if row["name"] == row["key"]] == []


def test_rows_stand_in_the_order_of_their_names() -> None:
    shown = statistic_files.with_names(table("records", open=[1, 0], active=[2, 2], closed=[0, 1]), "de")
    assert [row["name"] for row in shown["rows"]] == ["Aktiv", "Geschlossen", "Offen"]


# --- spreadsheets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [EVIL, "+1", "-1", "@SUM(A1)", "\tx", 'x",=1+1,"'])
def test_what_a_software_calls_itself_is_no_formula(name: str) -> None:
    shown = statistic_files.with_names(table(**{name: [3, 4]}), "en")
    rows = read(statistic_files.table_csv(shown, "en"))
    assert rows[0] == ["Code", "Name", "2026-01", "2026-02"]
    assert rows[1][2:] == ["3", "4"] and rows[2] == ["", "Total", "3", "4"]
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t")]


def test_coverage_leaves_the_cells_empty_that_are_not_shown() -> None:
    told = covered(("Mersch", 10300, 412, 4.0), ("Vianden", None, None, None), ("abroad", 40, 9, 22.5))
    assert read(statistic_files.coverage_csv(told, "fr")) == [
        ["Commune", "Inscrits", "Avec dossier", "Pour cent"], ["Mersch", "10300", "412", "4.0"],
        ["Vianden", "", "", ""], ["Étranger", "40", "9", "22.5"], ["Pays", "22700", "711", "3.1"],
    ]  # fmt: skip


# --- plots ------------------------------------------------------------------------------------------------------------


def test_a_plot_names_each_of_its_lines_and_what_is_beyond_the_largest_together() -> None:
    rows = {f"Software {number:02}": [number, 10 * number] for number in range(1, 31)}
    picture = statistic_files.table_svg(statistic_files.with_names(table(**rows), "en"), "deposits", "en")
    root = etree.fromstring(picture)
    assert len(list(root.iter(f"{SVG}polyline"))) == plots.MOST_LINES
    said = words(picture)
    assert "Deposits by software" in said and "Software 30 (300)" in said
    assert f"Others ({sum(10 * number for number in range(1, 20))})" in said
    assert (root.find(f"{SVG}title") is not None) and "Software 30: 30, 300" in (root.findtext(f"{SVG}desc") or "")


def test_a_plot_is_drawn_to_scale_and_in_time() -> None:
    picture = plots.lines("t", ["a", "b", "c"], [0, 10, 100], [Line("x", [0, 50, 100])], "others")
    [line] = etree.fromstring(picture).iter(f"{SVG}polyline")
    (x0, y0), (x1, y1), (x2, y2) = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert (x1 - x0) * 10 == pytest.approx(x2 - x0, abs=1) and (y0 - y1) * 2 == pytest.approx(y0 - y2, abs=0.2)
    assert y0 > y1 > y2


@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [7, 3], [32824, 27021], [10**9, 1]])
def test_whatever_the_numbers_the_axis_reaches_over_them_in_a_few_round_steps(counts: list[int]) -> None:
    ticks = plots._ticks(max(counts))
    assert ticks[0] == 0 and ticks[-1] >= max(counts) and len(ticks) <= 9
    steps = {after - before for before, after in pairwise(ticks)}
    assert len(steps) <= 1 and all(str(step).rstrip("0") in ("1", "2", "5") for step in steps)
    etree.fromstring(plots.lines("t", ["a", "b"], [1, 2], [Line("x", counts)], "others"))


def test_names_of_lines_that_end_together_do_not_cover_one_another() -> None:
    ends = plots._apart([500.0, 500.0, 100.0, 101.0, 99.0])
    assert all(after - before >= 15.9 for before, after in pairwise(sorted(ends)))


@pytest.mark.parametrize("drawn", [
    plots.lines("<t>&", ["<a>"], [1], [Line("</text><script>alert(1)</script>\x00\x1b", [3])], "o"),
    plots.lines("t", ["a"], [1], [], "o"),
    plots.bars("<t>&", [Bar("<x>&\x07", 12.5, "12.5 % <b>"), Bar("y", None, "–")]),
])  # fmt: skip
def test_nothing_of_a_name_runs_in_a_plot(drawn: str) -> None:
    root = etree.fromstring(drawn)
    kinds = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert kinds <= {"svg", "title", "desc", "rect", "text", "line", "polyline", "circle"}
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on") or name == "style"]


def test_coverage_is_drawn_with_the_country_first_and_says_what_is_not_shown() -> None:
    told = covered(("Mersch", 10300, 412, 4.0), ("Vianden", None, None, None))
    said = words(statistic_files.coverage_svg(told, "en"))
    assert said.index("Country") < said.index("Mersch") < said.index("Vianden")
    assert "4.0 % (412/10300)" in said and said[said.index("Vianden") + 1] == "not shown"


# --- who and what -----------------------------------------------------------------------------------------------------

PATHS = ("documents?dates=2017-06-30", "records?dates=2017-06-30", "accounts?dates=2017-06-30",
         "documents/months?from=2017-01&to=2017-06", "deposits?from=2017-01&to=2017-06",
         "accesses?from=2017-01&to=2017-06", "coverage")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nobody_reads_statistics_without_a_token(http: FlaskClient, path: str) -> None:
    assert http.get(f"/api/v1/agency/statistics/{path}").status_code == 401


@pytest.mark.parametrize("path", [
    "documents", "documents?dates=", "documents?dates=2017-06-30&format=xml", "accesses?from=2017-01",
    "accesses?from=2017-13&to=2018-01", "accesses?from=2017-1&to=2018-01", "coverage?day=2017-06",
])  # fmt: skip
def test_what_is_asked_for_in_no_form_is_refused(http: FlaskClient, bearer: dict[str, str], path: str) -> None:
    answer = http.get(f"/api/v1/agency/statistics/{path}", headers=bearer)
    assert answer.status_code == 422 and answer.get_json(force=True)["type"] == "urn:dsp:problem:invalid_input"
