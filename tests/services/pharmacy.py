"""A pharmacy beside a ward: prescriptions deposited, dispensed and taken back."""

from __future__ import annotations

from typing import Any

from services.documents.contract import CDA, DISPENSATION_WORDINGS
from services.dossier.contract import RESPONSIBILITY_CONDITIONS, RESPONSIBILITY_WORDINGS
from services.tokens import Caller
from tests.prescriptions import cda, medicine, section
from tests.services.ward import Ward

WORDING = next(iter(DISPENSATION_WORDINGS))
TWO_LINES = ({"text": "Amoxicilline 1 g", "quantity": "3", "unit": "boîte"}, {"text": "Bas de contention"})


def prescribed(ward: Ward, who: Caller, *lines: dict[str, Any], **changes: Any) -> str:
    """A PDF prescription with lines that were entered; valid_until: its last day."""
    details: dict[str, Any] = {"lines": list(lines or TWO_LINES)}
    if "valid_until" in changes:
        details["valid_until"] = changes.pop("valid_until")
    return ward.deposit(who, type="drug_treatment", title="Ordonnance", details=details, **changes)


def prescribed_in_cda(ward: Ward, who: Caller, *entries: str, until: str | None = None, **changes: Any) -> str:
    data = cda(section(*(entries or (medicine("Amoxicilline 1 g", "3"),))), until=until)
    return ward.deposit(who, data, CDA, type="drug_treatment", title="Ordonnance", **changes)


def dispense(ward: Ward, who: Caller, document_id: str, *lines: tuple[int, str | None], **changes: Any) -> Any:
    """Some of these lines, or all that is left where none is named."""
    said: dict[str, Any] = {"risk_accepted": True, "risk_version": WORDING}
    if lines:
        said["lines"] = [{"number": number, **({"quantity": q} if q else {})} for number, q in lines]
    else:
        said["whole"] = True
    return ward.ask("dispense", who, document_id=document_id, **said | changes)


def take_back(ward: Ward, who: Caller, dispensation_id: str, reason: str = "Erreur de saisie") -> Any:
    return ward.ask("cancel_dispensation", who, dispensation_id=dispensation_id, reason=reason)


def left(ward: Ward, who: Caller, document_id: str) -> tuple[str, list[str | None]]:
    """The state of a prescription, and what is left of each line."""
    found = ward.ask("read_prescription", who, document_id=document_id)
    return found["dispensation_state"], [line["left"] for line in found["lines"]]


def on_responsibility(ward: Ward, profession: str = "pharmacist") -> Caller:
    """A professional who opened the record on their own responsibility."""
    who = ward.professional(profession)
    ward.house.ask(
        "dossier", "open_responsibility_access", who, record_id=ward.record_id, reason="Délivrance au comptoir",
        conditions_accepted=list(RESPONSIBILITY_CONDITIONS), wording_version=next(iter(RESPONSIBILITY_WORDINGS)),
    )  # fmt: skip
    return who
