"""The pure decisions of the helpdesk: what a request holds, who may do what with it when, and for how long."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal, cast

from services.identity.contract import (
    CHECK_METHODS,
    LANGUAGES,
    LETTER_PURPOSES,
    REPLY_KINDS,
    REQUEST_STATES,
    RequestClosed,
    RequestNotTaken,
    RequestTaken,
)
from services.identity.rules import invalid, require_contact
from services.identity.rules_throttles import Limit
from services.refusals import InvalidInput, Refusal

State = Literal["open", "taken", "answered", "closed"]  # contract.REQUEST_STATES
Standing = Literal["nobodys", "mine", "anothers"]
Action = Literal["take", "release", "identity_check", "letter", "contact", "answer", "close"]

CHECK_COUNTS_FOR = timedelta(days=30)
PERSONAL_DATA_KEPT = timedelta(days=365)
PAGE_LIMIT = 100

FROM_ADDRESS = Limit(free=10, forgotten_after=timedelta(hours=1))
TO_REPLY_ADDRESS = Limit(free=5, forgotten_after=timedelta(hours=1), longest_wait=timedelta(minutes=10))
"""Short on purpose: a stranger who names somebody's address must not keep them from the helpdesk for long."""
CORRECTION_CODES = Limit(free=10, forgotten_after=timedelta(hours=1))

_NAME_MAXIMUM, _REPLY_MAXIMUM, _TEXT_MAXIMUM = 200, 500, 4000


# --- what a request holds ---------------------------------------------------------------------------------------------


def require_topic(topic: object, topics: str) -> str:
    """One of the topics of the settings (comma-separated). Refuses: InvalidInput."""
    if not isinstance(topic, str) or topic not in topics_of(topics):
        raise invalid("/topic", "unknown")
    return topic


def topics_of(setting: str) -> list[str]:
    """The topics as the setting lists them."""
    return [topic.strip() for topic in setting.split(",") if topic.strip()]


def require_language(language: object) -> str:
    """Refuses: InvalidInput for a language the platform does not speak."""
    if not isinstance(language, str) or language not in LANGUAGES:
        raise invalid("/language", "unknown")
    return language


def require_name(name: object) -> str:
    """How the sender is called. Refuses: InvalidInput (empty, too long)."""
    return _text(name, "/name", _NAME_MAXIMUM)


def require_message(message: object, pointer: str = "/message") -> str:
    """What is asked, or answered. Refuses: InvalidInput (empty, too long)."""
    return _text(message, pointer, _TEXT_MAXIMUM)


def joined(before: str | None, message: str | None) -> str | None:
    """What was said before and now; the same said again stands there once.

    Refuses: InvalidInput (too long together).
    """
    if message is None or before is None or message in before:
        return before or message
    return require_message(f"{before}\n\n{message}")


def require_reply(kind: object, value: object) -> tuple[str, str]:
    """Where the answer goes: an e-mail address, a mobile number or a postal address. Refuses: InvalidInput."""
    if kind not in REPLY_KINDS:
        raise invalid("/reply_kind", "unknown")
    if kind == "letter":
        return "letter", _text(value, "/reply_value", _REPLY_MAXIMUM)
    try:
        return str(kind), require_contact(kind, value)
    except InvalidInput as wrong:
        raise invalid("/reply_value", wrong.detail["errors"][0]["message"]) from None


def require_paper(paper: object) -> str:
    """The paper an agent looked at. Refuses: InvalidInput."""
    if not isinstance(paper, str) or paper not in CHECK_METHODS:
        raise invalid("/method", "unknown")
    return paper


def require_purpose(purpose: object) -> str:
    """What a new letter is for. Refuses: InvalidInput."""
    if not isinstance(purpose, str) or purpose not in LETTER_PURPOSES:
        raise invalid("/purpose", "unknown")
    return purpose


def require_states(state: object) -> tuple[State, ...]:
    """The states a list is asked for: one, or all in which there is work left. Refuses: InvalidInput."""
    if state is None:
        return ("open", "taken", "answered")
    if state not in REQUEST_STATES:
        raise invalid("/state", "unknown")
    return (cast(State, state),)


def require_limit(limit: object) -> int:
    """How many entries a page holds at most. Refuses: InvalidInput."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= PAGE_LIMIT:
        raise invalid("/limit", "range")
    return limit


def _text(value: object, pointer: str, maximum: int) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise invalid(pointer, "required")
    if len(text) > maximum:
        raise invalid(pointer, "too_long")
    return text


# --- who may do what, when --------------------------------------------------------------------------------------------

_ON_A_REQUEST_IN_HAND: tuple[Action, ...] = ("identity_check", "letter", "contact", "answer", "close")

STEPS: dict[tuple[Action, State, Standing], State | type[Refusal]] = {
    ("take", "open", "nobodys"): "taken",
    ("take", "taken", "mine"): "taken",
    ("take", "answered", "mine"): "answered",
    ("release", "open", "nobodys"): "open",
    ("release", "taken", "mine"): "open",
    ("release", "answered", "mine"): "open",
    **{(action, "open", "nobodys"): RequestNotTaken for action in _ON_A_REQUEST_IN_HAND},
    **{(action, "taken", "mine"): "taken" for action in ("identity_check", "letter", "contact")},
    **{(action, "answered", "mine"): "answered" for action in ("identity_check", "letter", "contact")},
    ("answer", "taken", "mine"): "answered",
    ("answer", "answered", "mine"): "answered",
    ("close", "taken", "mine"): "closed",
    ("close", "answered", "mine"): "closed",
    ("close", "closed", "mine"): "closed",
}
"""(action, state, whose request it is) -> the state after it, or the refusal. What is not listed: RequestClosed for a
closed request, RequestTaken for another agent's."""


def state_of(text: str) -> State:
    """The state a request is stored in."""
    return cast(State, text)


def standing(taken_by: str | None, account_id: str) -> Standing:
    """Whose request it is, seen by this agent."""
    return "nobodys" if taken_by is None else "mine" if taken_by == account_id else "anothers"


def step(action: Action, state: State, whose: Standing, role: str | None) -> State | Refusal:
    """The state after an action, or why it is refused. An administrator may release what another agent holds."""
    if action == "release" and whose == "anothers" and role == "administrator" and state != "closed":
        return "open"
    outcome = STEPS.get((action, state, whose), RequestClosed if state == "closed" else RequestTaken)
    return outcome if isinstance(outcome, str) else outcome()


def check_counts(checked_at: datetime | None, now: datetime) -> bool:
    """Letters and contacts need that somebody's identity was checked for this request, within 30 days."""
    return checked_at is not None and now - checked_at <= CHECK_COUNTS_FOR


def may_help(role: str | None, held: Collection[str], own_account: bool) -> bool:
    """Whether this agent may open ways into an account: never into their own; into an agent's only an administrator.

    Else any agent could make themself an administrator, by way of a forged request of that administrator.
    """
    return not own_account and ("agent" not in held or role == "administrator")


def wiped_before(now: datetime) -> datetime:
    """Requests closed before this moment lose what they say about a person."""
    return now - PERSONAL_DATA_KEPT
