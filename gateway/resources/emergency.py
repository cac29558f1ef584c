"""Emergency access: break the glass, and back to normal access."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import emergency as shapes

emergency = APIBlueprint("emergency", __name__, url_prefix="/records/<uuid:record_id>/emergency-sessions")


@operation(
    emergency, "POST", "", summary="Open an emergency access", answer=shapes.OwnAccess, status=201,
    body=shapes.EmergencyStated, once=True, refuses=("emergency_refused", "too_many_tries", "not_allowed"),
)  # fmt: skip
def open_emergency_session(record_id: str, body: dict[str, Any]) -> Any:
    """By a physician or nurse attached to an emergency service where they logged in: 24 hours of reading. The holder is
    told at once. Unknown, closed, blocked and refused by the holder are one refusal."""
    return ask("dossier", "open_emergency_session", record_id=record_id, **body)


@operation(
    emergency, "DELETE", "/current", summary="Return to normal access", status=204, refuses=("mandate_not_found",),
)  # fmt: skip
def end_emergency_session(record_id: str) -> Any:
    """By the professional, of their own session, at once."""
    ask("dossier", "end_emergency_session", record_id=record_id)
