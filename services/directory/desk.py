"""What the parts of the service share: a refusal that leaves its trace, and the trace of something registered."""

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit
from services.db import now
from services.refusals import Refusal
from services.tokens import Caller


class Desk(Service):
    """What every part of directory brings along."""

    def _refused(
        self, session: Session, caller: Caller, action: str, refusal: Refusal, object_id: str | None = None
    ) -> Refusal:
        """Leaves the trace of a refusal and hands the refusal back, to be returned so that the trace is committed."""
        kind = action.partition(".")[0]
        emit(session, traced(
            caller, action, at=now(), object_id=object_id, object_type=kind, outcome="refused", reason=refusal.code,
        ))  # fmt: skip
        return refusal

    def _traced(
        self, session: Session, caller: Caller, action: str, object_id: str | None = None, *,
        object_type: str | None = None, count: int | None = None, purpose: str | None = None,
    ) -> None:  # fmt: skip
        """Leaves the trace of an answer; object_type: the first word of the action when none is given."""
        kind = object_type or action.partition(".")[0]
        emit(session, traced(
            caller, action, at=now(), object_id=object_id, object_type=kind, count=count, purpose=purpose,
        ))  # fmt: skip
