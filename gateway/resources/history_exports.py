"""The export of a history in each of its forms, and the program that checks it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g

from gateway import history_files, history_sheet
from gateway.caller import ask, later
from gateway.content import SANDBOX
from gateway.errors import catalogue, refused
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import history_exports as shapes
from gateway.seal import seal
from services.audit import contract

history_exports = APIBlueprint("history_exports", __name__)

_PEOPLE = {"professional": "professional_id", "patient": "patient_id", "establishment": "establishment_id"}
VERIFIER = Path(contract.__file__).with_name("verifier.py")  # sent as it is, never run here


@operation(
    history_exports, "GET", "/records/<uuid:record_id>/access-history/export", summary="Export the access history",
    answer=shapes.ANSWER, query=shapes.ExportQuery, headers=("Content-Disposition",),
    refuses=("record_not_found", "record_closed", "not_allowed", "history_unattested", "history_too_long"),
)  # fmt: skip
def export_access_history(record_id: str, query: dict[str, Any]) -> Response:
    """The whole of it, for the holder side; made while it is sent, and broken off when the right to it ends.

    In the form `jsonl` it is signed for as whole, and anybody can check that without the platform.
    """
    kind = query["format"]
    if kind == "pdf" and seal() is None:
        raise refused("unavailable")
    begun = ask("audit", "begin_history_export", record_id=record_id)
    name = f'attachment; filename="access-history-{begun["begun_at"][:10]}.{kind}"'
    headers = {"Content-Disposition": name, "Content-Type": shapes.KINDS[kind], "Content-Security-Policy": SANDBOX}
    return Response(_body(kind, begun), headers=headers, direct_passthrough=True)


@operation(
    history_exports, "GET", "/audit/verifier", summary="Get the verifier", answer=shapes.VERIFIER, token=False,
    headers=("Content-Disposition",),
)  # fmt: skip
def read_verifier() -> Response:
    """A program of one file that needs Python 3.9 and nothing else: it checks exports of histories and of the log."""
    headers = {"Content-Disposition": 'attachment; filename="verifier.py"', "Content-Security-Policy": SANDBOX}
    return Response(VERIFIER.read_bytes(), content_type="text/x-python; charset=utf-8", headers=headers)


def _body(kind: str, begun: dict[str, Any]) -> Iterable[bytes]:
    """What is sent. Each piece is asked for in the caller's name, under their rights at that moment."""
    export = {"record_id": begun["record_id"], "export_id": begun["export_id"]}
    locale: str = g.context.locale

    def read(cursor: str | None) -> dict[str, Any]:
        found = ask("audit", "history_page", **export, cursor=cursor)
        return {**found, "entries": named(found["entries"], **_PEOPLE)}

    page = later(read)
    if kind == "json":
        return history_files.as_json(begun, page, locale)
    if kind == "csv":
        return history_files.as_csv(page, locale)
    statement = history_files.stated(later(lambda: ask("audit", "history_statement", **export)))
    piece = later(lambda after: ask("audit", "history_lines", **export, after=after))
    lines = history_files.as_lines(statement, piece)
    return lines if kind == "jsonl" else [_sheet(begun, statement, page, lines, locale)]


def _sheet(begun: dict[str, Any], statement: dict[str, Any], page: Any, lines: Any, locale: str) -> bytes:
    by = seal()
    if statement["count"] > history_sheet.MOST:
        raise refused("history_too_long", most=history_sheet.MOST)
    assert by is not None
    entries = (entry for each in history_files.entries_of(page, locale) for entry in each)
    words = catalogue(locale)["history_export"]
    return history_sheet.sheet(begun, statement, entries, b"".join(lines), words, locale, by)
