"""Shapes of a record's life: its state and how it came to it, closing, reopening, opposition."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Accepted, Choice, Day, Id, Listed, Matricule, Moment, Part, Secret
from gateway.schemas.people import ID, MATRICULE, TIME
from services.dossier.contract import CLOSING_CAUSES, OPPOSITION_WAYS, STATE_AUTHORS, STATE_CAUSES, STATES


class StateChange(Shape):
    """One step in a record's life."""

    at = Moment()
    previous = Choice(STATES, "Null for the first step.", allow_none=True)
    state = Choice(STATES)
    cause = Choice(STATE_CAUSES)
    by = Choice(STATE_AUTHORS, "As whom the step was taken; `platform`: time alone, or the feed of the affiliated.")


class RecordState(Shape):
    record_id = Id()
    state = Choice(STATES)
    since = Moment()
    cause = Choice(STATE_CAUSES, allow_none=True)
    lapses_on = Day("Open to professionals without its holder from this day on, unless activated.", allow_none=True)
    closes_on = Day("Closed on this day if nobody comes before.", allow_none=True)
    deleted_on = Day("Deleted on this day unless reopened.", allow_none=True)
    history = Listed(Part(StateChange), "The newest step first; the last hundred.")
    example: ClassVar = {
        "record_id": ID,
        "state": "active",
        "since": TIME,
        "cause": "activation",
        "lapses_on": None,
        "closes_on": "2036-11-22",
        "deleted_on": None,
        "history": [
            {"at": TIME, "previous": "open", "state": "active", "cause": "activation", "by": "holder"},
            {"at": "2026-11-02T09:30:00.000000Z", "previous": None, "state": "open", "cause": "affiliation",
             "by": "platform"},
        ],
    }  # fmt: skip


class StateReached(Shape):
    record_id = Id()
    state = Choice(STATES)
    since = Moment()
    deleted_on = Day("Of a closed record.", allow_none=True)
    example: ClassVar = {"record_id": ID, "state": "closed", "since": TIME, "deleted_on": "2036-11-21"}


class Reopened(StateReached):
    example: ClassVar = {"record_id": ID, "state": "active", "since": TIME, "deleted_on": None}


class ClosingConfirmed(Shape):
    confirmed = Accepted(
        "That nobody will read the record any more, and that it is deleted in ten years.", required=True
    )
    example: ClassVar = {"confirmed": True}


class ClosingByAgency(Shape):
    cause = Choice(CLOSING_CAUSES, "At the holder's request, or because of their death.", required=True)
    example: ClassVar = {"cause": "agency_request"}


class OppositionRecorded(Shape):
    received_by = Choice(OPPOSITION_WAYS, "How it came.", required=True)
    example: ClassVar = {"received_by": "post"}


class RecordDeleted(StateReached):
    example: ClassVar = {"record_id": ID, "state": "deleted", "since": TIME, "deleted_on": None}


class Opposition(Shape):
    """What stands on the letter."""

    matricule = Matricule(required=True)
    activation_code = Secret("From the letter.", maximum=64, required=True)
    example: ClassVar = {"matricule": MATRICULE, "activation_code": "P7KQ-4MXT-9RWB"}


class OppositionReceived(Shape):
    received_at = Moment("The same again for a repeat.")
    example: ClassVar = {"received_at": TIME}
