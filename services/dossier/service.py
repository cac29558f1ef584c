"""Owns the records: their life, who holds a ground in them, and the answer to "what may this caller do in it?".

It never holds a document, a matricule or a name, but what a holder calls an assistant; and it asks no other service:
what it needs to know of professionals comes by event. Each answer to a person writes one trace in its own transaction;
`access_scope` writes none, the service that asks it does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from eventlet import tpool
from eventlet.semaphore import Semaphore
from nameko.timer import timer

from services.db import now
from services.dossier import contract
from services.dossier.assistants import Assistants
from services.dossier.autonomy import Autonomy
from services.dossier.blocklist import Blocklist
from services.dossier.circle import Circle
from services.dossier.correspondence import Corresponding
from services.dossier.depositing import Depositing
from services.dossier.dispensing import Dispensing
from services.dossier.emergency import Emergency
from services.dossier.finding import Finding
from services.dossier.hearing import Hearing
from services.dossier.holders import Holders
from services.dossier.keeping import Keeping
from services.dossier.life import Life
from services.dossier.mandates import Mandates
from services.dossier.merging import Merging
from services.dossier.openings import Openings
from services.dossier.orders import Orders
from services.dossier.patients_lists import PatientsLists
from services.dossier.people import People
from services.dossier.presence_codes import PresenceCodes
from services.dossier.professionals import Professionals
from services.dossier.readers import Readers
from services.dossier.record_facts import RecordFacts
from services.dossier.record_settings import RecordSettings
from services.dossier.records import Records
from services.dossier.referring import Referring
from services.dossier.referring_feed import ReferringFeed
from services.dossier.representatives import Representatives
from services.dossier.responsibility import Responsibility
from services.dossier.reviews import Reviews
from services.dossier.rights import Rights
from services.dossier.scheduling import Scheduling
from services.dossier.setup import Setup
from services.dossier.stays import Stays
from services.dossier.timeline import Timeline

SWEEP_EVERY = 3600  # seconds
SCHEDULE_EVERY = 5  # seconds
WARN_EVERY = 600  # seconds

# Argon2 lets go of the interpreter but not of its core: one core stays for everybody else.
_HASHING = Semaphore(max(1, (os.cpu_count() or 2) - 1))


class Dossier(
    Records,
    Life,
    Openings,
    Merging,
    Circle,
    Corresponding,
    Blocklist,
    Referring,
    ReferringFeed,
    Mandates,
    Stays,
    Orders,
    PresenceCodes,
    PatientsLists,
    Professionals,
    Readers,
    Depositing,
    Dispensing,
    Rights,
    Finding,
    RecordFacts,
    People,
    Hearing,
    Holders,
    Representatives,
    Assistants,
    Autonomy,
    Setup,
    RecordSettings,
    Keeping,
    Emergency,
    Responsibility,
    Reviews,
    Timeline,
    Scheduling,
):
    """Records, grounds, mandates and the access scope."""

    name = contract.NAME

    @timer(interval=SWEEP_EVERY)
    def sweep(self) -> None:
        """Forgets what counts against nobody any more."""
        self._forget_tries(now())
        self._forget_access_tries(now())

    @timer(interval=WARN_EVERY)
    def warn_of_ends(self) -> None:
        """Tells of mandates that they are going to end."""
        self._warn_of_ends(now())

    @timer(interval=SCHEDULE_EVERY)
    def do_what_is_due(self) -> None:
        """Takes the steps whose time has come, whichever replica finds them first."""
        while self._do_due(now()):
            pass

    @staticmethod
    def _hashed(work: Callable[..., Any], *args: Any) -> Any:
        """Runs a password hash in a thread, so that the event loop goes on; a bounded number at a time."""
        with _HASHING:
            return tpool.execute(work, *args)
