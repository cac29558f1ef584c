"""What dossier says of mandates, of stays and orders, and of presence codes: its sentences, events and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypedDict

from services.refusals import Refusal

DECLARATION_WORDINGS: dict[str, str] = {
    "presence-2026-1": "Le patient (ou son représentant légal) m'a autorisé à accéder à son dossier.",
}
"""The sentence a professional accepts with the presence code, by version; the version is kept with the mandate."""

RESULT_CONSENT_WORDINGS: dict[str, str] = {
    "result-2026-1": "Le patient (ou son représentant légal) accepte que le résultat attendu soit encore déposé.",
}
"""What an establishment states when it records the patient's consent to a result that comes later, by version."""

STAY_KINDS: tuple[str, ...] = ("admission", "hospital_emergency")
"""The kinds of mandates that the registration of a patient opens."""

ORDER_KIND = "order"
REFERENCE_LENGTH = 64

LIST_LIMIT = 100
"""The most lines of one page of a professional's lists."""


# --- events -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MandateOpened:
    """A professional, or all who work at an establishment, got a time-limited ground in a record.

    professional_id: null where the mandate is an establishment's, which is then named by establishment_id.
    """

    type: ClassVar[str] = "mandate_opened.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    mandate_id: str
    professional_id: str | None
    kind: str
    establishment_id: str | None = None


@dataclass(frozen=True)
class MandateEnded:
    """A mandate ended: the holder side or its professional ended it, or its time is over; told once.

    Ids as in MandateOpened. cause: time, holder, blocked or professional; by: the patient who ended it.
    """

    type: ClassVar[str] = "mandate_ended.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    mandate_id: str
    professional_id: str | None
    kind: str
    establishment_id: str | None = None
    cause: str | None = None
    by: str | None = None


@dataclass(frozen=True)
class MandateEnding:
    """A mandate that runs is going to end by itself; told once of each end it has, some days before.

    Ids as in MandateOpened. ends_at: when its time is over, unless it is prolonged or ended before.
    """

    type: ClassVar[str] = "mandate_ending.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    mandate_id: str
    professional_id: str | None
    kind: str
    establishment_id: str | None
    ends_at: str


@dataclass(frozen=True)
class PresenceCodeTried:
    """Somebody entered a presence code that opened nothing; the holder may be told."""

    type: ClassVar[str] = "presence_code_tried.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    professional_id: str
    at: str


@dataclass(frozen=True)
class PresenceCodeRegenerated:
    """The holder made a new presence code: the one before opens nothing any more."""

    type: ClassVar[str] = "presence_code_regenerated.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    at: str


# --- refusals -----------------------------------------------------------------------------------------------


class PresenceCodeRefused(Refusal):
    """The presence code opened nothing; wrong code, unknown or closed record, blocked professional: one answer."""

    code = "presence_code_refused"


class MandateNotFound(Refusal):
    """The holder's record has no such mandate, or the caller's establishment none in it."""

    code = "mandate_not_found"


class StayOver(Refusal):
    """Nothing is added to a stay that is over: the patient was discharged, or the mandate has ended."""

    code = "stay_over"


# --- shapes on the wire -------------------------------------------------------------------------------------


class ListedPatient(TypedDict):
    """A line of a professional's lists: the record, the ground that is named and until when it gives what it gives.

    since: of "Mes patients", when this ground began; of "Mes derniers dossiers", about when the reader last came.
    """

    record_id: str
    patient_id: str
    ground: str
    since: str
    until: str | None


class ListedPatients(TypedDict):
    """A page of a professional's list; next_cursor is null on the last one."""

    patients: list[ListedPatient]
    next_cursor: str | None
