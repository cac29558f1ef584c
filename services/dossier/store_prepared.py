"""A statement that each connection plans once: for those of every decision, which take longer to plan than to run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session


class Prepared:
    """A statement with named parameters, each with its type in SQL, prepared where it is first asked."""

    def __init__(self, name: str, statement: str, **types: str) -> None:
        for number, parameter in enumerate(types, 1):
            statement = re.sub(rf":{parameter}\b", f"${number}", statement)
        self._name = name
        self._prepare = sa.text(f"prepare {name} ({', '.join(types.values())}) as {statement}")
        self._execute = sa.text(f"execute {name} ({', '.join(f':{parameter}' for parameter in types)})")

    def rows(self, session: Session, asked: Mapping[str, Any]) -> Sequence[Any]:
        """What it answers to these values."""
        kept = session.connection().info  # as long as the connection itself
        if not kept.get(self._name):
            session.execute(self._prepare)
            kept[self._name] = True
        return session.execute(self._execute, asked).all()
