"""What the others may know of identity's helpdesk; all of it is handed on by contract.py.

Public (no token; the gateway only): `open_request(topic, name, reply_kind, reply_value, message, language)` ->
`RequestOpened`, `follow_request(request_id, tracking_token)` -> `RequestFollowed`, `prove_corrected_contact(request_id,
tracking_token, code)` -> `{}`.

Agents of the agency: `list_requests(state=None, limit=50, cursor=None)` -> a page of `RequestLine`,
`read_request(request_id)` -> `RequestSheet`; and of one `request_id` each, -> `RequestLine`: `take_request`,
`release_request`, `close_request`, `answer_request(text)`, `check_identity(matricule, kind, paper)`,
`send_letter(purpose)`, `correct_contact(kind, value)`.
"""

from typing import ClassVar, TypedDict

from services.refusals import Refusal

REPLY_KINDS: tuple[str, ...] = ("email", "mobile", "letter")
"""How somebody wants the helpdesk's answer; a letter is written by the agent, nothing is sent by itself."""
CHECK_METHODS: tuple[str, ...] = ("identity_card", "social_security_card", "passport")
REQUEST_STATES: tuple[str, ...] = ("open", "taken", "answered", "closed")


class RequestOpened(TypedDict):
    request_id: str
    reference: str
    tracking_token: str
    """Shown here only; travels in the header Tracking-Token."""


class RequestFollowed(TypedDict):
    request_id: str
    reference: str
    topic: str
    state: str
    answer: str | None
    created_at: str
    taken_at: str | None
    answered_at: str | None
    closed_at: str | None
    code_expires_at: str | None


class RequestLine(TypedDict):
    """A request in a list: nothing of what was said in it, nothing of the person but the kind."""

    request_id: str
    reference: str
    topic: str
    state: str
    language: str
    created_at: str
    taken_by: str | None
    subject_kind: str | None
    from_activation: bool
    identity_checked_at: str | None


class RequestSheet(RequestLine):
    name: str | None
    reply_kind: str | None
    reply_value: str | None
    message: str | None
    subject_id: str | None
    checked_by: str | None
    check_method: str | None
    answer: str | None
    answered_by: str | None
    taken_at: str | None
    answered_at: str | None
    closed_at: str | None


class RequestNotFound(Refusal):
    """No helpdesk request has this id, or (for the public) this id and this tracking token."""

    code: ClassVar[str] = "helpdesk_request_not_found"


class RequestNotTaken(Refusal):
    """An agent takes a request before working on it."""

    code: ClassVar[str] = "request_not_taken"


class RequestTaken(Refusal):
    """Another agent has this request in hand."""

    code: ClassVar[str] = "request_taken"


class RequestClosed(Refusal):
    """This request is closed: nothing in it can be changed any more."""

    code: ClassVar[str] = "request_closed"


class IdentityCheckDue(Refusal):
    """Somebody's identity must have been checked for this request, within the last 30 days."""

    code: ClassVar[str] = "identity_check_due"


class PersonNotKnown(Refusal):
    """Nobody is known by this matricule in this capacity. Said to agents of the agency only."""

    code: ClassVar[str] = "person_not_known"
