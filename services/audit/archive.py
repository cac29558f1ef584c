"""`python -m services.audit.archive YEAR`: puts the traces of a year that is over into the object store.

By an operator, or a job of the first days of a year. They stay what they were: whoever reads a history that reaches so
far has them back for two days; the log and its proofs do not change. The same year again takes what came late.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Archives a year; 1 when it cannot go yet, with the reason."""
    from services.audit.archiving import NotYet, archive_year, at_hand
    from services.audit.contract import NAME
    from services.db import Sessions, now
    from services.settings import load

    parser = argparse.ArgumentParser(prog="python -m services.audit.archive", description=__doc__)
    parser.add_argument("year", type=int)
    asked = parser.parse_args(arguments)
    try:
        count = archive_year(Sessions(load().database_url, NAME), at_hand(), asked.year, now())
    except NotYet as reason:
        sys.stderr.write(f"not archived: {reason.code}\n")
        return 1
    sys.stdout.write(f"{count} entries of {asked.year} went into the object store\n")
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a library's advice to its programmers is no line for an operator
    sys.exit(main())
