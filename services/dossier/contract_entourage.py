"""What the dossier service says of those who stand around a holder: the events and refusals of its entourage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from services.refusals import Refusal

# --- events -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GrantEnded:
    """Somebody's ground in a record ended: by time, by licence, by majority; an assistant's by the holder side too.

    ground: as in GROUNDS. grant_id: of the membership, designation, representative or assistant. holder_of:
    professional or person. professional_id: null for a person. cause: time, licence, majority, agency, resigned,
    holder, ... person_id: the patient who had it, where it was a person's. by: the patient who ended it.
    """

    type: ClassVar[str] = "grant_ended.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    ground: str
    grant_id: str
    holder_of: str
    professional_id: str | None
    cause: str
    at: str
    person_id: str | None = None
    by: str | None = None


@dataclass(frozen=True)
class RepresentativeRecorded:
    """The agency recorded a legal representative: who it is about and what they are, never on what proof."""

    type: ClassVar[str] = "representative_recorded.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    representative_id: str
    kind: str
    at: str


@dataclass(frozen=True)
class AssistantAccepted:
    """Somebody accepted the holder's invitation and reads along from now on."""

    type: ClassVar[str] = "assistant_accepted.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    assistant_id: str
    at: str


# --- refusals -----------------------------------------------------------------------------------------------


class RepresentativeNotFound(Refusal):
    """The record has no such legal representative in force."""

    code = "representative_not_found"


class AlreadyRepresentative(Refusal):
    """This person is a legal representative of this holder already, or is the holder."""

    code = "already_representative"


class RepresentativeRefused(Refusal):
    """This kind of representative does not fit this holder, as a parent for somebody of age."""

    code = "representative_refused"


class AssistantNotFound(Refusal):
    """The record has no such assistant, invited or accepted."""

    code = "assistant_not_found"


class InvitationRefused(Refusal):
    """The invitation opened nothing: unknown, used, over, of a closed record or of one's own, all alike."""

    code = "invitation_refused"


class NotMinor(Refusal):
    """The holder is of age: there is no autonomy to flag."""

    code = "not_minor"


class SetupStepNotFound(Refusal):
    """The set-up assistant has no such step."""

    code = "setup_step_not_found"


# --- words --------------------------------------------------------------------------------------------------

REPRESENTATIVE_KINDS: tuple[str, ...] = ("parent", "guardian", "mandatary", "curator")
"""What a legal representative is; what each may do stands in representative_kinds.csv."""

ASSISTANT_STATES: tuple[str, ...] = ("invited", "lapsed", "accepted", "ended")
"""lapsed: an invitation that nobody accepted in time."""

SETUP_STATES: tuple[str, ...] = ("open", "done", "skipped")
SETUP_STEPS: tuple[str, ...] = (
    "organ_donation",
    "circle",
    "referring_physician",
    "blocklist",
    "representatives",
    "assistants",
    "emergency",
    "rights",
    "mandates",
    "presence_code",
    "access_history",
    "activity_history",
    "state_history",
)
"""The steps of the set-up assistant, in the order of the menu in which a holder manages the record."""

HOLDER_SIDE: tuple[str, ...] = ("holder", "legal_representative", "assistant")
