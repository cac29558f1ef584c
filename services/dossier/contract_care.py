"""What the dossier service says of professionals around a holder: blocks, referring physicians, stopped licences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from services.refusals import Refusal

FEED_LINES: Final = 500
"""How many lines of the health fund's list one transcription takes."""

FEED_OUTCOMES: tuple[str, ...] = ("added", "changed", "unchanged", "refused")
"""What became of a line of the health fund's list."""

DESIGNATION_STATES: tuple[str, ...] = ("proposed", "signed", "notified", "effective", "ended")
"""How far a designation of a referring physician is."""

DESIGNATION_ENDS: tuple[str, ...] = ("notice", "refusal")
"""What may be asked for: the end by agreement or with two months' notice; a physician's refusal to go on."""

PROPOSED_BY: tuple[str, ...] = ("holder", "professional", "health_fund")
"""Where a designation comes from."""

# --- events -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReferringPhysicianProposed:
    """Somebody proposed a referring physician: the other side is asked to sign [RGD 9(4)].

    proposed_by: holder or professional.
    """

    type: ClassVar[str] = "referring_physician_proposed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    designation_id: str
    professional_id: str
    proposed_by: str
    at: str


@dataclass(frozen=True)
class ReferringPhysicianChanged:
    """A referring physician's designation took effect, is going to end, or has ended [RGD 9(4)].

    state: effective, ending or ended. at: RFC 3339, when it takes effect, is going to end, or ended.
    """

    type: ClassVar[str] = "referring_physician_changed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    designation_id: str
    professional_id: str
    state: str
    at: str


@dataclass(frozen=True)
class LicenceStopsGrants:
    """A professional with grounds in this record may not practise any more, for now or for good [RGD 7(4)].

    licence: suspended (the grounds rest and come back with it) or withdrawn (they ended). Once for each record.
    """

    type: ClassVar[str] = "licence_stops_grants.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    professional_id: str
    licence: str
    at: str


@dataclass(frozen=True)
class AccessNarrowed:
    """Less of a record is open to somebody, though no ground of theirs ended: they were barred, or a setting changed.

    Nobody is told whom it concerns, or which of the two it was.
    """

    type: ClassVar[str] = "access_narrowed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    at: str


@dataclass(frozen=True)
class PracticeChanged:
    """A professional left a workplace, has another profession or may not practise any more; dossier decides by it."""

    type: ClassVar[str] = "practice_changed.v1"
    subject: ClassVar[str | None] = "professional_id"

    professional_id: str
    at: str


# --- refusals -----------------------------------------------------------------------------------------------


class ProfessionalBlocked(Refusal):
    """The holder barred this professional; only the holder side is told so."""

    code = "professional_blocked"


class BlockNotFound(Refusal):
    """This professional is not barred from the record."""

    code = "block_not_found"


class NotAPhysician(Refusal):
    """Only a physician may be a referring physician."""

    code = "not_a_physician"


class DesignationNotFound(Refusal):
    """The record has no such designation of a referring physician for this caller."""

    code = "designation_not_found"


class DesignationNotSigned(Refusal):
    """Both sides sign a designation before the health fund gets its notice."""

    code = "designation_not_signed"


class DesignationOver(Refusal):
    """The designation has ended; a new one can be proposed."""

    code = "designation_over"


class DesignationPending(Refusal):
    """Another designation was notified and has not taken effect yet; there is one referring physician at a time."""

    code = "designation_pending"
