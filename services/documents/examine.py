"""`python -m services.documents.examine`: the process that looks closely at what was deposited; run as many as needed.

It needs the database, the object store, the master keys and, in production, clamd; nothing else. It is woken by the
database and looks once a second besides. It works beside the rest at a low priority, so that uploads come first.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from datetime import timedelta

NICE = 10
POLL = 1.0  # seconds
SWEEP_EVERY = 600.0
TELL_EVERY = 60.0
AFTER_TROUBLE = 1.0

log = logging.getLogger(__name__)


def main() -> int:
    """Works until it is told to stop; what it is at, it finishes."""
    from services.db import Sessions, now
    from services.documents.contract import NAME
    from services.documents.examiner import Examiner
    from services.documents.ports.blobs import Blobs
    from services.documents.ports.keys import Keys
    from services.documents.ports.sandbox import Sandbox
    from services.documents.scrubber import Scrubber
    from services.documents.store_examining import Bell
    from services.process import Stopping, begin_log, keep_memory, settle_in
    from services.settings import load
    from services.virus_scan import VirusScan

    keep_memory()
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    begin_log()
    settings = load()
    try:
        virus_scan = VirusScan.of(settings)
    except ValueError:
        log.critical("clamd_host or clamd_socket has to be set in the profile production")
        return 1
    if virus_scan is None:
        log.warning("no virus scan")
    sessions, sandbox, stopping = Sessions(settings.database_url, NAME), Sandbox(), Stopping()
    examiner = Examiner(sessions, Blobs.of(settings), Keys.of(settings), sandbox, virus_scan)
    scrubber = Scrubber(
        sessions, Blobs.of(settings), Keys.of(settings),
        rate=settings.scrub_bytes_a_second, days=settings.scrub_days,
    )  # fmt: skip
    # at full speed until all is loaded: whoever starts late has others waiting
    sandbox.prepare(NICE)
    os.nice(NICE)
    quarantine = timedelta(days=settings.quarantine_days)
    swept = told = time.monotonic()
    bell: Bell | None = None
    settle_in()
    while not stopping.asked:
        try:
            bell = bell or Bell(sessions)
            if time.monotonic() - swept > SWEEP_EVERY:
                swept = time.monotonic()
                examiner.sweep(quarantine)
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                examiner.tell_queue()
            if not examiner.work():
                bell.wait(min(POLL, scrubber.step(now())))
        except Exception as broken:  # the database's own errors among them: whatever it was, it is tried again
            log.warning("examiner waits", exc_info=broken, extra={"kind": type(broken).__name__})
            bell = None
            time.sleep(AFTER_TROUBLE)
    sandbox.close()
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a library's advice to its programmers is no line for an operator
    sys.exit(main())
