"""Entries as FHIR AuditEvents: what a search among them may ask, and what it is told."""

from __future__ import annotations

from typing import Any, Final, TypedDict

BASE_LENGTH: Final = 200
"""The most characters of the platform's public address."""

TOKENS_MOST: Final = 20
"""The most values of one filter."""


class Event(TypedDict):
    """An AuditEvent, and the ids of the people and the place in it whose names belong there."""

    resource: dict[str, Any]
    professional_id: str | None
    patient_id: str | None
    establishment_id: str | None


class Events(TypedDict):
    """The answer of `audit_events`: one page, newest first; `next_cursor` is null on the last page."""

    events: list[Event]
    next_cursor: str | None
