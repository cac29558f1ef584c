"""`python -m services.audit.forward`: the process that sends the log to an external audit repository [ITI-20].

An option: without `syslog_host` it says so and ends. One works at a time; it needs audit's database and the repository.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings

PAUSE = 2.0  # seconds
AFTER_TROUBLE = 10.0

log = logging.getLogger(__name__)


def main() -> int:
    """Works until it is told to stop; the batch it is at, it finishes."""
    from services.audit.contract import NAME
    from services.audit.forwarding import Forwarder
    from services.audit.ports.syslog import Repository
    from services.db import Sessions
    from services.process import begin_log
    from services.settings import load

    begin_log()
    settings = load()
    if not settings.syslog_host:
        log.info("no repository is set: nothing is sent")
        return 0
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    name = f"{settings.syslog_host}:{settings.syslog_port}"
    forwarder = Forwarder(Sessions(settings.database_url, NAME), Repository.of(settings), name, settings.public_url)
    while not stopping.is_set():
        try:
            if not forwarder.work():
                stopping.wait(PAUSE)
        except Exception as broken:  # the repository away, or the database: whatever it was, it is tried again
            log.warning("forwarding waits", exc_info=broken, extra={"kind": type(broken).__name__})
            forwarder.close()
            stopping.wait(AFTER_TROUBLE)
    forwarder.close()
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a library's advice to its programmers is no line for an operator
    sys.exit(main())
