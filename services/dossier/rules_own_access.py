"""Access on a professional's own word, in an emergency or on their own responsibility: who may ask, and what it opens.

Whether somebody may ask is about them alone and may be told; whether it opens is about the record and is told by one
refusal for every reason there is.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from services.dossier.contract import (
    REASON_LENGTH,
    RESPONSIBILITY_CONDITIONS,
    RESPONSIBILITY_WORDINGS,
    AccessScope,
    Clause,
)
from services.dossier.rules import Facts, Grant, scope, with_grant
from services.dossier.rules_tables import Tables
from services.refusals import InvalidInput

COUNTED: Final[dict[str, tuple[str, ...]]] = {
    "emergency": ("refused",),
    "responsibility": ("refused", "opened"),
}
"""Which tries of a professional count against their next one, on whatever record: in an emergency, those that opened
nothing; on one's own responsibility each, as it is meant for few."""


def may_ask(tables: Tables, kind: str, profession: str | None, attached: bool) -> bool:
    """Whether somebody of this profession may ask for an access of this kind.

    attached: to the emergency service of the workplace chosen at log-in.
    """
    row = tables.own_accesses[kind]
    if profession is None or (row.professions and profession not in row.professions):
        return False
    if row.rw_on and tables.matrix.get((row.rw_on, profession)) != "rw":
        return False
    return attached or not row.attached


def opened_clause(tables: Tables, facts: Facts, kind: str, at: datetime) -> tuple[AccessScope, Clause] | None:
    """What an access of this kind would give from this moment on, or None: judged as every other ground is.

    So the state of the record, the licence, the blocklist, the matrix and the holder's setting decide it.
    """
    row = tables.mandate_kinds[kind]
    grant = Grant(kind, at, at + row.reads, at + row.deposits)
    given = scope(tables, with_grant(facts, grant), at)
    clause = next((each for each in given.clauses if each.ground == kind and each.read), None)
    return None if clause is None else (given, clause)


def require_reason(reason: object) -> str:
    """Why somebody asks, in their own words. Refuses: InvalidInput."""
    if not isinstance(reason, str) or not reason.strip():
        raise _invalid("/reason", "required")
    if len(reason) > REASON_LENGTH:
        raise _invalid("/reason", "too_long")
    return reason.strip()


def require_category(tables: Tables, category: object) -> str:
    """One of the categories of reasons for an emergency. Refuses: InvalidInput."""
    if not isinstance(category, str) or category not in tables.emergency_reasons:
        raise _invalid("/reason_category", "choice")
    return category


def require_conditions(accepted: object, version: object) -> str:
    """That each condition was accepted, in a wording we know; the version. Refuses: InvalidInput. [seed 003]"""
    if not isinstance(version, str) or version not in RESPONSIBILITY_WORDINGS:
        raise _invalid("/wording_version", "unknown")
    if not isinstance(accepted, Collection) or isinstance(accepted, str):
        raise _invalid("/conditions_accepted", "list")
    if any(condition not in accepted for condition in RESPONSIBILITY_CONDITIONS):
        raise _invalid("/conditions_accepted", "must_be_accepted")
    if any(condition not in RESPONSIBILITY_CONDITIONS for condition in accepted):
        raise _invalid("/conditions_accepted", "unknown")
    return version


def _invalid(pointer: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])
