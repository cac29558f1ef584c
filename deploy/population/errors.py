"""The mistakes by which one person gets two sheets: how a second desk writes what a first one knew.

Each kind takes a sheet and gives it back changed, or None where there is nothing to mistake. The mix below is an
assumption of this project (reports on patient indexes name the same kinds: misspelt and changed names, swapped and
mistyped dates, missing parts, wrong sex); what is measured on it is therefore told per kind as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate
from random import Random
from typing import Final

from deploy.population.names import LUXEMBOURGISH


def _pairs(text: str, between: str) -> list[tuple[str, str]]:
    return [(pair.split(between)[0], pair.split(between)[1]) for pair in text.split()]


NEIGHBOURS: Final = dict(
    _pairs(
        "a:qsz b:vgn c:xvd d:sfe e:wrd f:dgr g:fht h:gjz i:uok j:hku k:jli l:kop m:nj n:bm o:ipl p:ol q:wa r:etf s:adw"
        " t:rzg u:zij v:cbf w:qes x:ycs y:xas z:tuh",
        ":",
    )
)
"""The keys beside each key of a Swiss-French or German keyboard: where a finger slips to."""

SPELLINGS: Final = _pairs(
    "sch>ch dt>t tt>t ff>f ll>l mm>m nn>n rr>r ss>s ck>k ph>f th>t ue>u oe>o ae>a ei>ey ey>ei y>i k>c c>k lh>l nh>n"
    " es>ez tz>z ai>ei w>v z>tz ie>i l>ll t>tt n>nn",
    ">",
)
"""The same name by another language's habits."""

PET_FORMS: Final = {
    "Jean": "Jang Johny Jhang João", "Joseph": "Jos Josy Jupp", "Pierre": "Pit Pier Peter",
    "Nicolas": "Nic Nico Néckel",
    "François": "Franz Frang Frenz", "Michel": "Misch Michael", "Guillaume": "Willy Wëllem", "Henri": "Harry Heng",
    "Mathias": "Mett Metty Mathieu", "Antoine": "Toni Tun", "Charles": "Charel Charly", "Georges": "Jorge Georg",
    "Catherine": "Ketty Cathy Catarina", "Marguerite": "Gréta Margot Margarida",
    "Elisabeth": "Lis Liz Elise",
    "Marie": "Maria Mariette Mary", "Maria": "Marie Mia", "Anne": "Anna Anny Annette", "Suzanne": "Suzy Suzette Susana",
    "Thérèse": "Resi Teresa", "Madeleine": "Lena Mady", "Hélène": "Leny Lena Helena", "José": "Joseph Zé Pepe",
    "João": "Jean Jang", "Manuel": "Manu", "António": "Toni Antoine", "Francisco": "Chico François", "Philippe": "Phil",
    "Alexandre": "Alex Sacha", "Christophe": "Chris", "Patrick": "Pat", "Daniel": "Dan Dany", "Thomas": "Tom",
    "Nathalie": "Nath", "Jacqueline": "Jacky", "Christiane": "Chris", "Caroline": "Caro", "Alessandro": "Sandro Alex",
    "Giuseppe": "Joseph Pepe", "Giovanni": "Jean Gianni", "Josée": "Josy Josette",
    "Louis": "Lou Luis", "Gabriel": "Gaby",
}  # fmt: skip
"""What people answer when asked for their name, beside what their papers say; not all of it is in any table of ours."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a desk writes down about who somebody is."""

    birth_name: str
    usual_name: str | None
    first_names: str
    sex: str
    birth_date: str


Mistake = Callable[[Random, Sheet], Sheet | None]


# --- letters ----------------------------------------------------------------------------------------------------------


def typo(random: Random, text: str) -> str:
    """One slip of a finger: another key, a letter lost, doubled, or swapped with the next; never the first letter of a
    word, which people see."""
    places = [place for place in range(1, len(text)) if text[place].isalpha() and text[place - 1].isalpha()]
    if not places:
        return text
    place = random.choice(places)
    letter = text[place]
    kind = random.random()
    if kind < 0.4 and letter.lower() in NEIGHBOURS:
        return text[:place] + random.choice(NEIGHBOURS[letter.lower()]) + text[place + 1 :]
    if kind < 0.65:
        return text[:place] + text[place + 1 :]
    if kind < 0.8 or place + 1 not in places:
        return text[:place] + letter + text[place:]
    return text[:place] + text[place + 1] + letter + text[place + 2 :]


def plain(text: str) -> str:
    """The letters of a keyboard without accents."""
    marked = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ł", "l"))
    return "".join(letter for letter in marked if not unicodedata.combining(letter))


def umlauts_spelt_out(text: str) -> str:
    """Müller as a telegram writes it."""
    pairs = {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"}
    return "".join(pairs.get(letter, letter) for letter in text)


def _in_family(change: Callable[[Random, str], str]) -> Mistake:
    def mistake(random: Random, sheet: Sheet) -> Sheet | None:
        changed = change(random, sheet.birth_name)
        return replace(sheet, birth_name=changed) if changed != sheet.birth_name else None

    return mistake


def _in_first_names(change: Callable[[Random, str], str]) -> Mistake:
    def mistake(random: Random, sheet: Sheet) -> Sheet | None:
        changed = change(random, sheet.first_names)
        return replace(sheet, first_names=changed) if changed != sheet.first_names else None

    return mistake


def _respelt(random: Random, text: str) -> str:
    lower = text.lower()
    found = [(old, new) for old, new in SPELLINGS if old in lower[1:]]
    if not found:
        return text
    old, new = random.choice(found)
    return text[0] + text[1:].replace(old, new, 1)


def _without_accents(random: Random, sheet: Sheet) -> Sheet | None:
    write = umlauts_spelt_out if random.random() < 0.4 else plain
    usual = write(sheet.usual_name) if sheet.usual_name else None
    changed = replace(sheet, birth_name=write(sheet.birth_name), first_names=write(sheet.first_names), usual_name=usual)
    return changed if changed != sheet else None


# --- parts of names ---------------------------------------------------------------------------------------------------


def _hyphen(random: Random, sheet: Sheet) -> Sheet | None:
    """Jean-Pierre, Jean Pierre, Jeanpierre; the same with double family names."""
    fields = [name for name in ("birth_name", "first_names") if "-" in getattr(sheet, name)]
    if not fields:
        return None
    field = random.choice(fields)
    before, after = getattr(sheet, field).split("-", 1)
    joined = f"{before} {after}" if random.random() < 0.7 else before + after.lower()
    return replace(sheet, **{field: joined})


def _particle(random: Random, text: str) -> str:
    match = re.search(r"\b(d[aeo]s?|d[ei]l?l?a?|van(?: den| der)?|von)\s|\bd'", text, re.IGNORECASE)
    if not match:
        return text
    kept = "" if random.random() < 0.6 else match.group(0).strip()
    rest = text[match.end() :]
    return text[: match.start()] + (kept + rest.lower() if kept else rest)


def _one_part(random: Random, text: str) -> str:
    parts = [part for part in re.split(r"[- ]", text) if len(part) > 3]
    return random.choice(parts) if len(parts) > 1 else text


def _married(random: Random, sheet: Sheet) -> Sheet | None:
    """A woman's husband's name stands where her own should, is missing, or is joined to it."""
    if sheet.sex != "F" or sheet.birth_date > "2003":
        return None
    if sheet.usual_name is None:
        return replace(sheet, usual_name=LUXEMBOURGISH.one(random))
    way = random.random()
    if way < 0.4:
        return replace(sheet, birth_name=sheet.usual_name, usual_name=None)
    if way < 0.7:
        return replace(sheet, usual_name=None)
    return replace(sheet, birth_name=sheet.usual_name, usual_name=sheet.birth_name)


def _name_replaced(random: Random, sheet: Sheet) -> Sheet | None:
    """A name that nothing on the first sheet foretells, as after an adoption or a marriage abroad."""
    return replace(sheet, birth_name=LUXEMBOURGISH.one(random), usual_name=None)


def _fewer_first_names(random: Random, text: str) -> str:
    given = text.split()
    if len(given) < 2:
        return text
    return given[0] if random.random() < 0.8 else given[1]


def _reordered(random: Random, text: str) -> str:
    given = text.split()
    return " ".join([*given[1:], given[0]])


def _initials(random: Random, text: str) -> str:
    given = text.split()
    if len(given) > 1 and random.random() < 0.7:
        return " ".join([given[0], *(f"{name[0]}." for name in given[1:])])
    return f"{given[0][0]}."


def _pet_form(random: Random, text: str) -> str:
    first, *more = text.split()
    return " ".join([random.choice(PET_FORMS[first].split()), *more]) if first in PET_FORMS else text


# --- dates and sex ----------------------------------------------------------------------------------------------------


def _date(year: str, month: str, day: str) -> str | None:
    try:
        born = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return born.isoformat() if date(1925, 1, 1) <= born <= date(2026, 10, 31) else None


def _dated(sheet: Sheet, born: str | None) -> Sheet | None:
    return replace(sheet, birth_date=born) if born and born != sheet.birth_date else None


def _swapped(random: Random, sheet: Sheet) -> Sheet | None:
    year, month, day = sheet.birth_date.split("-")
    return _dated(sheet, _date(year, day, month))


def _one_digit(random: Random, sheet: Sheet) -> Sheet | None:
    digits = list(sheet.birth_date.replace("-", ""))
    place = random.choice((2, 3, 4, 5, 6, 7))
    digits[place] = str((int(digits[place]) + random.choice((1, 1, 2, 3, 7, 9, 9))) % 10)
    return _dated(sheet, _date("".join(digits[:4]), "".join(digits[4:6]), "".join(digits[6:])))


def _digits_transposed(random: Random, sheet: Sheet) -> Sheet | None:
    digits = sheet.birth_date.replace("-", "")
    place = random.choice((2, 4, 6))  # 1967 as 1976, within a pair as they are heard
    digits = digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    return _dated(sheet, _date(digits[:4], digits[4:6], digits[6:]))


def _date_unknown(random: Random, sheet: Sheet) -> Sheet | None:
    return sheet  # the day goes missing where the matricule is made


def _wrong_sex(random: Random, sheet: Sheet) -> Sheet | None:
    return replace(sheet, sex="M" if sheet.sex == "F" else "F")


KINDS: Final[dict[str, tuple[float, Mistake]]] = {
    "typo_family": (13, _in_family(typo)),
    "typo_first": (11, _in_first_names(typo)),
    "accents": (20, _without_accents),
    "spelling_family": (10, _in_family(_respelt)),
    "spelling_first": (5, _in_first_names(_respelt)),
    "hyphen": (20, _hyphen),
    "particle": (20, _in_family(_particle)),
    "one_part": (15, _in_family(_one_part)),
    "married": (10, _married),
    "name_replaced": (0.5, _name_replaced),
    "fewer_first_names": (10, _in_first_names(_fewer_first_names)),
    "reordered": (5, _in_first_names(_reordered)),
    "initials": (1.5, _in_first_names(_initials)),
    "pet_form": (12, _in_first_names(_pet_form)),
    "date_swapped": (4, _swapped),
    "date_digit": (5, _one_digit),
    "date_transposed": (4, _digits_transposed),
    "date_unknown": (1, _date_unknown),
    "sex": (1, _wrong_sex),
}
NO_ERROR: Final = 0.1
TWO_ERRORS: Final = 0.05
_WEIGHTS = list(accumulate(weight for weight, _ in KINDS.values()))


def mistaken(random: Random, sheet: Sheet) -> tuple[Sheet, tuple[str, ...]]:
    """The sheet with no error, one or two, and the kinds of those."""
    chance = random.random()
    wanted = 0 if chance < NO_ERROR else 2 if chance > 1 - TWO_ERRORS else 1
    made: list[str] = []
    while len(made) < wanted:
        kind = random.choices(list(KINDS), cum_weights=_WEIGHTS)[0]
        changed = KINDS[kind][1](random, sheet) if kind not in made else None
        if changed is not None:
            sheet = changed
            made.append(kind)
    return sheet, tuple(made)
