"""The steps that invitations, activation and log-in share; each entrypoint stands in the file of its noun."""

from functools import cache, cached_property
from typing import Any, cast

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit
from services.db import now
from services.directory.contract import PersonNotFound
from services.identity import rules_throttles as throttles
from services.identity.ports.codes import IdentityKey
from services.identity.ports.hashing import Hashing
from services.refusals import Refusal
from services.settings import load
from services.tokens import Caller, Context

Throttle = list[tuple[bytes, throttles.Limit]]


@cache
def _identity_key() -> IdentityKey:
    return IdentityKey.of_setting(load().identity_key)


class Desk(Service):
    """What the service class brings for all of them: database, directory, hashing, identity's own key."""

    directory: Any
    hashing: Hashing

    @cached_property
    def key(self) -> IdentityKey:
        """identity's own key, from the settings."""
        return _identity_key()

    def _throttle(self, purpose: str, log_in_name: bytes, context: Context) -> Throttle:
        """By person and address, then by address: see rules_throttles.py why never by person alone."""
        address = context.address or ""
        return [(self.key.throttle_key(purpose, log_in_name.hex(), address), throttles.PER_SUBJECT),
                (self.key.throttle_key(purpose, address), throttles.PER_ADDRESS)]  # fmt: skip

    def _refused(self, session: Session, who: Caller | Context, action: str, refusal: Refusal, **facts: Any) -> Refusal:
        """Leaves the refusal's trace in the transaction and hands the refusal on, to be returned."""
        emit(session, traced(who, action, at=now(), outcome="refused", reason=refusal.code, **facts))
        return refusal

    def _professional(self, context: Context, professional_id: str) -> dict[str, Any] | None:
        """What the directory knows of a professional; None when it knows nobody by this id."""
        try:
            facts = self.directory.capacity_facts(
                context.without_token(), patient_id=None, professional_id=professional_id
            )
        except PersonNotFound:
            return None
        return cast(dict[str, Any], facts) if facts["profession"] else None


def person_facts(kind: str, subject_id: str) -> dict[str, Any]:
    """The id of a patient or professional as traces name it; agents are known by their account."""
    return {f"{kind}_id": subject_id} if kind in ("patient", "professional") else {}
