"""The referring physician of a record, and the health fund's list of them [RGD 9(4)]."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import referring_physician as shapes

referring_physician = APIBlueprint(
    "referring_physician", __name__, url_prefix="/records/<uuid:record_id>/referring-physician"
)
referring_feed = APIBlueprint("referring_feed", __name__, url_prefix="/agency/referring-physicians")

CONCERNED = ("record_not_found", "record_closed", "not_allowed", "designation_not_found")
ONE = "/<uuid:designation_id>"


@operation(
    referring_physician, "GET", "", summary="Read the referring physician", answer=shapes.ReferringPhysicians,
    refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_referring_physician(record_id: str) -> Any:
    """Who it is, for everybody who reads in the record; the designations, for those concerned."""
    answer = ask("dossier", "referring_physician", record_id=record_id)
    shown = [answer["current"]] if answer["current"] else []
    found = named([*shown, *answer["designations"]], professional="professional_id")
    return {"current": found[0] if shown else None, "designations": found[len(shown) :]}


@operation(
    referring_physician, "POST", "", summary="Propose a referring physician", answer=shapes.Designation, status=201,
    body=shapes.DesignationWanted, once=True,
    refuses=(*CONCERNED, "professional_not_found", "not_a_physician", "professional_blocked"),
)  # fmt: skip
def propose_referring_physician(record_id: str, body: dict[str, Any]) -> Any:
    """By the holder, or by a physician who reads in the record, for themselves; signed by whoever proposes."""
    return _with_name(ask("dossier", "propose_referring_physician", record_id=record_id, **body))


@operation(
    referring_physician, "POST", f"{ONE}/signature", summary="Sign a designation", answer=shapes.Designation,
    refuses=(*CONCERNED, "designation_over", "professional_blocked"),
)  # fmt: skip
def sign_referring_physician(record_id: str, designation_id: str) -> Any:
    """By the other side; again changes nothing."""
    return _with_name(ask("dossier", "sign_referring_physician", record_id=record_id, designation_id=designation_id))


@operation(
    referring_physician, "POST", f"{ONE}/notice", summary="Notify the health fund", answer=shapes.Designation,
    refuses=(*CONCERNED, "designation_not_signed", "designation_over", "designation_pending"),
)  # fmt: skip
def notify_referring_physician(record_id: str, designation_id: str) -> Any:
    """By the physician; effective on the 1st of the following month. Again changes nothing."""
    return _with_name(ask("dossier", "notify_referring_physician", record_id=record_id, designation_id=designation_id))


@operation(
    referring_physician, "POST", f"{ONE}/end", summary="End a designation", answer=shapes.Designation,
    body=shapes.EndWanted, once=True, refuses=(*CONCERNED, "designation_over"),
)  # fmt: skip
def end_referring_physician(record_id: str, designation_id: str, body: dict[str, Any]) -> Any:
    """In the first year when both sides have asked, later with two months' notice; before the notice at once."""
    asked = {"record_id": record_id, "designation_id": designation_id, **body}
    return _with_name(ask("dossier", "end_referring_physician", **asked))


@operation(
    referring_feed, "POST", "/feed", summary="Write over the health fund's list", answer=shapes.FeedAnswers,
    body=shapes.Feed, once=True, refuses=("not_allowed",),
)  # fmt: skip
def transcribe_referring_physicians(body: dict[str, Any]) -> Any:
    """By agents; each line is answered for itself, and the same line again is unchanged."""
    return ask("dossier", "transcribe_referring_physicians", **body)


def _with_name(designation: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in designation.items() if name != "created"}
    return named([shown], professional="professional_id")[0]
