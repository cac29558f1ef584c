"""The pure decisions on requests to open a record: what the form holds, who may do what with it when, for how long.

Pure: no I/O, no clock (today is an argument). Messages of faults are codes; they never repeat what was typed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, cast

from services.directory.contract import (
    OPENING_DOCUMENTS,
    OPENING_REASONS,
    OPENING_STATEMENT,
    OPENING_STATES,
    OPENINGS_LIMIT,
    OpeningCheckDue,
    RequestDecided,
)
from services.directory.rules import Fault, fault
from services.directory.rules_fields import Fields
from services.directory.rules_sheets import PatientSheet, require_patient_sheet
from services.refusals import InvalidInput, Refusal

ADULT: Final = 18
SIGNED_WITHIN: Final = timedelta(days=90)
"""How old a signature may be [ours]."""

LETTER_WITHIN: Final = timedelta(days=7)
"""When the letter must be on its way [seed 002: at most 7 days after the request]."""

KEPT_UNWORKED: Final = timedelta(days=365)
"""How long a request that nobody works off keeps what it says of a person [ours]."""

COUNTS_KEPT: Final = timedelta(days=1)
FROM_ADDRESS: Final = 10
"""Requests that one network address may send in an hour [ours]."""

MOST_TOKENS: Final = 4
DIGEST: Final = 32
REFERENCE_SIGNS: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

PERSON: Final = (
    "matricule", "birth_name", "usual_name", "first_names", "sex", "birth_date", "language", "address", "email",
    "phone",
)  # fmt: skip
"""The fields of a form that become fields of an identity sheet."""

State = Literal["received", "checked", "accepted", "refused", "withdrawn"]  # contract.OPENING_STATES
Action = Literal["check", "accept", "refuse", "withdraw"]

STEPS: Final[dict[tuple[Action, State], State | type[Refusal]]] = {
    ("check", "received"): "checked",
    ("check", "checked"): "checked",
    ("accept", "received"): OpeningCheckDue,
    ("accept", "checked"): "accepted",
    ("refuse", "received"): "refused",
    ("refuse", "checked"): "refused",
    ("withdraw", "received"): "withdrawn",
    ("withdraw", "checked"): "withdrawn",
    ("withdraw", "withdrawn"): "withdrawn",
}
"""(action, state) -> the state after it, or the refusal. What is not listed: RequestDecided."""


@dataclass(frozen=True)
class OpeningForm:
    """A checked form: who asks, and what they signed when and where."""

    sheet: PatientSheet
    statement_version: str
    signed_on: date
    signed_at: str


# --- the form ---------------------------------------------------------------------------------------------------------


def require_form(values: Mapping[str, object], today: date) -> OpeningForm:
    """Returns the checked form.

    values: the fields of PERSON, and statement, signed_on, signed_at. A birth date other than the matricule's is
    accepted; the sheet is flagged for it.
    Refuses: InvalidInput naming every faulty field at once: an address of either kind is due, whoever signed was an
    adult that day, and did so in the wording in force, not in days to come and not too long ago. [seed 002]
    """
    faults: list[Fault] = []
    sheet = _sheet(values, today, faults)
    check = Fields(values, faults=faults)
    signed_at = check.name("signed_at")
    signed_on = _signed_on(values.get("signed_on"), today, faults)
    if values.get("email") is None and values.get("phone") is None:
        faults.append(fault("email", "contact_due"))
    if sheet is not None and signed_on is not None and not is_adult(sheet.birth_date, signed_on):
        faults.append(fault("birth_date", "minor"))
    version = _accepted_version(values.get("statement"), faults)
    if faults or sheet is None or signed_on is None:
        raise InvalidInput(errors=faults)
    return OpeningForm(sheet, version, signed_on, signed_at)


def is_adult(birth_date: date, day: date) -> bool:
    """Whether somebody is 18 on this day; who was born on 29 February is on 1 March."""
    return (day.year - ADULT, day.month, day.day) >= (birth_date.year, birth_date.month, birth_date.day)


def require_check(document: object, agent_name: object) -> tuple[str, str]:
    """Returns the paper an agent saw, and the name they signed with. Refuses: InvalidInput."""
    check = Fields({"document": document, "agent_name": agent_name})
    paper, name = check.one_of("document", OPENING_DOCUMENTS), check.name("agent_name")
    check.refuse_faults()
    return paper, name


def require_reason(reason: object) -> str:
    """Returns the reason of a refusal. Refuses: InvalidInput."""
    check = Fields({"reason": reason})
    found = check.one_of("reason", OPENING_REASONS)
    check.refuse_faults()
    return found


def require_states(state: object) -> tuple[State, ...]:
    """Returns the states a list is asked for: one, or both in which there is work left. Refuses: InvalidInput."""
    if state is None:
        return ("received", "checked")
    if state not in OPENING_STATES:
        raise InvalidInput(errors=[fault("state", "choice")])
    return (cast(State, state),)


def require_limit(limit: object) -> int:
    """Returns how many requests a page holds at most. Refuses: InvalidInput."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= OPENINGS_LIMIT:
        raise InvalidInput(errors=[fault("limit", "range")])
    return limit


def _sheet(values: Mapping[str, object], today: date, faults: list[Fault]) -> PatientSheet | None:
    try:
        return require_patient_sheet({field: values.get(field) for field in PERSON}, today)
    except InvalidInput as wrong:
        faults.extend(wrong.detail["errors"])
        return None


def _signed_on(value: object, today: date, faults: list[Fault]) -> date | None:
    try:
        signed = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        signed = None
    if signed is None:
        faults.append(fault("signed_on", "required" if value is None else "date"))
    elif signed > today:
        faults.append(fault("signed_on", "signed_later"))
    elif signed < today - SIGNED_WITHIN:
        faults.append(fault("signed_on", "signed_long_ago"))
    return signed


def _accepted_version(statement: object, faults: list[Fault]) -> str:
    given = statement if isinstance(statement, Mapping) else {}
    if given.get("version") != OPENING_STATEMENT:
        faults.append(fault("statement/version", "not_in_force" if given.get("version") else "required"))
    if given.get("accepted") is not True:
        faults.append(fault("statement/accepted", "accepted"))
    return OPENING_STATEMENT


# --- who may do what, when --------------------------------------------------------------------------------------------


def may_work(capacity: str) -> bool:
    """Whether this capacity works requests off: the agency's agents only."""
    return capacity == "agent"


def state_of(text: str) -> State:
    """The state a request is stored in."""
    return cast(State, text)


def step(action: Action, state: State) -> State | Refusal:
    """The state after an action, or why it is refused."""
    outcome = STEPS.get((action, state), RequestDecided)
    return outcome if isinstance(outcome, str) else outcome()


def is_overdue(state: str, due_by: datetime, now: datetime) -> bool:
    """Whether a request should have been worked off before now."""
    return state in ("received", "checked") and due_by < now


def unworked_before(now: datetime) -> datetime:
    """Requests received before this moment that nobody worked off lose what they say of a person."""
    return now - KEPT_UNWORKED


# --- names and tokens -------------------------------------------------------------------------------------------------


def reference_from(random: bytes) -> str:
    """What a person says on the phone to name a request, out of eight random bytes; it opens nothing."""
    signs = "".join(REFERENCE_SIGNS[each % len(REFERENCE_SIGNS)] for each in random[:8])
    return f"{signs[:4]}-{signs[4:]}"


def with_digest(digests: bytes, digest: bytes) -> bytes:
    """The digests of a request's tokens with one more: a repeated request is told a new token, and the one told
    before stays good."""
    return (digests + digest)[-MOST_TOKENS * DIGEST :]


def has_digest(digests: bytes, digest: bytes) -> bool:
    """Whether this is the digest of one of a request's tokens; it takes as long for any."""
    return sum(digests[at : at + DIGEST] == digest for at in range(0, len(digests), DIGEST)) > 0


def person_of(request: Any) -> dict[str, object]:
    """The fields of PERSON as a stored request holds them."""
    facts: dict[str, object] = {field: getattr(request, field) for field in PERSON if field != "address"}
    facts["birth_date"] = request.birth_date.isoformat() if request.birth_date else None
    facts["address"] = None
    if request.address_line is not None:
        facts["address"] = {
            "line": request.address_line, "postal_code": request.postal_code, "locality": request.locality,
            "country": request.country,
        }  # fmt: skip
    return facts
