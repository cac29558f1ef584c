"""`python -m services.audit.notarise`: the process that seals what is traced, and signs for it. One works at a time.

It runs as a system user of its own: nobody else may read its settings, which hold its key, or write into its folder of
witness. It needs audit's database, and nothing else. What waits is sealed twice a second, and a question rings.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings

NICE = 5
POLL = 0.4  # seconds
TELL_EVERY = 60.0
AFTER_TROUBLE = 1.0
AFTER_DISAGREEMENT = 5.0

log = logging.getLogger(__name__)


def main() -> int:
    """Works until it is told to stop; what it is at, it finishes."""
    from services.process import Stopping, begin_log, settle_in

    stopping = Stopping()
    from services.audit.contract import NAME
    from services.audit.notary import Disagreement, Notary
    from services.audit.ports.signing import SigningKey
    from services.audit.ports.witness import Witness
    from services.db import Sessions
    from services.settings import load

    begin_log()
    settings = load()
    if not settings.notary_key or not settings.witness_folder:
        log.critical("notary_key and witness_folder have to be set")
        return 1
    os.nice(NICE)  # whoever leaves a trace goes before what seals it
    sessions = Sessions(settings.database_url, NAME)
    notary = Notary(sessions, Witness(settings.witness_folder), SigningKey.of(settings.notary_key))
    settle_in()
    told = time.monotonic()
    while not stopping.asked:
        try:
            if not notary.work():
                notary.patrol()
                notary.wait(POLL)
            if not notary.at_work:
                time.sleep(AFTER_TROUBLE)  # another one works
            elif time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                notary.tell()
        except Disagreement as found:
            log.critical("nothing is signed: the database is not what was signed", extra={"code": found.code})
            time.sleep(AFTER_DISAGREEMENT)
        except Exception as broken:  # the database's own errors among them: whatever it was, it is tried again
            log.warning("notary waits", exc_info=broken, extra={"kind": type(broken).__name__})
            time.sleep(AFTER_TROUBLE)
    notary.close()
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a library's advice to its programmers is no line for an operator
    sys.exit(main())
