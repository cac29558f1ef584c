"""The blocklist: professionals whom the holder bars from the whole record. Nobody else learns that there is one."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import circle as shapes

blocklist = APIBlueprint("blocklist", __name__, url_prefix="/records/<uuid:record_id>/blocklist")

HIDDEN = ("record_not_found", "record_closed", "not_allowed")


@operation(
    blocklist, "GET", "", summary="Read the blocklist", answer=shapes.Blocklist, refuses=HIDDEN,
)  # fmt: skip
def read_blocklist(record_id: str) -> Any:
    """Who is barred, since when."""
    answer = ask("dossier", "blocklist", record_id=record_id)
    return {**answer, "blocked": named(answer["blocked"], professional="professional_id")}


@operation(
    blocklist, "PUT", "/<uuid:professional_id>", summary="Bar a professional", status=204, body=shapes.BlockWanted,
    refuses=(*HIDDEN, "professional_not_found"),
)  # fmt: skip
def block_professional(record_id: str, professional_id: str, body: dict[str, Any]) -> Any:
    """From the whole record, at once. Their place in the circle and their mandates end for good."""
    ask("dossier", "block_professional", record_id=record_id, professional_id=professional_id, **body)


@operation(
    blocklist, "DELETE", "/<uuid:professional_id>", summary="Bar a professional no longer", status=204,
    refuses=(*HIDDEN, "block_not_found"),
)  # fmt: skip
def unblock_professional(record_id: str, professional_id: str) -> Any:
    """Nothing comes back that ended with the block."""
    ask("dossier", "unblock_professional", record_id=record_id, professional_id=professional_id)
