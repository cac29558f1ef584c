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

from datetime import date
from functools import lru_cache
from itertools import product

from services.directory.rules_matching import UNKNOWN, Reading, known_birth_date
from services.directory.rules_names import Name, read_name, sound, variant_rows, words_of


def blocking_keys(sheet: Reading) -> frozenset[str]:
    """Returns the keys to store with a sheet."""
    return frozenset(_keys_of(sheet, by_name_alone=True))


def stored_keys(
    birth_name: str, usual_name: str | None, first_names: str, birth_date: date, sex: str, matricule: str | None
) -> list[str]:
    """Returns what the column `keys` of a sheet holds: its blocking keys in order, made anew with every change of it.

    matricule: the current one, which tells whether day or month of birth are unknown; None for who has none.
    """
    born = known_birth_date(birth_date.isoformat(), matricule or "")
    families = _families(read_name(birth_name)) | _families(read_name(usual_name) if usual_name else None)
    return sorted(set(_keys(born.replace("-", ""), families, words_of(first_names), by_name_alone=True)))


def search_keys(sought: Reading) -> frozenset[str]:
    """Returns the keys to ask for: all of them, but names alone only where the birth date is not wholly known.

    Two people of one name who agree in no part of the date are not the same often enough to read hundreds of them.
    """
    return frozenset(_keys_of(sought, by_name_alone=not _known(sought.birth_date)))


def _keys_of(identity: Reading, by_name_alone: bool) -> list[str]:
    families = _families(identity.birth_name) | _families(identity.usual_name)
    return _keys(identity.birth_date, families, identity.first_names.words, by_name_alone)


def _keys(born: str, families: frozenset[str], words: tuple[str, ...], by_name_alone: bool) -> list[str]:
    year, month, day = born[:4], born[4:6], born[6:]
    first_names = _first_names(words)
    starts = [f"{start} {first}" for start, first in product({family[:1] for family in families}, first_names)]
    keys = []
    if _known(born):
        keys.append(f"d{year}{min(month, day)}{max(month, day)}")
        keys += [f"m{month}{day}{family}" for family in families]
        keys += [f"q{month}{day}{start}" for start in starts]
    if len(born) == 8:
        keys += [f"y{year}{family}" for family in families]
        keys += [f"p{year}{start}" for start in starts]
    if by_name_alone:
        keys += [f"n{family} {first}" for family, first in product(families, first_names)]
    return keys


def _known(born: str) -> bool:
    return len(born) == 8 and UNKNOWN not in (born[4:6], born[6:])


def _families(name: Name | None) -> frozenset[str]:
    return name.heard | {name.core_sound} if name is not None and name.folded else frozenset()


@lru_cache(maxsize=1 << 14)
def _first_names(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(heard for word in words for heard in _first_name(word))


def _first_name(word: str) -> list[str]:
    return [f"#{row}" for row in variant_rows(word)] or [sound(word)]
