"""The SQL that the page of a record needs, by itself: the services' own statements, sent again by psycopg2.

Runs the two methods behind the page once, in this process and without the bus, and notes every statement that reaches
the driver; then sends exactly these, in the same transactions, as often as a line on stdin says, and tells the median
in milliseconds. So the baseline follows the services by itself.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import psycopg2
import sqlalchemy as sa

from deploy.bench.ground import context
from services.db import Sessions
from services.directory.service import Directory
from services.dossier.service import Dossier
from services.settings import load
from services.tokens import Caller, Verifier

Statement = tuple[str, Any]
Transaction = list[Statement]


def plans_apart(statement: str) -> tuple[list[str], str]:
    """What a statement has planned, which a connection does once as in the service, and what it says each time."""
    parts = statement.split("; ")
    plans = [part for part in parts if part.startswith("prepare ")]
    return plans, "; ".join(part for part in parts if part not in plans)


class Noted:
    """A database whose statements are noted, transaction by transaction."""

    def __init__(self, url: str) -> None:
        self.sessions = Sessions(url)
        self.transactions: list[Transaction] = []
        self.connection = psycopg2.connect(url.replace("+psycopg2", ""))
        sa.event.listen(self.sessions.engine, "begin", self._begun)
        sa.event.listen(self.sessions.engine, "before_cursor_execute", self._executed)

    def _begun(self, _connection: Any) -> None:
        self.transactions.append([])

    def _executed(self, _c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        plans, said = plans_apart(statement)
        with self.connection.cursor() as cursor:
            for plan in plans:
                cursor.execute(plan)
        self.transactions[-1].append((said, parameters))

    def again(self) -> None:
        """Everything noted, once more."""
        for transaction in self.transactions:
            with self.connection.cursor() as cursor:
                for statement, parameters in transaction:
                    cursor.execute(statement, parameters)
                    if cursor.description is not None:
                        cursor.fetchall()
            self.connection.commit()


def main() -> None:
    """One line of JSON with what the page is; then one number per line, one median per line."""
    told = json.loads(sys.stdin.readline())
    keys = {key["kid"]: key for key in told["keys"]}
    caller = Verifier(keys.get).caller(context(told["token"]))
    databases = _noted(caller, told["record_id"], load().database_url, told["directory"])
    for line in sys.stdin:
        seen = []
        for _ in range(int(line)):
            began = time.perf_counter()
            for database in databases:
                database.again()
            seen.append(time.perf_counter() - began)
        sys.stdout.write(json.dumps(statistics.median(seen) * 1000) + "\n")
        sys.stdout.flush()


def _noted(caller: Caller, record_id: str, dossier_url: str, directory_url: str) -> tuple[Noted, Noted]:
    """What gateway/resources/records.py asks for the page: the record, then the name to show."""
    dossier, directory = Dossier(), Directory()
    databases = (Noted(dossier_url), Noted(directory_url))
    # nameko gives each worker what these attributes name; without a container that is done here
    vars(dossier)["db"], vars(directory)["db"] = databases[0].sessions, databases[1].sessions
    page = dossier.read_record(caller, record_id=record_id)
    directory.names(caller, patient_ids=[page["patient_id"]], professional_ids=[], establishment_ids=[])
    return databases


if __name__ == "__main__":
    main()
