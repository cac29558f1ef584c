"""The life of a record: its state and history, closing and reopening, and the opposition to having one."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import record_states as shapes

record_states = APIBlueprint("record_states", __name__)

_ONE = "/records/<uuid:record_id>"
_AGENCY = f"/agency{_ONE}"
_STEP = ("record_not_found", "not_allowed", "not_in_this_state")


@operation(
    record_states, "GET", f"{_ONE}/state", summary="Read the state of a record and its history",
    answer=shapes.RecordState, refuses=("record_not_found", "not_allowed"),
)  # fmt: skip
def read_record_state(record_id: str) -> Any:
    """For the holder side, of a closed record too, for agents and for the referring physician."""
    return ask("dossier", "record_state", record_id=record_id)


@operation(
    record_states, "POST", f"{_ONE}/closing", summary="Close a record", answer=shapes.StateReached,
    body=shapes.ClosingConfirmed, once=True, refuses=(*_STEP, "record_closed"),
)  # fmt: skip
def close_record(record_id: str, body: dict[str, Any]) -> Any:
    """By the holder or a legal representative. From the answer on nobody reads it, and nothing is deposited."""
    return ask("dossier", "close_record", record_id=record_id, **body)


@operation(
    record_states, "POST", f"{_ONE}/reopening", summary="Reopen a closed record", answer=shapes.Reopened, once=True,
    refuses=_STEP,
)  # fmt: skip
def reopen_record(record_id: str) -> Any:
    """Within ten years, with what was in it. After a death an agent alone may, where it was noted by mistake."""
    return ask("dossier", "reopen_record", record_id=record_id)


@operation(
    record_states, "POST", f"{_AGENCY}/closing", summary="Close somebody's record", answer=shapes.StateReached,
    body=shapes.ClosingByAgency, once=True, refuses=_STEP,
)  # fmt: skip
def close_record_by_agency(record_id: str, body: dict[str, Any]) -> Any:
    """On request or on death; the death of the holder of a closed record is noted, and ends their side's reopening."""
    return ask("dossier", "close_record_by_agency", record_id=record_id, **body)


@operation(
    record_states, "POST", f"{_AGENCY}/opposition", summary="Record an opposition", answer=shapes.RecordDeleted,
    body=shapes.OppositionRecorded, once=True, refuses=_STEP,
)  # fmt: skip
def record_opposition(record_id: str, body: dict[str, Any]) -> Any:
    """One that came by post or to the helpdesk: it deletes a record that is not active yet."""
    return ask("dossier", "oppose_record", record_id=record_id, **body)


@operation(
    record_states, "POST", "/oppositions", summary="Oppose a record with the letter's code",
    answer=shapes.OppositionReceived, status=202, body=shapes.Opposition, token=False,
    refuses=("activation_refused", "too_many_tries"),
)  # fmt: skip
def oppose_own_record(body: dict[str, Any]) -> Any:
    """Instead of activating. Wrong, unknown, used and expired are one refusal, also where there is an account."""
    return ask("identity", "oppose_record", **body)
