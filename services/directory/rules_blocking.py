"""The keys by which the sheets that may be one person's are found among a million, without reading the million.

Each sheet is stored with its `blocking_keys`, some ten short texts; a store keeps them beside it in an array column
under a GIN index, and asks for `keys && ARRAY[...]` with the `search_keys` of what is sought. Both come from here, so
they cannot differ in what they ignore. Pure; a change here means that stored keys are made again.

d  the birth date, day and month in either order: finds across any mistake in names and sex
y  year and a family name as heard: across any mistake in month, day and first names
m  month, day and a family name: across a mistake in the year
p  year, the first sound of a family name, a first name: across a slip in the family name and one in month or day
q  month, day and the same: across a slip in the family name and one in the year
n  a family name and a first name: any date, for a search that has none or not all of it

Every part of a double name counts as one family name, and usual names as birth names do: crosswise entries meet. First
names are each taken by their rows of variants, or by their sound.
"""

from collections.abc import Iterator
from itertools import product

from services.directory.rules_matching import UNKNOWN, Reading
from services.directory.rules_names import Name, sound, variant_rows


def blocking_keys(sheet: Reading) -> frozenset[str]:
    """Returns the keys to store with a sheet."""
    return frozenset(_keys(sheet, by_name_alone=True))


def search_keys(sought: Reading) -> frozenset[str]:
    """Returns the keys to ask for: all of them, but names alone only where the birth date is not wholly known.

    Two people of one name who agree in no part of the date are not the same often enough to read hundreds of them.
    """
    return frozenset(_keys(sought, by_name_alone=not _known(sought.birth_date)))


def _keys(identity: Reading, by_name_alone: bool) -> Iterator[str]:
    born = identity.birth_date
    year, month, day = born[:4], born[4:6], born[6:]
    families = _families(identity.birth_name) | _families(identity.usual_name)
    first_names = {heard for name in identity.first_names.words for heard in _first_name(name)}
    starts = {family[:1] for family in families}
    if _known(born):
        yield f"d{year}{min(month, day)}{max(month, day)}"
        yield from (f"m{month}{day}{family}" for family in families)
        yield from (f"q{month}{day}{start} {first}" for start, first in product(starts, first_names))
    if len(born) == 8:
        yield from (f"y{year}{family}" for family in families)
        yield from (f"p{year}{start} {first}" for start, first in product(starts, first_names))
    if by_name_alone:
        yield from (f"n{family} {first}" for family, first in product(families, first_names))


def _known(born: str) -> bool:
    return len(born) == 8 and UNKNOWN not in (born[4:6], born[6:])


def _families(name: Name | None) -> frozenset[str]:
    return name.heard | {name.core_sound} if name is not None and name.folded else frozenset()


def _first_name(word: str) -> list[str]:
    return [f"#{row}" for row in variant_rows(word)] or [sound(word)]
