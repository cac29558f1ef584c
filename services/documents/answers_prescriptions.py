"""How prescriptions, their lines and what was dispensed of them become answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from services.db import rfc3339
from services.documents import rules
from services.documents.contract_prescriptions import (
    CertifiedCopy,
    CopyVerified,
    Dispensation,
    Dispensed,
    DispensedLine,
    Prescription,
    PrescriptionLine,
    Prescriptions,
)
from services.documents.rules_prescriptions import plain, shown_state
from services.documents.store import Row


def line(told: dict[str, Any]) -> PrescriptionLine:
    """A line out of what the store tells of it, its decimals in their one spelling."""
    quantity, given = told["quantity"], Decimal(told["given"])
    return {
        "number": told["number"], "text": told["text"], "unit": told["unit"], "code": told["code"],
        "system": told["system"], "quantity": None if quantity is None else plain(Decimal(quantity)),
        "given": plain(given), "left": None if quantity is None else plain(Decimal(quantity) - given),
        "complete": told["complete"],
    }  # fmt: skip


def prescription(row: Row, today: date) -> Prescription:
    """A prescription as a list shows it."""
    return {
        "document_id": row.document_id, "version_id": row.version_id, "record_id": row.record_id, "type": row.type,
        "title": row.title, "act_date": _day(row.act_date), "author_id": row.author_id, "level": row.level,
        "deposited_at": rfc3339(row.deposited_at), "valid_until": _day(row.valid_until),
        "dispensation_state": shown_state(row.dispensation_state, row.valid_until, today),
        "lines": [line(each) for each in row.lines],
    }  # fmt: skip


def page(rows: Sequence[Row], limit: int, today: date) -> Prescriptions:
    """The rows of a page, of which there is one more when another page follows."""
    last = rows[limit - 1] if len(rows) > limit else None
    return {
        "prescriptions": [prescription(row, today) for row in rows[:limit]],
        "next_cursor": last and rules.to_cursor(rules.Position(last.deposited_at, last.document_id)),
    }


def dispensed_lines(told: list[dict[str, Any]]) -> list[DispensedLine]:
    """What one dispensation gave."""
    return [
        {
            "number": each["number"],
            "quantity": None if each["quantity"] is None else plain(Decimal(each["quantity"])),
        }
        for each in told
    ]


def dispensation(row: Row) -> Dispensation:
    """What was given at one time, as the readers of the prescription see it: never with the code of its copy."""
    return {
        "dispensation_id": row.dispensation_id, "at": rfc3339(row.at), "professional_id": row.professional_id,
        "establishment_id": row.establishment_id, "lines": dispensed_lines(row.lines),
        "cancelled_at": _moment(row.cancelled_at),
    }  # fmt: skip


def dispensed(
    dispensation_id: str, document_id: str, at: datetime, state: str, lines: list[dict[str, Any]],
    cancelled_at: datetime | None = None,
) -> Dispensed:  # fmt: skip
    """What is left of a prescription once something was given, or taken back."""
    return {
        "dispensation_id": dispensation_id, "document_id": document_id, "at": rfc3339(at),
        "dispensation_state": state, "lines": [line(each) for each in lines], "cancelled_at": _moment(cancelled_at),
    }  # fmt: skip


def copy(given: Row, row: Row, patient_id: str | None, today: date) -> CertifiedCopy:
    """What stands on the certified copy: what was given, and what is left now."""
    return {
        "dispensation_id": given.dispensation_id, "document_id": row.document_id, "patient_id": patient_id,
        "title": row.title, "act_date": _day(row.act_date), "author_id": row.author_id,
        "professional_id": given.professional_id, "establishment_id": given.establishment_id,
        "at": rfc3339(given.at), "valid_until": _day(row.valid_until), "verification_code": given.verification_code,
        "dispensation_state": shown_state(row.dispensation_state, row.valid_until, today),
        "dispensed": dispensed_lines(given.lines), "lines": [line(each) for each in row.lines],
    }  # fmt: skip


def verified(row: Row, today: date) -> CopyVerified:
    """What who holds a paper is told of it: no person, no document."""
    return {
        "at": rfc3339(row.at), "cancelled": row.cancelled_at is not None, "valid_until": _day(row.valid_until),
        "dispensation_state": shown_state(row.state, row.valid_until, today),
        "dispensed": dispensed_lines(row.lines), "lines": [line(each) for each in row.left],
    }  # fmt: skip


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
