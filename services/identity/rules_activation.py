"""The flows of activation as one table, and the one rule of their order; when a lost letter is sent again.

A step may be taken when all before it are done; one that is done may be taken again until all are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from services.identity.contract import (
    LANGUAGES,
    ActivationComplete,
    ActivationStep,
    StepOutOfOrder,
    StepShown,
    SubjectKind,
)
from services.identity.rules import invalid

Flow = Literal["patient", "app", "professional", "agent", "recovery"]
Next = ActivationStep | Literal["contact_proof"]

FLOWS: Mapping[Flow, tuple[ActivationStep, ...]] = {
    "patient": ("personal_data", "conditions", "contact", "password"),
    "app": ("password", "contact"),  # the conditions are accepted at the first log-in
    "professional": ("conditions", "luxtrust", "code", "personal_data", "contact", "password"),
    "agent": ("conditions", "contact", "password"),
    "recovery": ("contact", "password"),
}
"""What each kind of person does, in this order. [seed 001, 2; seed 003, steps 1 to 5; seed 004; domain.md, Accounts]"""


@dataclass(frozen=True)
class Progress:
    """How far an activation is. kept: what somebody who has an account brings along; code_sent: to an address."""

    flow: Flow
    done: frozenset[ActivationStep] = frozenset()
    kept: frozenset[ActivationStep] = frozenset()
    code_sent: bool = False
    complete: bool = False


def flow_of(subject_kind: str, purpose: str, wanted: object) -> Flow:
    """The flow a letter leads into; in the app a patient chooses the password first."""
    if purpose == "recovery":
        return "recovery"
    return "app" if wanted == "app" and subject_kind == "patient" else cast(SubjectKind, subject_kind)


def begins_activation(subject_kind: str, purpose: str) -> bool:
    """Whether a letter of this sort is where its reader begins: a professional begins with LuxTrust instead."""
    return subject_kind != "professional" or purpose == "recovery"


def opposes(subject_kind: str, purpose: str) -> bool:
    """Whether a letter of this sort may be used to have no record: a patient's first one, before any account."""
    return subject_kind == "patient" and purpose == "activation"


def continues_activation(subject_kind: str, purpose: str) -> bool:
    """Whether a letter of this sort is shown in the middle of an activation."""
    return subject_kind == "professional" and purpose == "activation"


def language_of(wanted: str | None) -> str:
    """The language in which to write to somebody: the one of the conditions accepted or of the request."""
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


def require_flow(wanted: object) -> None:
    """Refuses: InvalidInput for anything but the app, or nothing."""
    if wanted not in (None, "app"):
        raise invalid("/flow", "unknown")


def steps_of(progress: Progress) -> list[StepShown]:
    """The state of each step, as a step indicator shows them."""
    return [StepShown(step=step, state=_state_of(progress, step)) for step in FLOWS[progress.flow]]


def _state_of(progress: Progress, step: ActivationStep) -> Literal["open", "code_sent", "done", "kept"]:
    if step in progress.kept:
        return "kept"
    if step in progress.done or progress.complete:
        return "done"
    return "code_sent" if step == "contact" and progress.code_sent else "open"


def next_step(progress: Progress) -> Next | None:
    """What the person has to do now; None when nothing is left."""
    open_steps = (step for step in FLOWS[progress.flow] if step not in progress.done | progress.kept)
    step = None if progress.complete else next(open_steps, None)
    return "contact_proof" if step == "contact" and progress.code_sent else step


def require_step(progress: Progress, step: Next) -> None:
    """Whether this step may be taken now; what an account keeps is not chosen here.

    Refuses: ActivationComplete, StepOutOfOrder.
    """
    if progress.complete:
        raise ActivationComplete()
    steps, wanted = FLOWS[progress.flow], "contact" if step == "contact_proof" else step
    before = steps[: steps.index(wanted)] if wanted in steps else None
    its_turn = before is not None and progress.done | progress.kept >= set(before)
    if not its_turn or wanted in progress.kept or (step == "contact_proof" and not progress.code_sent):
        raise StepOutOfOrder(next=next_step(progress))


# --- letters that were lost -------------------------------------------------------------------------------------------

LETTER_PAUSE = timedelta(hours=24)
LETTERS_COUNTED = timedelta(days=30)
LETTERS_AT_MOST = 3


def require_addressee(kind: object) -> Literal["patient", "professional"]:
    """An agent's letter is handed over, so nobody asks for it here. Refuses: InvalidInput."""
    if kind == "patient" or kind == "professional":
        return kind
    raise invalid("/kind", "unknown")


@dataclass(frozen=True)
class LettersSent:
    """What has gone out to a person; newest: None for who never got a letter; active: has the capacity already."""

    newest: datetime | None
    recent: int
    active: bool


def another_letter_is_due(sent: LettersSent, now: datetime) -> bool:
    """Whether a request for a lost letter leads to one: only for who had one and has not activated since.

    At most one a day and three in thirty days: nobody fills a stranger's letter box. [domain.md, Accounts]
    """
    had_one = sent.newest is not None and now - sent.newest >= LETTER_PAUSE
    return had_one and not sent.active and sent.recent < LETTERS_AT_MOST
