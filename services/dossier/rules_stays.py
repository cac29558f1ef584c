"""What is decided about stays and orders: who registers one, and until when it reads and lets deposit.

Pure, as rules.py. A stay (admission, hospital emergency) and an order are mandates of an establishment: they serve
those who work there, each by their own rights. Nothing that an establishment notes here ever gives more time than
mandate_kinds.csv has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.dossier.contract import ORDER_KIND, REFERENCE_LENGTH, RESULT_CONSENT_WORDINGS, STAY_KINDS
from services.dossier.rules import Facts, may_practise
from services.dossier.rules_tables import MandateKind, Tables
from services.refusals import InvalidInput

_REFERENCE = re.compile(rf"[A-Za-z0-9._/-]{{1,{REFERENCE_LENGTH}}}")


@dataclass(frozen=True)
class Times:
    """Until when a mandate reads and lets deposit, and by how many days it was prolonged in all."""

    read_until: datetime
    deposit_until: datetime
    prolonged_days: int = 0


# --- who ----------------------------------------------------------------------------------------------------


def speaks_for_establishment(capacity: str, establishment_id: str | None) -> bool:
    """Whether somebody acts for an establishment: a professional who is logged in there, or its software for one."""
    return capacity == "professional" and establishment_id is not None


def may_register(kind: str, *, by_software: bool, emergency_service: bool) -> bool:
    """Whether a mandate of this kind is registered this way at all; tells nothing of any record.

    Software does what the agency attested it for: its scope. A person registers stays only where the directory knows
    an emergency service, which none but a hospital has: a stay lets everybody there read.

    emergency_service: whether anybody is attached to one at the establishment.
    """
    return kind == ORDER_KIND or by_software or emergency_service


def opens_to_establishment(tables: Tables, facts: Facts) -> bool:
    """Whether a registration by this professional opens anything: record open to professionals, licence valid.

    A block is no reason: the mandate is the establishment's, and whoever is blocked gets nothing from it.
    """
    if facts.state is None or tables.states[facts.state].professionals != "everything":
        return False
    return may_practise(facts)


# --- what was asked -------------------------------------------------------------------------------------------


def require_reference(reference: object) -> str:
    """The establishment's own number of a stay or an order. Refuses: InvalidInput."""
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise _invalid("/reference", "reference")
    return reference


def require_stay_kind(kind: object) -> str:
    """A kind of stay. Refuses: InvalidInput."""
    found = next((known for known in STAY_KINDS if known == kind), None)
    if found is None:
        raise _invalid("/kind", "choice")
    return found


def require_days(days: object, kind: MandateKind) -> int:
    """By how many days a stay is prolonged in all. Refuses: InvalidInput beyond what the table has."""
    if type(days) is not int or not 1 <= days <= kind.prolonged_by.days:
        raise _invalid("/days", "range")
    return days


def require_consent(patient_consented: object, wording_version: object) -> str:
    """The wording in which the patient's consent was recorded. Refuses: InvalidInput."""
    if patient_consented is not True:
        raise _invalid("/patient_consented", "accepted")
    if not isinstance(wording_version, str) or wording_version not in RESULT_CONSENT_WORDINGS:
        raise _invalid("/wording_version", "unknown")
    return wording_version


def _invalid(pointer: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])


# --- until when -----------------------------------------------------------------------------------------------


def opened(kind: MandateKind, at: datetime) -> Times:
    """A mandate that begins now."""
    return Times(at + kind.reads, at + kind.deposits)


def may_grow(kind: MandateKind, stay: Times, closed: bool, at: datetime) -> bool:
    """Whether a stay can still be prolonged: a kind that can, the patient still there, the mandate not over."""
    return kind.prolonged_by > timedelta(0) and not closed and at < stay.deposit_until


def prolonged(kind: MandateKind, stay: Times, days: int) -> Times:
    """A stay prolonged by this many days in all; one that was prolonged by more stays as it is."""
    if days <= stay.prolonged_days:
        return stay
    read_until = stay.read_until + timedelta(days=days - stay.prolonged_days)
    return Times(read_until, max(stay.deposit_until, read_until + kind.after_closing), days)


def with_consent(kind: MandateKind, stay: Times) -> Times:
    """A stay whose result comes later, with the patient's consent: read as long, deposited longer, within a bound."""
    longest = stay.read_until + kind.after_closing + kind.consent_adds
    return Times(stay.read_until, max(stay.deposit_until, longest), stay.prolonged_days)


def discharged(kind: MandateKind, stay: Times, consented: bool, at: datetime) -> Times:
    """A stay that the patient left now: reading ends, and depositing some days later; never later than it would.

    consented: to a result that comes later; one that was validated before is waited for no more.
    """
    read_until = min(stay.read_until, at)
    awaiting = consented and stay.deposit_until > stay.read_until + kind.after_closing
    longest = read_until + kind.after_closing + (kind.consent_adds if awaiting else timedelta(0))
    return Times(read_until, min(stay.deposit_until, longest), stay.prolonged_days)


def validated(kind: MandateKind, mandate: Times, at: datetime) -> Times:
    """An order, or a stay that waited for a result, whose result was validated now: deposits for some days more."""
    longest = max(at, mandate.read_until) + kind.after_closing
    return Times(mandate.read_until, min(mandate.deposit_until, longest), mandate.prolonged_days)
