"""What dossier says about rights: a decision with its rule and what would change it; who may read; who holds what."""

from __future__ import annotations

from typing import Any, Final, TypedDict

DECISION_ACTIONS: Final = ("read", "deposit", "change_level")
"""What may be asked about a document."""

STEPS: Final = ("state", "licence", "blocklist", "ground", "matrix", "level", "restriction", "patient_block")
"""The conditions of a decision in their order; the first that is not met refuses [domain: Who may see what]."""


class Explanation(TypedDict):
    """A decision: the rule that made it and, of a refusal, the step that refused and what would change it.

    ground: what lets it be done, None of a refusal. rule: as it stands in a trace. until: when the ground ends.
    """

    allowed: bool
    ground: str | None
    rule: str
    step: str | None
    remedies: list[str]
    until: str | None


class Reader(TypedDict):
    """Somebody who may read a document, by their strongest ground; a professional or a person of the holder side.

    establishment_id: where they work, when the ground is given to the establishment. until: when the ground ends.
    """

    professional_id: str | None
    patient_id: str | None
    establishment_id: str | None
    ground: str
    rule: str
    until: str | None


class ReadableThrough(TypedDict):
    """One professional through whom an establishment reads a document, and until when by the clock alone."""

    professional_id: str
    until: str | None


class ReadableAt(TypedDict):
    """Answer of `readable_at`: of each document asked about, in their order, the establishments where it is read."""

    readable: list[dict[str, ReadableThrough]]


class GroundedAt(TypedDict):
    """Answer of `grounded_at`."""

    establishment_ids: list[str]


class OwnClause(TypedDict):
    """What one ground gives the caller now."""

    ground: str
    rule: str
    levels: list[str]
    read: list[str]
    deposit: list[str]
    folders: list[str] | None
    deposit_types: list[str] | None
    until: str | None


class GivenRight(TypedDict):
    """A ground that runs in a record: whose it is and until when it reads and lets deposit."""

    ground: str
    grant_id: str | None
    professional_id: str | None
    patient_id: str | None
    establishment_id: str | None
    since: str
    read_until: str | None
    deposit_until: str | None


class AccessOption(TypedDict):
    """A way to ask for access that is open to this caller, whatever the record. text: code of a text."""

    option: str
    text: str


Facts = dict[str, Any]
"""A DocumentFacts on the wire."""
