"""Access on a professional's own responsibility: prescriptions and dispensations."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import emergency as shapes

responsibility = APIBlueprint("responsibility", __name__, url_prefix="/records/<uuid:record_id>/responsibility-access")


@operation(
    responsibility, "POST", "", summary="Access on one's own responsibility", answer=shapes.OwnAccess, status=201,
    body=shapes.ResponsibilityTaken, once=True,
    refuses=("responsibility_refused", "too_many_tries", "not_allowed"),
)  # fmt: skip
def open_responsibility_access(record_id: str, body: dict[str, Any]) -> Any:
    """By professions that dispense: prescriptions and dispensations for 24 hours. The holder is told. Unknown, closed,
    blocked and refused by the holder are one refusal."""
    return ask("dossier", "open_responsibility_access", record_id=record_id, **body)
