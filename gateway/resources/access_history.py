"""The histories of a record: who came, what each person did day by day, and what was changed; in plain words too."""

from typing import Any

from apiflask import APIBlueprint
from flask import g

from gateway import trace_words
from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import histories as shapes

access_history = APIBlueprint("access_history", __name__, url_prefix="/records/<uuid:record_id>")

PEOPLE = {"professional": "professional_id", "patient": "patient_id", "establishment": "establishment_id"}
_REFUSES = ("record_not_found", "record_closed")


@operation(
    access_history, "GET", "/access-history", summary="Read the access history", answer=shapes.AccessHistory,
    query=shapes.HistoryQuery, paged=True, refuses=_REFUSES,
)  # fmt: skip
def read_access_history(record_id: str, query: dict[str, Any]) -> Any:
    """Every access and action, refusals included, newest first: all of them for the holder; for the referring physician
    all but those on documents hidden from them; for other professionals their own."""
    return _in_words(ask("audit", "access_history", record_id=record_id, **query))


@operation(
    access_history, "GET", "/activity", summary="Read the activity history", answer=shapes.AccessHistory,
    query=shapes.ActivityQuery, paged=True, refuses=_REFUSES,
)  # fmt: skip
def read_activity_history(record_id: str, query: dict[str, Any]) -> Any:
    """What changed the record's documents, who may see them, and its settings; for whom the access history is."""
    return _in_words(ask("audit", "activity_history", record_id=record_id, **query))


@operation(
    access_history, "GET", "/chronology", summary="Read the chronology of accesses", answer=shapes.Chronology,
    query=shapes.ChronologyQuery, paged=True, refuses=_REFUSES,
)  # fmt: skip
def read_chronology(record_id: str, query: dict[str, Any]) -> Any:
    """A line for each person and each day on which they did something with the record; for whom the access history
    is."""
    answer = ask("audit", "chronology", record_id=record_id, **query)
    lines = named(answer["lines"], **PEOPLE)
    return {**answer, "lines": [trace_words.line_in_words(line, g.context.locale) for line in lines]}


def _in_words(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "entries": trace_words.in_words(named(answer["entries"], **PEOPLE), g.context.locale)}
