"""Whether two people write their surname alike. Pure: no I/O, no clock."""

from collections.abc import Iterable
from typing import Final

from services.directory.contract import NAMES_LIMIT
from services.directory.rules import as_id
from services.directory.rules_names import PARTICLES, read_name
from services.refusals import InvalidInput

SHORTEST_WORD: Final = 3
"""Letters from which on a word of a double name says something by itself."""


def share_surname(one: Iterable[str], other: Iterable[str]) -> bool:
    """True when one of these surnames is one of those, or a word of one a word of the other.

    Case, accents, punctuation and particles say nothing: "da Silva" is "Silva", and "Müller-Weber" shares with both.
    """
    return not _surnames(one).isdisjoint(_surnames(other))


def _surnames(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in map(read_name, names):
        found.add(name.core)
        found.update(word for word in name.words if len(word) >= SHORTEST_WORD and word not in PARTICLES)
    return found - {""}


def require_pairs(pairs: object) -> list[tuple[str, str]]:
    """Returns the pairs worth comparing, each once; what has no id in it is simply nobody's.

    Refuses: InvalidInput when it is no list of pairs, or longer than one bulk call may be.
    """
    if not isinstance(pairs, list | tuple) or not all(map(_is_pair, pairs)):
        raise InvalidInput(errors=[{"pointer": "/pairs", "message": "type"}])
    if len(pairs) > NAMES_LIMIT:
        raise InvalidInput(errors=[{"pointer": "/pairs", "message": "too_many"}])
    known = {(as_id(who), as_id(whom)) for who, whom in pairs}
    return sorted((who, whom) for who, whom in known if who is not None and whom is not None)


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2
