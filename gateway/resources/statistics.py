"""Statistics for the agency: the country's numbers, and coverage by commune; as JSON, for a spreadsheet, or drawn."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, g

from gateway import statistic_files
from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import statistics as shapes

statistics = APIBlueprint("statistics", __name__, url_prefix="/agency/statistics")

TOLD: dict[str, Any] = {"refuses": ("not_allowed",), "headers": ("Content-Disposition",)}


@operation(
    statistics, "GET", "/documents", summary="Count documents by type", answer=shapes.TABLE, query=shapes.DatesQuery,
    **TOLD,
)  # fmt: skip
def count_documents(query: dict[str, Any]) -> Any:
    """How many documents there were in all records at the end of some days. For agents of the agency."""
    return _standing("documents", query)


@operation(
    statistics, "GET", "/documents/months", summary="Count documents by type and month", answer=shapes.TABLE,
    query=shapes.MonthsQuery, **TOLD,
)  # fmt: skip
def count_deposited_documents(query: dict[str, Any]) -> Any:
    """How many documents were deposited in each month, by the type they had then. For agents of the agency."""
    return _added("documents", query)


@operation(
    statistics, "GET", "/records", summary="Count records by state", answer=shapes.TABLE, query=shapes.DatesQuery,
    **TOLD,
)  # fmt: skip
def count_records(query: dict[str, Any]) -> Any:
    """How many records were in each state at the end of some days. For agents of the agency."""
    return _standing("records", query)


@operation(
    statistics, "GET", "/accounts", summary="Count accounts", answer=shapes.TABLE, query=shapes.DatesQuery, **TOLD
)  # fmt: skip
def count_accounts(query: dict[str, Any]) -> Any:
    """How many accounts were activated until the end of some days, in each capacity. For agents of the agency."""
    return _standing("accounts", query)


@operation(
    statistics, "GET", "/deposits", summary="Count deposits by software", answer=shapes.TABLE,
    query=shapes.MonthsQuery, **TOLD,
)  # fmt: skip
def count_deposits(query: dict[str, Any]) -> Any:
    """How many deposits each software made in each month, as far as they are sealed. For agents of the agency."""
    return _added("deposits", query)


@operation(
    statistics, "GET", "/accesses", summary="Count accesses by profession", answer=shapes.TABLE,
    query=shapes.MonthsQuery, **TOLD,
)  # fmt: skip
def count_accesses(query: dict[str, Any]) -> Any:
    """How often each profession looked into records in each month, as far as that is sealed. For agents of the
    agency."""
    return _added("accesses", query)


@operation(
    statistics, "GET", "/coverage", summary="Show coverage by commune", answer=shapes.COVERAGE,
    query=shapes.CoverageQuery, **TOLD,
)  # fmt: skip
def show_coverage(query: dict[str, Any]) -> Any:
    """Which share of the people of each commune has a record. A commune with small numbers is not shown, nor another
    that would give it away. For agents of the agency."""
    found, locale = ask("audit", "coverage", day=query.get("day")), g.context.locale
    if query["format"] == "csv":
        return _file("csv", "coverage", statistic_files.coverage_csv(found, locale))
    return _file("svg", "coverage", statistic_files.coverage_svg(found, locale)) if query["format"] == "svg" else found


def _standing(measure: str, query: dict[str, Any]) -> Any:
    found = ask("audit", "standing", measure=measure, dates=query["dates"].split(","))
    return _table(found, measure, query["format"])


def _added(measure: str, query: dict[str, Any]) -> Any:
    found = ask("audit", "added", measure=measure, since=query["from"], until=query["to"])
    return _table(found, "documents_added" if measure == "documents" else measure, query["format"])


def _table(found: dict[str, Any], title: str, form: str) -> Any:
    locale = g.context.locale
    table = statistic_files.with_names(found, locale)
    if form == "csv":
        return _file("csv", title, statistic_files.table_csv(table, locale))
    return _file("svg", title, statistic_files.table_svg(table, title, locale)) if form == "svg" else table


def _file(form: str, name: str, body: bytes | str) -> Response:
    attached = "attachment" if form == "csv" else "inline"
    headers = {"Content-Disposition": f'{attached}; filename="{name}.{form}"'}
    return Response(body, content_type=f"{shapes.KINDS[form]}; charset=utf-8", headers=headers)
