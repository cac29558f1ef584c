"""Shapes of the privacy officer's desk: cases, alerts, and the search among all entries; and of a holder's case."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Day, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.records import Page
from services.audit.contract import (
    ACTIONS,
    ALERT_RULES,
    FINDINGS,
    OUTCOMES,
    QUEUE_STATES,
    SEARCH_DAYS,
    WORDS_LENGTH,
)
from services.directory.contract import PROFESSIONS
from services.dossier.contract import GROUNDS

_OUTCOMES = tuple(sorted(OUTCOMES))


# --- entries --------------------------------------------------------------------------------------------------------


class WholeEntry(Shape):
    """All that is known of an access or action."""

    entry_id = Id()
    at = Moment()
    received_at = Moment("When audit had it.")
    source = Text("The service that answered.")
    action = Text()
    outcome = Choice(_OUTCOMES)
    reason = Text("Code of the refusal.", allow_none=True)
    capacity = Text(allow_none=True)
    account_id = Id(allow_none=True)
    patient_id = Id("Of who acted as a patient.", allow_none=True)
    professional_id = Id(allow_none=True)
    name = Text("Of the person who acted; null for an agent and while the directory cannot be asked.", allow_none=True)
    profession = Text(allow_none=True)
    establishment_id = Id(allow_none=True)
    establishment_name = Text(allow_none=True)
    record_id = Id(allow_none=True)
    object_id = Id(allow_none=True)
    object_type = Text(allow_none=True)
    ground = Text(allow_none=True)
    rule = Text(allow_none=True)
    purpose = Text(allow_none=True)
    session_id = Id(allow_none=True)
    request_id = Text(allow_none=True)
    address = Text("Where the request came from.", allow_none=True)
    software = Text(allow_none=True)
    count = Number("How many objects the answer showed.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        "entry_id": ID,
        "at": TIME,
        "received_at": TIME,
        "source": "documents",
        "action": "document.opened",
        "outcome": "allowed",
        "reason": None,
        "capacity": "professional",
        "account_id": OTHER_ID,
        "patient_id": None,
        "professional_id": OTHER_ID,
        "name": "MÜLLER Anne",
        "profession": "physician",
        "establishment_id": OTHER_ID,
        "establishment_name": "Cabinet du Parc",
        "record_id": OTHER_ID,
        "object_id": ID,
        "object_type": "document",
        "ground": "circle",
        "rule": "circle",
        "purpose": None,
        "session_id": ID,
        "request_id": ID,
        "address": "192.0.2.7",
        "software": "praxis/4.2",
        "count": None,
    }


# `from` is no name that a class can give to a field.
EntryQuery = Page.from_dict(
    {
        "from": Day("The first day, in Luxembourg.", required=True),
        "to": Day("The last day; at most two years.", required=True),
        "professional_id": Id(),
        "patient_id": Id("Who acted as a patient."),
        "account_id": Id(),
        "establishment_id": Id("Where who acted was logged in."),
        "record_id": Id(),
        "action": Choice(tuple(sorted(ACTIONS))),
        "ground": Choice(GROUNDS),
        "outcome": Choice(_OUTCOMES),
    },
    name="EntryQuery",
)


class EntriesFound(Shape):
    entries = Listed(Part(WholeEntry), "Newest first.")
    next_cursor = Text(
        f"While it is not null there may be more, whatever the page holds: without a record a page looks through"
        f" {SEARCH_DAYS} days at most.",
        allow_none=True,
    )
    archived_years = Listed(
        Number(), "Years in the archive that were not looked through; a search within one record goes through them."
    )
    example: ClassVar = {"entries": [WholeEntry.example], "next_cursor": None, "archived_years": []}


# --- cases ----------------------------------------------------------------------------------------------------------


class CaseAsked(Shape):
    comment = Text("What there is to ask, in one's own words.", maximum=WORDS_LENGTH)
    example: ClassVar = {"comment": "Je ne connais pas ce cabinet."}


class Case(Shape):
    case_id = Id()
    version = Number("Its ETag.")
    record_id = Id()
    entry_id = Id("The entry that is not recognised.")
    state = Choice(QUEUE_STATES)
    opened_at = Moment()
    comment = Text(allow_none=True)
    verdict = Choice(FINDINGS, "How the access was found.", allow_none=True)
    answer = Text("Of the privacy officer.", allow_none=True)
    answered_at = Moment(allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        "case_id": OTHER_ID,
        "version": 3,
        "record_id": OTHER_ID,
        "entry_id": ID,
        "state": "settled",
        "opened_at": TIME,
        "comment": "Je ne connais pas ce cabinet.",
        "verdict": "justified",
        "answer": "Votre médecin y remplace un confrère.",
        "answered_at": TIME,
    }


class Cases(Shape):
    cases = Listed(Part(Case), "Newest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"cases": [Case.example], "next_cursor": None}


class QueueQuery(Page):
    state = Choice(QUEUE_STATES)


class WholeCase(Case):
    opened_by = Id("Account of who asks.")
    patient_id = Id("Who asks: the holder or a representative.", allow_none=True)
    patient_name = Text(allow_none=True)
    taken_by = Id("Account of the officer who has it in hand.", allow_none=True)
    taken_at = Moment(allow_none=True)
    answered_by = Id(allow_none=True)
    entry = Part(WholeEntry, "Null once its contents are destroyed.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        **Case.example,
        "opened_by": OTHER_ID,
        "patient_id": OTHER_ID,
        "patient_name": "DOE Jane",
        "taken_by": ID,
        "taken_at": TIME,
        "answered_by": ID,
        "entry": WholeEntry.example,
    }


class CaseQueue(Shape):
    cases = Listed(Part(WholeCase), "The one that waits longest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"cases": [WholeCase.example], "next_cursor": None}


class CaseAnswer(Shape):
    verdict = Choice(FINDINGS, required=True)
    answer = Text("What the holder side reads.", maximum=WORDS_LENGTH, required=True)
    example: ClassVar = {"verdict": "justified", "answer": "Votre médecin y remplace un confrère."}


# --- alerts ---------------------------------------------------------------------------------------------------------


class AlertQuery(QueueQuery):
    rule = Choice(ALERT_RULES)


class Alert(Shape):
    alert_id = Id()
    version = Number("Its ETag.")
    rule = Choice(ALERT_RULES)
    state = Choice(QUEUE_STATES)
    at = Moment("When the access was.")
    raised_at = Moment()
    number = Number("Of patients or failures within the hour, or of days since the care ended.", allow_none=True)
    record_id = Id(allow_none=True)
    professional_id = Id(allow_none=True)
    name = Text("The professional's name; null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    account_id = Id(allow_none=True)
    establishment_id = Id(allow_none=True)
    establishment_name = Text(allow_none=True)
    mandate_id = Id("Of an emergency access, by which `GET /agency/reviews` has its review.", allow_none=True)
    taken_by = Id("Account of the officer who has it in hand.", allow_none=True)
    taken_at = Moment(allow_none=True)
    verdict = Choice(FINDINGS, allow_none=True)
    note = Text("Why, in the officer's words.", allow_none=True)
    settled_by = Id(allow_none=True)
    settled_at = Moment(allow_none=True)
    entry = Part(WholeEntry, "Null once its contents are destroyed.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        "alert_id": ID,
        "version": 1,
        "rule": "same_surname",
        "state": "waiting",
        "at": TIME,
        "raised_at": TIME,
        "number": None,
        "record_id": OTHER_ID,
        "professional_id": OTHER_ID,
        "name": "MÜLLER Anne",
        "profession": "physician",
        "account_id": OTHER_ID,
        "establishment_id": OTHER_ID,
        "establishment_name": "Cabinet du Parc",
        "mandate_id": None,
        "taken_by": None,
        "taken_at": None,
        "verdict": None,
        "note": None,
        "settled_by": None,
        "settled_at": None,
        "entry": WholeEntry.example,
    }


class AlertQueue(Shape):
    alerts = Listed(Part(Alert), "The one that waits longest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"alerts": [Alert.example], "next_cursor": None}


class AlertSettled(Shape):
    verdict = Choice(FINDINGS, required=True)
    note = Text("Why; no names.", maximum=WORDS_LENGTH, required=True)
    example: ClassVar = {"verdict": "justified", "note": "Médecin de famille du même nom, sans lien."}


# `from` is no name that a class can give to a field.
AlertStatisticsQuery = Query.from_dict(
    {
        "from": Day("The first day, in Luxembourg.", required=True),
        "to": Day("The last day; at most two years.", required=True),
    },
    name="AlertStatisticsQuery",
)


class AlertsCounted(Shape):
    rule = Choice(ALERT_RULES)
    raised = Number()
    justified = Number()
    not_justified = Number()
    waiting = Number("Not settled yet.")


class AlertStatistics(Shape):
    rules = Listed(Part(AlertsCounted), "Every rule.")
    example: ClassVar = {
        "rules": [{"rule": "same_surname", "raised": 7, "justified": 5, "not_justified": 1, "waiting": 1}]
    }
