"""What falls due by itself: one scheduler for every step that time alone takes.

A deadline only announces: whether a grant or a state still holds is judged at the moment of each question. So a step
that comes late opens nothing, one that comes twice finds nothing to do, and moving the clock is moving an argument.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from services.bus import Service
from services.db import Savepoint
from services.dossier import (
    assistants,
    circle,
    life_steps,
    mandates,
    referring_steps,
    representatives,
    store_assistants,
    store_circle,
    store_deadlines,
    store_mandates,
    store_referring,
    store_representatives,
)
from services.dossier.store_deadlines import Due

PUT_OFF = timedelta(minutes=1)

Step = Callable[[Session, Due, datetime], None]

STEPS: Mapping[str, Step] = {
    "lapse": life_steps.lapse,
    "inactivity": life_steps.close_unused,
    "deletion": life_steps.delete_closed,
    store_mandates.END: mandates.end_by_time,
    store_circle.END: circle.come_to_end,
    store_referring.EFFECTIVE: referring_steps.take_effect,
    store_referring.ENDING: referring_steps.tell_ending,
    store_referring.END: referring_steps.come_to_end,
    store_representatives.OVER: representatives.representation_over,
    store_assistants.OVER: assistants.assistance_over,
    store_assistants.LAPSED: assistants.invitation_lapsed,
}
"""What is done when a deadline of a kind falls due, in the transaction that takes it; it judges anew whether to."""

log = logging.getLogger(__name__)


class Scheduling(Service):
    """The work of the scheduler's timer."""

    def _do_due(self, at: datetime) -> bool:
        """Takes the step that is due longest, in one transaction with its deadline; False when nothing is due.

        One that fails is put off and holds up no other. Of replicas that come at once each takes others.
        """
        with self.db.transaction() as session:
            due = store_deadlines.claim(session, at)
            if due is None:
                return False
            point = Savepoint(session)
            try:
                STEPS[due.kind](session, due, at)
                session.flush()
                point.keep()
            except Exception as failure:  # whatever it is, the others' time has come too
                point.undo()
                store_deadlines.put_off(session, due, at, PUT_OFF)
                log.warning("step put off", exc_info=failure, extra={"kind": due.kind})
        return True
