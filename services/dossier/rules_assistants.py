"""What became of an invitation, and which records of others somebody finds among their own. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.dossier.contract import AccessScope
from services.dossier.rules_tables import Tables
from services.refusals import NotAllowed

NAME_LENGTH = 80


class Invitation(Protocol):
    """The times of an invitation and of what it became."""

    code_until: datetime
    accepted_at: datetime | None
    until: datetime | None
    ended_at: datetime | None


def state_of(invitation: Invitation, now: datetime) -> str:
    """One of ASSISTANT_STATES, as it is at this moment whatever was announced."""
    over = invitation.until is not None and invitation.until <= now
    if invitation.accepted_at is not None:
        return "ended" if over or invitation.ended_at is not None else "accepted"
    if invitation.ended_at is not None:
        return "ended"
    return "lapsed" if over or invitation.code_until <= now else "invited"


def require_inviting(scope: AccessScope) -> NotAllowed | None:
    """The refusal for who represents an autonomous minor: an assistant would read what is hidden from them [ours]."""
    return NotAllowed() if scope.autonomous_minor and not scope.may_see_withheld else None


def code_until(tables: Tables, until: datetime | None, now: datetime) -> datetime:
    """Until when an invitation can be accepted: its period, and never longer than what it invites to."""
    ends = now + tables.invitations["assistant"]
    return ends if until is None else min(ends, until)


def states_to_accept_in(tables: Tables) -> list[str]:
    """The states of a record in which an invitation is good: those in which its holder has everything."""
    return [state for state, shows in tables.states.items() if shows.holder_side == "everything"]


def states_shown(tables: Tables) -> tuple[list[str], list[str]]:
    """The states in which the holder side, and the assistants among it, see anything of a record."""
    return (
        [state for state, shows in tables.states.items() if shows.holder_side != "nothing"],
        [state for state, shows in tables.states.items() if shows.assistants != "nothing"],
    )
