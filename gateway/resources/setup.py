"""The set-up assistant: the settings of a record one after the other."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import setup as shapes

setup = APIBlueprint("setup", __name__, url_prefix="/records/<uuid:record_id>/setup")


@operation(
    setup, "GET", "", summary="Read the set-up checklist", answer=shapes.Setup,
    refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def read_setup(record_id: str) -> Any:
    """Every step in order, how far it is, as whom somebody brought it there and when, and the next open one."""
    return ask("dossier", "setup", record_id=record_id)


@operation(
    setup, "PUT", "/<step>", summary="Note a step of the set-up", answer=shapes.Setup, body=shapes.SetupStepState,
    refuses=("record_not_found", "record_closed", "not_allowed", "setup_step_not_found"),
)  # fmt: skip
def set_setup_step(record_id: str, step: str, body: dict[str, Any]) -> Any:
    """Done, put aside or open again; what the step is about is set on its own page."""
    return ask("dossier", "set_setup_step", record_id=record_id, step=step, state=body["state"])
