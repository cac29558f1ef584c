"""The holder's presence code: since when there is one, and a new one in its place."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import mandates as shapes

presence_code = APIBlueprint("presence_code", __name__, url_prefix="/records/<uuid:record_id>/presence-code")

_REFUSES = ("record_not_found", "record_closed", "not_allowed")


@operation(
    presence_code, "GET", "", summary="See since when there is a presence code", answer=shapes.PresenceCodeSince,
    refuses=_REFUSES,
)  # fmt: skip
def read_presence_code(record_id: str) -> Any:
    """Never the code: only its hash is kept."""
    return ask("dossier", "presence_code", record_id=record_id)


@operation(
    presence_code, "POST", "", summary="Make a new presence code", answer=shapes.PresenceCodeMade, status=201,
    once=True, refuses=_REFUSES,
)  # fmt: skip
def regenerate_presence_code(record_id: str) -> Any:
    """By the holder or a legal representative. The code is in this answer and nowhere else; the old one is void,
    mandates go on. Under the same key again `code` is null: whoever lost it makes another one, under another key.
    """
    return ask("dossier", "regenerate_presence_code", record_id=record_id)
