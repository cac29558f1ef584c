"""Legal representatives: recorded by the agency, sat with by the holder; and minors who decide for themselves."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import representatives as shapes

representatives = APIBlueprint("representatives", __name__, url_prefix="/records/<uuid:record_id>")

ALL = "/representatives"
ONE = f"{ALL}/<uuid:representative_id>"
AUTONOMY = "/autonomous-minor"


@operation(
    representatives, "GET", ALL, summary="List legal representatives", answer=shapes.Representatives,
    refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def list_representatives(record_id: str) -> Any:
    """Those in force and those who were, as they were recorded; for the holder side with the right, and for agents."""
    answer = ask("dossier", "representatives", record_id=record_id)
    return {"representatives": named(answer["representatives"], patient="patient_id", profession=None)}


@operation(
    representatives, "POST", ALL, summary="Record a legal representative", answer=shapes.RepresentativeMade,
    status=201, body=shapes.RepresentativeRecorded, once=True,
    refuses=("not_allowed", "person_not_found", "record_not_found", "already_representative",
             "representative_refused"),
)  # fmt: skip
def record_representative(record_id: str, body: dict[str, Any]) -> Any:
    """By an agent, on proof. A parent's or a minor's guardian's ends when the holder comes of age."""
    majority = ask("directory", "majority_of", patient_id=body["holder_id"])
    ask("directory", "majority_of", patient_id=body["patient_id"])  # somebody whom the directory knows
    given = {**body, "majority_at": majority["majority_at"]}
    return ask("dossier", "record_representative", record_id=record_id, **given)


@operation(
    representatives, "DELETE", ONE, summary="End a legal representation", status=204,
    refuses=("not_allowed", "representative_not_found"),
)  # fmt: skip
def end_representative(record_id: str, representative_id: str) -> Any:
    """By an agent; the ground ends at once, and the holder is told."""
    ask("dossier", "end_representative", record_id=record_id, representative_id=representative_id)


# --- together with the holder -----------------------------------------------------------------------------------------


@operation(
    representatives, "POST", f"{ONE}/sitting", summary="Act together with a curator", answer=shapes.Sitting,
    once=True, refuses=("record_not_found", "record_closed", "not_allowed", "representative_not_found"),
)  # fmt: skip
def open_sitting(record_id: str, representative_id: str) -> Any:
    """By the holder alone: lets somebody act for a day who acts only together with them."""
    return ask("dossier", "open_sitting", record_id=record_id, representative_id=representative_id)


@operation(
    representatives, "DELETE", f"{ONE}/sitting", summary="End a sitting", status=204,
    refuses=("record_not_found", "record_closed", "not_allowed", "representative_not_found"),
)  # fmt: skip
def end_sitting(record_id: str, representative_id: str) -> Any:
    """By the holder alone, at once."""
    ask("dossier", "end_sitting", record_id=record_id, representative_id=representative_id)


# --- minors with discernment ------------------------------------------------------------------------------------------


@operation(
    representatives, "POST", AUTONOMY, summary="Note an autonomous minor", status=204,
    refuses=("record_not_found", "not_allowed", "not_minor", "person_not_found"),
)  # fmt: skip
def flag_autonomous_minor(record_id: str) -> Any:
    """By a physician who may deposit: what is withheld for this minor, their representatives do not see."""
    holder_id = ask("dossier", "access_scope", record_id=record_id)["patient_id"]
    minor = holder_id is not None and _is_minor(holder_id)
    ask("dossier", "flag_autonomous_minor", record_id=record_id, minor=minor)


@operation(
    representatives, "DELETE", AUTONOMY, summary="Take back the note of an autonomous minor", status=204,
    refuses=("record_not_found", "not_allowed"),
)  # fmt: skip
def unflag_autonomous_minor(record_id: str) -> Any:
    """By a physician who may deposit."""
    ask("dossier", "unflag_autonomous_minor", record_id=record_id)


def _is_minor(patient_id: str) -> bool:
    return bool(ask("directory", "majority_of", patient_id=patient_id)["minor"])
