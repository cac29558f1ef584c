"""Requests to open a record [seed 002, Demande volontaire d'ouverture]: their words, refusals and shapes.

Calls of the public: `request_opening(...)`, `follow_opening(request_id, tracking_token)`,
`withdraw_opening(request_id, tracking_token)`. Of agents: `record_opening(...)` from a paper form,
`list_openings(state, limit, cursor)`, `read_opening(request_id)`, `check_opening(request_id, document, agent_name)`,
`accept_opening(request_id)`, `refuse_opening(request_id, reason)`.
"""

from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

OPENING_STATES: tuple[str, ...] = ("received", "checked", "accepted", "refused", "withdrawn")
OPENING_DOCUMENTS: tuple[str, ...] = ("identity_card", "social_security_card")
"""What the form's frame for the agency has a box for: the paper against which the identity was checked."""

OPENING_REASONS: tuple[str, ...] = ("identity_not_established", "form_not_valid", "duplicate", "no_answer", "other")
"""Why an agent refuses a request."""

LAPSED: Final = "lapsed"
"""The reason of a request that nobody worked off within a year: what it said of a person is gone."""

OPENING_STATEMENTS: tuple[str, ...] = ("opening-2026-1",)
"""The versions of what is signed, oldest first; their words stand in the catalogues of the gateway."""

OPENING_STATEMENT: Final = OPENING_STATEMENTS[-1]
"""The version in force."""

OPENINGS_LIMIT: Final = 100
"""The most requests that one page holds."""


class OpeningNotFound(Refusal):
    """No such request, or not the token that goes with it: one answer."""

    code: ClassVar[str] = "opening_not_found"


class RequestDecided(Refusal):
    """The request was accepted, refused or withdrawn before: by whoever was faster, too."""

    code: ClassVar[str] = "request_decided"


class OpeningCheckDue(Refusal):
    """No agent has noted yet against which paper the identity was checked."""

    code: ClassVar[str] = "opening_check_due"


class OpeningReceived(TypedDict):
    """Answer to a request; the token is told this once."""

    request_id: str
    reference: str
    tracking_token: str
    due_by: str


class OpeningFollowed(TypedDict):
    """How far a request is, for whoever holds its token."""

    request_id: str
    reference: str
    state: str
    due_by: str
    reason: str | None


class OpeningLine(TypedDict):
    """A request in a list of the agents: of the person nothing but whether they gave a matricule; null once decided."""

    request_id: str
    reference: str
    state: str
    language: str
    affiliated: bool | None
    received_at: str
    due_by: str
    overdue: bool
    checked_at: str | None
    decided_at: str | None
    reason: str | None
    patient_id: str | None


class OpeningPage(TypedDict):
    """A page of requests; `next_cursor` is null on the last one."""

    requests: list[OpeningLine]
    next_cursor: str | None
