"""Words to a database: what opens a transaction or a part of it is said in one word with the statement that follows.

Each word is a journey of its own, and a green process waits for each. So a transaction's first word carries its begin
and the look at the caller's session; a savepoint goes with the word behind it. What is said in one word is one
transaction by itself, so what only reads, and what is one word altogether, has neither begin nor commit. The driver is
in autocommit; what is still to be said stands in the `info` of a connection. What nothing in a transaction waits for is
said in one word with its commit; until then it stands in the `info` of the session.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.plans import planned_once

BEGIN = "begin"
UNSAID = "unsaid"
ONLY_READS = "only_reads"
ONE_WORD = "one_word"
_CHANGES = re.compile(r"\b(insert|update|delete|share|nextval|set_config|pg_notify|\w*advisory\w*)\b", re.IGNORECASE)


def listen_for_words(engine: sa.Engine) -> None:
    """Has what is unsaid on a connection of this engine said with its next statement, and what was announced kept."""
    _put_savepoints_off(engine.dialect)
    # Before plans.py gives a statement a name that does not say what it does.
    sa.event.listen(engine, "before_cursor_execute", _require_what_was_announced, insert=True)
    sa.event.listen(engine, "before_cursor_execute", _say_first, retval=True)


@lru_cache(maxsize=500)
def _changes(statement: str) -> bool:
    return _CHANGES.search(statement) is not None


def _require_what_was_announced(
    connection: sa.Connection, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool
) -> None:
    """Has nothing written where only reading was announced, and nothing said after the only word there was to be: each
    would stand at once, whatever follows."""
    if ONLY_READS in connection.info and _changes(statement):
        raise TypeError("this was to read only")
    if connection.info.get(ONE_WORD) == "said":
        raise TypeError("this was to be one word")
    if ONE_WORD in connection.info:
        connection.info[ONE_WORD] = "said"


def _say_first(
    connection: sa.Connection, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
) -> tuple[str, Any]:
    """Puts what opens a transaction, or a part of one, before the first statement of it, in one word with it."""
    first = "; ".join(connection.info.pop(UNSAID, ()))
    if not first:
        return statement, parameters
    if many:  # one word for each of its rows
        cursor.execute(first)
        return statement, parameters
    return f"{first}; {statement}", parameters


def _put_savepoints_off(dialect: sa.Dialect) -> None:
    """Has savepoints made, kept and returned to with the next word; one in which nothing was said is never made."""

    def make(connection: sa.Connection, name: str) -> None:
        connection.info.setdefault(UNSAID, []).append(f"savepoint {name}")

    def keep(connection: sa.Connection, name: str) -> None:
        if not _take_back(connection, name):
            connection.info.setdefault(UNSAID, []).append(f"release savepoint {name}")

    def undo(connection: sa.Connection, name: str) -> None:
        if not _take_back(connection, name):
            connection.info.setdefault(UNSAID, []).append(f"rollback to savepoint {name}")

    for method, instead in (("savepoint", make), ("release_savepoint", keep), ("rollback_to_savepoint", undo)):
        setattr(dialect, f"do_{method}", instead)


def _take_back(connection: sa.Connection, name: str) -> bool:
    """Leaves out a savepoint that was not made yet, and what was to be said after it; False where it was made."""
    unsaid = connection.info.get(UNSAID, [])
    made = f"savepoint {name}"
    if made not in unsaid:
        return False
    del unsaid[unsaid.index(made) :]
    return True


# --- what is said last ------------------------------------------------------------------------------------------------

# What a transaction says last goes in one word with its commit: what it emitted, and writes that nothing waits for.
_COMMIT = "commit"
_EMIT = (
    "insert into outbox (event_id, type, envelope, bundled) select told.* from unnest(cast(:ids as uuid[]),"
    " cast(:types as text[]), cast(:envelopes as text[]), cast(:bundled as boolean[])) as told; commit"
)
_EMIT_PROMPTLY = "select pg_notify('outbox', ''); " + _EMIT
EMITTED = "emitted"
LAST_WORDS = "last_words"


class Rows(list[dict[str, Any]]):
    """Rows for a statement in one parameter, as JSON: however many there are, its text stays the same."""


def add_to_outbox(session: Session, event_id: str, kind: str, envelope: str, *, prompt: bool, bundled: bool) -> None:
    """Has an event written with the commit of this transaction, and only with it."""
    session.info[EMITTED].append((event_id, kind, envelope, prompt, bundled))


def say_last(session: Session, statement: str, **values: Any) -> None:
    """Has a write said in one word with the commit of this transaction: one that nothing in it waits for.

    What it locks, it locks for the shortest time there is. No other such statement, and not what emits, has parameters
    of the same names. The same one a second time is said once, where all its values are `Rows`: with those of both;
    else it has what was to be said last till then said now.
    """
    before = session.info[LAST_WORDS].get(statement)
    if before is not None and not (values and all(isinstance(value, Rows) for value in values.values())):
        say_now(session)
        before = None
    session.info[LAST_WORDS][statement] = {
        name: value if before is None else Rows([*before[name], *value]) for name, value in values.items()
    }


def say_now(session: Session) -> None:
    """Says at once, in one word, what was to be said last: for whoever has to know whether it could be said."""
    said, session.info[LAST_WORDS] = session.info[LAST_WORDS], {}
    if said:
        session.execute(_worded(tuple(said)), _values_of(said))


def _values_of(said: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        name: json.dumps(value) if isinstance(value, Rows) else value
        for each in said.values() for name, value in each.items()
    }  # fmt: skip


def commit(session: Session) -> None:
    """Ends the transaction, in one word with what was to be said last and what it emitted."""
    emitted, said = session.info[EMITTED], session.info[LAST_WORDS]
    values = _values_of(said)
    if emitted:
        ids, kinds, envelopes, prompt, bundled = (list(column) for column in zip(*emitted, strict=True))
        values |= {"ids": ids, "types": kinds, "envelopes": envelopes, "bundled": bundled}
    last = (_EMIT_PROMPTLY if any(prompt) else _EMIT) if emitted else _COMMIT
    session.execute(_worded((*said, last)), values)


@lru_cache(maxsize=64)
def _worded(statements: tuple[str, ...]) -> sa.TextClause:
    return planned_once(sa.text("; ".join(statements)))
