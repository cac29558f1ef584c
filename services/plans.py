"""Statements that a database plans once for each connection: PREPARE and EXECUTE, said by the statement's own text.

The driver writes values out in each statement, so each would be taken apart and planned anew. Measured over a log-in,
planning took the database more than twice as long as doing. The connections (db.py) have the database keep to that
plan: left to itself it would plan a question about lists anew each time, for it cannot tell how long they are. A plan
does not know its values: what picks an index over some rows (`where state = 'due'`) stands in the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from psycopg2.extensions import Binary

Said = TypeVar("Said", bound=Any)

_PLANNED_ONCE = "planned_once"
_PLANS = "plans"
_ASKED_FOR = "plans_asked_for"
_PARAMETER = re.compile(r"(?<!%)%\((\w+)\)s")
_CAN_BE_PLANNED = re.compile(r"(select|insert|update|delete|with)\b", re.IGNORECASE)
_KINDS: tuple[tuple[type, str], ...] = (
    (str, "unknown"), (bool, "boolean"), (int, "bigint"), (datetime, "timestamptz"), (date, "date"),
    (timedelta, "interval"), (UUID, "uuid"), (bytes, "bytea"), (memoryview, "bytea"), (Binary, "bytea"),
    (type(None), "unknown"),
)  # fmt: skip


def planned_once(statement: Said, **types: str) -> Said:
    """The statement, to be planned once for each connection and not each time it is said.

    For what is said all the time and finds its rows by a key: planning that takes the database longer than doing it.
    Its text has to stay the same, so lists go in as one parameter; and it names its columns: a migration may add some.
    Several statements, with `;` between them, are planned each by itself.
    types: of parameters, in SQL, where the statement does not say what they are.
    """
    said: Said = statement.execution_options(**{_PLANNED_ONCE: types})
    return said


def named(names: str) -> list[sa.ColumnClause[Any]]:
    """What the rows of a text consist of, by name and in this order, for its `columns`.

    SQLAlchemy takes the rows of a text that does not say so apart by what the driver tells of them, each time anew:
    measured, a fifth of a word's journey at two columns, two fifths at thirty.
    """
    return [sa.column(name) for name in names.split()]


def listen_for_plans(engine: sa.Engine) -> None:
    """Has statements that are to be planned once said so on this engine."""
    sa.event.listen(engine, "before_cursor_execute", _plan_once, retval=True)
    sa.event.listen(engine, "after_cursor_execute", _note_plans)


@dataclass(frozen=True)
class _Statement:
    """One statement as the driver has it, and the names in it. planned: whether there is a plan of such a one."""

    text: str
    names: tuple[str, ...]
    planned: bool


@lru_cache(maxsize=500)
def _taken_apart(text: str) -> tuple[_Statement, ...]:
    each = (one.strip() for one in text.split(";"))
    return tuple(
        _Statement(one, tuple(dict.fromkeys(_PARAMETER.findall(one))), _CAN_BE_PLANNED.match(one) is not None)
        for one in each if one
    )  # fmt: skip


def _plan_once(
    connection: sa.Connection, _cursor: Any, text: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Says a statement that is to be planned once by its name; the first time with its plan, in one word."""
    if many or context is None or _PLANNED_ONCE not in context.execution_options:
        return text, parameters
    types = context.execution_options[_PLANNED_ONCE]
    plans, said = connection.info.setdefault(_PLANS, {}), []
    first: dict[tuple[str, tuple[str, ...]], str] = {}
    for statement in _taken_apart(text):
        found = (types.get(name) or _kind_of(parameters[name]) for name in statement.names)
        kinds = tuple(kind for kind in found if kind is not None)
        if not statement.planned or len(kinds) < len(statement.names):
            said.append(statement.text)
            continue
        wanted = statement.text, kinds
        name = plans.get(wanted)
        if name is None:
            # A plan outlives the transaction that asked for it, even one that failed: no name is used again.
            name = first[wanted] = f"plan_{connection.info.setdefault(_ASKED_FOR, 0)}"
            connection.info[_ASKED_FOR] += 1
        said.append(f"execute {name} {_given(statement.names, types)}")
    context.first_planned = first
    return "; ".join([*(_prepare(name, *wanted) for wanted, name in first.items()), *said]), parameters


def _note_plans(
    connection: sa.Connection, _cursor: Any, _text: str, _parameters: Any, context: Any, _many: bool
) -> None:  # fmt: skip
    first = getattr(context, "first_planned", None)
    if first:
        connection.info[_PLANS] |= first


def _prepare(name: str, text: str, kinds: tuple[str, ...]) -> str:
    places: dict[str, str] = {}
    numbered = _PARAMETER.sub(lambda found: places.setdefault(found[1], f"${len(places) + 1}"), text)
    return f"prepare {name} {_listed(kinds)} as {numbered}"


def _given(names: tuple[str, ...], types: Mapping[str, str]) -> str:
    return _listed(tuple(f"cast(%({name})s as {types[name]})" if name in types else f"%({name})s" for name in names))


def _listed(words: tuple[str, ...]) -> str:
    return f"({', '.join(words)})" if words else ""


def _kind_of(value: Any) -> str | None:
    """What the database takes a value for where it is written out; None: it is said as it always was."""
    if isinstance(value, list):
        kinds = {_kind_of(one) for one in value if one is not None}
        if not kinds:
            return "unknown"
        kind = kinds.pop()
        return None if kind is None or kinds else f"{'text' if kind == 'unknown' else kind}[]"
    return next((kind for one, kind in _KINDS if isinstance(value, one)), None)
