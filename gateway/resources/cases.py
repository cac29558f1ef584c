""" "I do not recognise this": a case about an entry of one's access history, and the privacy officer's answer."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import oversight as shapes

cases = APIBlueprint("cases", __name__, url_prefix="/records/<uuid:record_id>")

_REFUSES = ("record_not_found", "record_closed")


@operation(
    cases, "POST", "/access-history/<uuid:entry_id>/case", summary="Open a case about an access", answer=shapes.Case,
    status=201, body=shapes.CaseAsked, once=True, refuses=(*_REFUSES, "not_allowed", "entry_not_found", "case_exists"),
)  # fmt: skip
def open_case(record_id: str, entry_id: str, body: dict[str, Any]) -> Any:
    """Has the agency's privacy officer look at an entry that is not recognised. For the holder and representatives."""
    return ask("audit", "open_case", record_id=record_id, entry_id=entry_id, comment=body.get("comment"))


@operation(
    cases, "GET", "/cases", summary="List cases", answer=shapes.Cases, query=shapes.Page, paged=True, refuses=_REFUSES
)  # fmt: skip
def list_cases(record_id: str, query: dict[str, Any]) -> Any:
    """What was asked about accesses to the record, and the answers. For the holder's side."""
    return ask("audit", "list_cases", record_id=record_id, limit=query["limit"], cursor=query.get("cursor"))


@operation(
    cases, "GET", "/cases/<uuid:case_id>", summary="Read a case", answer=shapes.Case,
    refuses=(*_REFUSES, "case_not_found"),
)  # fmt: skip
def read_case(record_id: str, case_id: str) -> Any:
    """One question about an access, and the answer."""
    return ask("audit", "read_case", record_id=record_id, case_id=case_id)
