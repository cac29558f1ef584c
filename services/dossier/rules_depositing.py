"""What an institution may deposit as itself: pure."""

from __future__ import annotations

from typing import Protocol

from services.dossier.contract import AccessScope, Clause
from services.dossier.rules_tables import Tables

INSTITUTION = Clause(
    ground="institution", rule="institution/health_fund", read=(), deposit=(), folders=None, levels=(),
    deposit_types=("health_fund_document",),
)  # fmt: skip
"""The health fund's document, deposited by the fund's software alone; it reads nothing [domain, Mandates]."""


class RecordRow(Protocol):
    """What is asked of a record."""

    @property
    def patient_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def default_levels(self) -> dict[str, str] | None: ...


def institution_scope(tables: Tables, record_id: str, record: RecordRow | None) -> AccessScope:
    """The scope of the institution in a record: nothing in one that shows nothing to professionals, or is none."""
    if record is None or tables.states[record.state].professionals != "everything":
        return AccessScope(record_id, None, None, False, False, None, ())
    return AccessScope(
        record_id, record.patient_id, record.state, False, False, None, (INSTITUTION,),
        default_levels=record.default_levels or {},
    )  # fmt: skip
