"""The export of a whole record: everything its holder side may see, as one file to take home."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, g

from gateway.archive import Archive
from gateway.caller import ask, gateway_key, later
from gateway.clients import ask as ask_as
from gateway.content import SANDBOX
from gateway.names import named
from gateway.operations import operation

exports = APIBlueprint("exports", __name__)

ZIP = "application/zip"
_AUTHOR: dict[str, Any] = {"professional": "author_id", "name": "author_name", "profession": "author_profession"}
_PEOPLE = {"professional": "professional_id", "patient": "patient_id", "establishment": "establishment_id"}


@operation(
    exports, "GET", "/records/<uuid:record_id>/export", summary="Export a record",
    answer={ZIP: {"schema": {"type": "string", "contentMediaType": ZIP}}}, headers=("Content-Disposition",),
    refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def export_record(record_id: str) -> Response:
    """All files and versions, an index for people and one for programs, and the access history; made while it is sent.

    For the holder and their representatives; after a death for a privacy officer. Broken off when the right ends.
    """
    begun = ask("documents", "begin_export", record_id=record_id)
    headers = {
        "Content-Disposition": f'attachment; filename="export-{begun["begun_at"][:10]}.zip"',
        "Content-Type": ZIP, "Content-Security-Policy": SANDBOX,
    }  # fmt: skip
    return Response(_archive(begun), headers=headers, direct_passthrough=True)


def _archive(begun: dict[str, Any]) -> Archive:
    """The archive asks as it goes, in the request's name but past its deadline; for the files past its token's life."""
    own_key, export_id, record_id = gateway_key(), begun["export_id"], begun["record_id"]

    def piece(method: str, **arguments: Any) -> Any:
        return ask_as("documents", method, g.context.without_token(), export_id=export_id, **arguments)

    def page(cursor: str | None) -> dict[str, Any]:
        found = piece("export_page", cursor=cursor)
        return {**found, "documents": named(found["documents"], **_AUTHOR)}

    def file(version_id: str) -> Any:
        return piece("export_file", version_id=version_id, gateway_key=own_key)

    def history(cursor: str | None) -> dict[str, Any]:
        found = ask("audit", "export_history", record_id=record_id, cursor=cursor)
        return {**found, "entries": named(found["entries"], **_PEOPLE)}

    return Archive(
        begun, g.context.locale, page=later(page), file=later(file),
        history=later(history) if begun["history"] else None,
    )  # fmt: skip
