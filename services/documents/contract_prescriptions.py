"""What documents tells the house of prescriptions: their lines, what of them was dispensed, and certified copies."""

from __future__ import annotations

from typing import Final, TypedDict

from services.refusals import Refusal

PRESCRIPTIONS: Final = "prescriptions"
"""The category of documents that can be dispensed."""

PRESCRIPTION_STATES: tuple[str, ...] = ("open", "partial", "dispensed", "cancelled")
"""How much of a prescription was dispensed; `cancelled` by who wrote it: no more of it is."""

SHOWN_STATES: tuple[str, ...] = (*PRESCRIPTION_STATES, "expired")
"""The same as lists of prescriptions tell them: what is not all dispensed when its last day is over has expired."""

DISPENSATION_WORDINGS: dict[str, str] = {
    "dispensation-2026-1": "Une prescription marquée comme dispensée ne devrait normalement plus être utilisée."
    " Je comprends et j'accepte ce principe.",
}
"""The sentence accepted before a prescription is marked, by version; the version is kept [seed 003]."""

LINES_MOST: Final = 50
LINE_LENGTH: Final = 500
UNIT_LENGTH: Final = 40
CODE_LENGTH: Final = 80
CANCEL_REASON_LENGTH: Final = 500
QUANTITY: Final = r"(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,3})?"
"""A quantity: a decimal above nothing, in text, as no floating number keeps it."""

# --- refusals ---------------------------------------------------------------------------------------------------------


class NotAPrescription(Refusal):
    """There is nothing in this document that could be dispensed."""

    code = "not_a_prescription"


class PrescriptionCancelled(Refusal):
    """Who wrote this prescription cancelled it."""

    code = "prescription_cancelled"


class PrescriptionExpired(Refusal):
    """The last day of this prescription, `valid_until`, is over."""

    code = "prescription_expired"


class PrescriptionDispensed(Refusal):
    """All of this prescription was dispensed."""

    code = "prescription_dispensed"


class PrescriptionGiven(Refusal):
    """Something of this prescription was dispensed: it is not changed any more, but cancelled and written anew."""

    code = "prescription_given"


class QuantityNotLeft(Refusal):
    """Of these `lines` less is left than was to be given, or nothing."""

    code = "quantity_not_left"


class DispensationNotFound(Refusal):
    """Unknown, or of a prescription that is hidden from this reader: nobody can tell which."""

    code = "dispensation_not_found"


class DispensationCancelled(Refusal):
    """This dispensation was cancelled."""

    code = "dispensation_cancelled"


class DispensationFinal(Refusal):
    """It was `hours` ago that this was dispensed, or longer: it cannot be cancelled any more."""

    code = "dispensation_final"


class CopyNotGenuine(Refusal):
    """No certified copy has this code."""

    code = "copy_not_genuine"


# --- shapes of the calls ----------------------------------------------------------------------------------------------


class PrescriptionLine(TypedDict):
    """A line. quantity, given, left: decimals in text; null where no number was prescribed: it is given whole."""

    number: int
    text: str
    quantity: str | None
    unit: str | None
    code: str | None
    system: str | None
    given: str
    left: str | None
    complete: bool


class Prescription(TypedDict):
    """A prescription as a list of them shows it. version_id: whose its lines are.

    dispensation_state: of SHOWN_STATES.
    """

    document_id: str
    version_id: str
    record_id: str
    type: str
    title: str
    act_date: str | None
    author_id: str | None
    level: str
    deposited_at: str
    dispensation_state: str
    valid_until: str | None
    lines: list[PrescriptionLine]


class Prescriptions(TypedDict):
    """Answer of `list_prescriptions`, newest first; `next_cursor` is null on the last page."""

    prescriptions: list[Prescription]
    next_cursor: str | None


class DispensedLine(TypedDict):
    """What one dispensation gave of a line; quantity null: all of a line without a number."""

    number: int
    quantity: str | None


class Dispensation(TypedDict):
    """What a pharmacy gave at one time."""

    dispensation_id: str
    at: str
    professional_id: str
    establishment_id: str | None
    lines: list[DispensedLine]
    cancelled_at: str | None


class PrescriptionRead(Prescription):
    """Answer of `read_prescription`: with what was given, the oldest first."""

    dispensations: list[Dispensation]


class Dispensed(TypedDict):
    """Answer of `dispense` and `cancel_dispensation`: what is left now."""

    dispensation_id: str
    document_id: str
    at: str
    dispensation_state: str
    lines: list[PrescriptionLine]
    cancelled_at: str | None


class CertifiedCopy(TypedDict):
    """Answer of `read_copy`: what stands on the certified copy of a dispensation."""

    dispensation_id: str
    document_id: str
    patient_id: str | None
    title: str
    act_date: str | None
    author_id: str | None
    professional_id: str
    establishment_id: str | None
    at: str
    valid_until: str | None
    verification_code: str
    dispensation_state: str
    dispensed: list[DispensedLine]
    lines: list[PrescriptionLine]


class CopyVerified(TypedDict):
    """Answer of `verify_copy`: of what prescription it is nobody is told, only what it says and what is left."""

    at: str
    cancelled: bool
    dispensation_state: str
    valid_until: str | None
    dispensed: list[DispensedLine]
    lines: list[PrescriptionLine]
