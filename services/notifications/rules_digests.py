"""What a digest says: how many of what, in which role, in the order of the table of occasions. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.notifications.rules_occasions import OCCASIONS, ROLES


class OneKind(NamedTuple):
    """So many messages of one occasion to a reader in one role."""

    occasion: str
    role: str | None
    number: int


class Line(NamedTuple):
    """One line of a digest: so many of what this setting switches, for a reader in this role."""

    setting: str
    role: str | None
    number: int


_SETTINGS = tuple(dict.fromkeys(occasion.setting for occasion in OCCASIONS.values()))
_ROLES = (None, *ROLES)


def lines_of(news: Iterable[OneKind]) -> list[Line]:
    """The lines of a digest: occasions that share a setting share one; what is one's own comes first."""
    numbers: dict[tuple[str, str | None], int] = {}
    for one in news:
        key = (OCCASIONS[one.occasion].setting, one.role)
        numbers[key] = numbers.get(key, 0) + one.number
    lines = [Line(setting, role, number) for (setting, role), number in numbers.items()]
    return sorted(lines, key=lambda line: (_ROLES.index(line.role), _SETTINGS.index(line.setting)))
