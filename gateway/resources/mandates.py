"""Mandates: time-limited grounds for access to a record."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import mandates as shapes

mandates = APIBlueprint("mandates", __name__, url_prefix="/records/<uuid:record_id>/mandates")

_WHO = {"professional": "professional_id", "establishment": "establishment_id"}
_HOLDER_SIDE = ("record_not_found", "record_closed", "not_allowed")


@operation(
    mandates, "POST", "", summary="Open a mandate by presence code", answer=shapes.MandateOpened, status=201,
    body=shapes.MandateWanted, once=True, refuses=("presence_code_refused", "too_many_tries", "not_allowed"),
)  # fmt: skip
def open_mandate(record_id: str, body: dict[str, Any]) -> Any:
    """24 hours of reading, then deposits until day 15. Wrong code, unknown record and a block are one refusal."""
    return ask("dossier", "open_mandate", record_id=record_id, **body)


@operation(
    mandates, "GET", "", summary="List mandates", answer=shapes.Mandates, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def list_mandates(record_id: str) -> Any:
    """All of the record for its holder; for a professional, their own and those of their establishment."""
    answer = ask("dossier", "list_mandates", record_id=record_id)
    return {**answer, "mandates": named(answer["mandates"], **_WHO)}


@operation(
    mandates, "DELETE", "/<uuid:mandate_id>", summary="End a mandate", status=204,
    refuses=(*_HOLDER_SIDE, "mandate_not_found"),
)  # fmt: skip
def end_mandate(record_id: str, mandate_id: str) -> Any:
    """By the holder, at once; an establishment's too, with all whom it serves."""
    ask("dossier", "end_mandate", record_id=record_id, mandate_id=mandate_id)


@operation(
    mandates, "DELETE", "", summary="End all mandates", answer=shapes.MandatesEnded, refuses=_HOLDER_SIDE,
)  # fmt: skip
def end_mandates(record_id: str) -> Any:
    """By the holder, every one that runs, at once; the answer says how many."""
    return ask("dossier", "end_mandates", record_id=record_id)
