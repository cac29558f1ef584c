"""Stays: a hospital registers a patient, and everybody who works there may read for as long as the stay goes on."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import mandates as shapes

stays = APIBlueprint("stays", __name__, url_prefix="/records/<uuid:record_id>/stays")

_ONE = "/<uuid:mandate_id>"
_REFUSES = ("mandate_not_found", "not_allowed")


@operation(
    stays, "POST", "", summary="Register a stay", answer=shapes.StayShown, status=201, body=shapes.StayWanted,
    once=True, refuses=("record_not_found", "not_allowed"),
)  # fmt: skip
def register_stay(record_id: str, body: dict[str, Any]) -> Any:
    """By the hospital's software, or a professional there where the directory knows an emergency service.

    An admission reads for 45 days, a registration in an emergency department for 24 hours; then 15 days of depositing.
    The same reference again is the same stay.
    """
    return ask("dossier", "register_stay", record_id=record_id, **body)


@operation(
    stays, "PUT", f"{_ONE}/discharge", summary="Note the discharge", answer=shapes.StayShown, refuses=_REFUSES,
)  # fmt: skip
def discharge_patient(record_id: str, mandate_id: str) -> Any:
    """Reading ends now, depositing 15 days later; the first discharge stands."""
    return ask("dossier", "discharge_patient", record_id=record_id, mandate_id=mandate_id)


@operation(
    stays, "PUT", f"{_ONE}/prolongation", summary="Prolong a stay", answer=shapes.StayShown, body=shapes.Prolongation,
    refuses=(*_REFUSES, "stay_over"),
)  # fmt: skip
def prolong_stay(record_id: str, mandate_id: str, body: dict[str, Any]) -> Any:
    """While an admission goes on, by at most 30 days in all; a shorter prolongation than there is changes nothing."""
    return ask("dossier", "prolong_stay", record_id=record_id, mandate_id=mandate_id, **body)


@operation(
    stays, "PUT", f"{_ONE}/result-consent", summary="Record the consent to a later result", answer=shapes.StayShown,
    body=shapes.ResultConsent, refuses=(*_REFUSES, "stay_over"),
)  # fmt: skip
def await_result(record_id: str, mandate_id: str, body: dict[str, Any]) -> Any:
    """The patient accepts that a laboratory result comes after the stay: until it is validated, for 90 days at most."""
    return ask("dossier", "await_result", record_id=record_id, mandate_id=mandate_id, **body)


@operation(
    stays, "PUT", f"{_ONE}/validation", summary="Note that the awaited result is validated", answer=shapes.StayShown,
    refuses=_REFUSES,
)  # fmt: skip
def settle_result(record_id: str, mandate_id: str) -> Any:
    """15 days of depositing are left; a stay that waits for no result stays as it is."""
    return ask("dossier", "settle_result", record_id=record_id, mandate_id=mandate_id)
