"""The privacy officer's desk: what holders ask about accesses, what the rules found, and a search among all entries.

Emergency and responsibility accesses have a queue of their own, `/agency/reviews`.
"""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import oversight as shapes

oversight = APIBlueprint("oversight", __name__, url_prefix="/agency")

CASE = "/cases/<uuid:case_id>"
ALERT = "/alerts/<uuid:alert_id>"
_WHO = {"professional": "professional_id", "establishment": "establishment_id"}
_STEP = ("in_other_hands", "not_in_hand", "already_settled")


# --- entries --------------------------------------------------------------------------------------------------------


@operation(
    oversight, "GET", "/entries", summary="Search among all entries", answer=shapes.EntriesFound,
    query=shapes.EntryQuery, paged=True, refuses=("not_allowed",),
)  # fmt: skip
def search_entries(query: dict[str, Any]) -> Any:
    """Accesses and actions on all records, by who, where, when, what and on what ground. For privacy officers."""
    period = {"since": query.pop("from"), "until": query.pop("to")}
    answer = ask("audit", "search_entries", **period, **query)
    return {**answer, "entries": _entries(answer["entries"])}


# --- cases ----------------------------------------------------------------------------------------------------------


@operation(
    oversight, "GET", "/cases", summary="List all cases", answer=shapes.CaseQueue, query=shapes.QueueQuery, paged=True,
    refuses=("not_allowed",),
)  # fmt: skip
def list_all_cases(query: dict[str, Any]) -> Any:
    """Accesses that holders do not recognise, the one that waits longest first. For privacy officers."""
    answer = ask("audit", "case_queue", **query)
    return {**answer, "cases": _cases(answer["cases"])}


@operation(
    oversight, "GET", CASE, summary="Read a case as an officer", answer=shapes.WholeCase, tagged=True,
    refuses=("not_allowed", "case_not_found"),
)  # fmt: skip
def read_whole_case(case_id: str) -> Any:
    """What was asked, with the whole entry."""
    return _cases([ask("audit", "read_case_of_queue", case_id=case_id)])[0]


@operation(
    oversight, "POST", f"{CASE}/taking", summary="Take a case", answer=shapes.WholeCase, once=True, conditional=True,
    tagged=True, refuses=("not_allowed", "case_not_found", "in_other_hands", "already_settled"),
)  # fmt: skip
def take_case(case_id: str, version: int | None) -> Any:
    """In hand of this officer from now on; of two at once one takes it. Nobody answers for an access of their own."""
    return _cases([ask("audit", "take_case", case_id=case_id, version=version)])[0]


@operation(
    oversight, "DELETE", f"{CASE}/taking", summary="Give a case back", answer=shapes.WholeCase, once=True,
    conditional=True, tagged=True, refuses=("not_allowed", "case_not_found", "not_in_hand", "already_settled"),
)  # fmt: skip
def release_case(case_id: str, version: int | None) -> Any:
    """One's own, or that of an officer who is away: it waits again."""
    return _cases([ask("audit", "release_case", case_id=case_id, version=version)])[0]


@operation(
    oversight, "POST", f"{CASE}/answer", summary="Answer a case", answer=shapes.WholeCase, body=shapes.CaseAnswer,
    once=True, conditional=True, tagged=True, refuses=("not_allowed", "case_not_found", *_STEP),
)  # fmt: skip
def answer_case(case_id: str, version: int | None, body: dict[str, Any]) -> Any:
    """By the officer who took it, for good; the holder side is told that there is an answer."""
    return _cases([ask("audit", "answer_case", case_id=case_id, version=version, **body)])[0]


# --- alerts ---------------------------------------------------------------------------------------------------------


@operation(
    oversight, "GET", "/alerts", summary="List alerts", answer=shapes.AlertQueue, query=shapes.AlertQuery, paged=True,
    refuses=("not_allowed",),
)  # fmt: skip
def list_alerts(query: dict[str, Any]) -> Any:
    """Accesses that a rule found worth a look, the one that waits longest first. For privacy officers."""
    answer = ask("audit", "alerts", **query)
    return {**answer, "alerts": _alerts(answer["alerts"])}


@operation(
    oversight, "GET", "/alerts/statistics", summary="Count alerts", answer=shapes.AlertStatistics,
    query=shapes.AlertStatisticsQuery, refuses=("not_allowed",),
)  # fmt: skip
def count_alerts(query: dict[str, Any]) -> Any:
    """How many alerts each rule raised about the accesses of these days, and how they were found."""
    return ask("audit", "alert_statistics", since=query["from"], until=query["to"])


@operation(
    oversight, "GET", ALERT, summary="Read an alert", answer=shapes.Alert, tagged=True,
    refuses=("not_allowed", "alert_not_found"),
)  # fmt: skip
def read_alert(alert_id: str) -> Any:
    """Which rule, about whom, with the whole entry that raised it."""
    return _alerts([ask("audit", "read_alert", alert_id=alert_id)])[0]


@operation(
    oversight, "POST", f"{ALERT}/taking", summary="Take an alert", answer=shapes.Alert, once=True, conditional=True,
    tagged=True, refuses=("not_allowed", "alert_not_found", "in_other_hands", "already_settled"),
)  # fmt: skip
def take_alert(alert_id: str, version: int | None) -> Any:
    """In hand of this officer from now on; nobody judges an access of their own."""
    return _alerts([ask("audit", "take_alert", alert_id=alert_id, version=version)])[0]


@operation(
    oversight, "DELETE", f"{ALERT}/taking", summary="Give an alert back", answer=shapes.Alert, once=True,
    conditional=True, tagged=True, refuses=("not_allowed", "alert_not_found", "not_in_hand", "already_settled"),
)  # fmt: skip
def release_alert(alert_id: str, version: int | None) -> Any:
    """One's own, or that of an officer who is away: it waits again."""
    return _alerts([ask("audit", "release_alert", alert_id=alert_id, version=version)])[0]


@operation(
    oversight, "POST", f"{ALERT}/verdict", summary="Settle an alert", answer=shapes.Alert, body=shapes.AlertSettled,
    once=True, conditional=True, tagged=True, refuses=("not_allowed", "alert_not_found", *_STEP),
)  # fmt: skip
def settle_alert(alert_id: str, version: int | None, body: dict[str, Any]) -> Any:
    """By the officer who took it, for good."""
    return _alerts([ask("audit", "settle_alert", alert_id=alert_id, version=version, **body)])[0]


# --- names ----------------------------------------------------------------------------------------------------------


def _entries(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return named(entries, patient="patient_id", **_WHO)


def _cases(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return named(_with_entries(cases), patient="patient_id", name="patient_name", profession=None)


def _alerts(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return named(_with_entries(alerts), **_WHO)


def _with_entries(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items with names in their entries, where they have one still."""
    shown = iter(_entries([item["entry"] for item in items if item["entry"] is not None]))
    return [{**item, "entry": next(shown) if item["entry"] is not None else None} for item in items]
