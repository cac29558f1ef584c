"""Are these two sheets one person's? The match rate of a search, and which pairs are looked at as duplicates.

The score is that of Fellegi and Sunter (A theory for record linkage, 1969). In each field the two sheets agree in some
degree; that degree is worth log2(m / u) bits, where m is how often two sheets of one person agree just so, and u how
often sheets of two people do. The bits of all fields are added; the rate is their sum on a scale from 0, every field
contradicts, to 100, identity. A field on which one of the two is silent adds nothing.

Pure: no I/O, no clock. Whoever searches by a matricule needs none of this: an exact one is 100 by itself [seed 000].
How names are read: `rules_names.py`. How candidates are found among a million: `rules_blocking.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import floor, log2
from typing import Final, NamedTuple

from rapidfuzz.distance import OSA

from services.directory.rules_names import Name, read_name, sound, variant_rows

MISSING: Final = "missing"
FIRST_NAMES_READ: Final = 5
UNKNOWN: Final = "00"


class Odds(NamedTuple):
    """How often a degree of agreement is seen: `m` on two sheets of one person, `u` on sheets of two people."""

    m: float
    u: float
    why: str


Table = Mapping[str, Mapping[str, Odds]]

TABLE: Final[Table] = {
    "birth_name": {
        "same": Odds(0.75, 0.001, "three duplicates in four leave the name alone; one pair of people in 1,000"),
        "alike": Odds(0.11, 0.00016, "heard alike, or written with other particles, spaces, order: Schmit, Schmidt"),
        "slip": Odds(0.085, 0.00025, "one letter wrong, lost, doubled or swapped: every eighth to twelfth duplicate"),
        "part": Odds(0.02, 0.00065, "one of two family names was left out: Pereira da Silva, Silva"),
        "shared": Odds(0.001, 0.00075, "one family name in common and one contradicted: kin rather than one person"),
        "other": Odds(0.034, 0.997, "married or adopted under another name; nearly all pairs of people"),
    },
    "usual_name": {
        "same": Odds(0.65, 0.0006, "beside the birth name, where both sheets have one: it stays, or"),
        "near": Odds(0.1, 0.0012, "it is misspelt or one half of it is left out, or"),
        "other": Odds(0.25, 0.998, "it changed with a marriage or a divorce: little is proved by that"),
    },
    "elsewhere": {
        "same": Odds(0.035, 0.00025, "birth names differ, but one's is the other's usual name, or both go by one"),
        "near": Odds(0.008, 0.0003, "the same with a misspelling, or with one half of a double name"),
    },
    "first_names": {
        "several_same": Odds(0.24, 0.00002, "two or more, all the same and in one order"),
        "reordered": Odds(0.015, 0.00001, "two or more, the same in another order"),
        "same": Odds(0.46, 0.0014, "the only one on both: the commonest are borne by one in fifty"),
        "slip": Odds(0.08, 0.0012, "as below, but one letter is wrong"),
        "part": Odds(0.07, 0.0042, "all of the one are among the other's: the further ones were left out"),
        "variant": Odds(0.1, 0.0075, "as above by sound or as another form of the name: Philippe, Filipe; Joseph, Jos"),
        "beginning": Odds(0.012, 0.0012, "an initial, the beginning of a name, or a slip in one of three letters"),
        "shared": Odds(0.0015, 0.0085, "one in common, one contradicted: brothers called Jean-Paul and Jean-Claude"),
        "other": Odds(0.02, 0.977, "the name people go by is on no paper; nearly all pairs of people"),
    },
    "birth_date": {
        "same": Odds(0.9, 0.000036, "one day in 28,000, births being spread unevenly over a hundred years"),
        "swapped": Odds(0.017, 0.000012, "day and month exchanged: possible on one date in three"),
        "month": Odds(0.004, 0.000004, "the day unknown to one, year and month the same: there, one in 1,000"),
        "year_known": Odds(0.006, 0.00007, "month and day unknown to one, the year the same: there, one in 85"),
        "slip": Odds(0.065, 0.00105, "one digit wrong or two neighbours exchanged: some thirty dates of 28,000"),
        "year": Odds(0.003, 0.0118, "the year alone: less among duplicates than among strangers"),
        "other": Odds(0.005, 0.987, "a wholly different date: one duplicate in 200; nearly all pairs of people"),
    },
    "sex": {
        "same": Odds(0.985, 0.5, "a coin among strangers"),
        "other": Odds(0.015, 0.5, "a slip at the desk, or changed; X agrees with X and contradicts nobody"),
    },
}  # fmt: skip
"""Where the numbers come from.

u: counted on random pairs of the invented population (`deploy/population`, seed 1, 100,000 people, 2,000,000 pairs),
whose names and births are spread as Luxembourg's, and rounded; `month` and `year_known` are computed, being too rare to
count; `several_same` is doubled, because names of one fashion come together.

m: what share of duplicates carries which error is assumed, because no register publishes it: the mix of
`deploy/population/errors.py`, rounded, kept above 0.1 % so that nothing is taken for impossible, and low enough for
`alike` and `slip` that agreeing less never counts for more.

In each field the levels stand from the strongest to the weakest; `elsewhere` stands in for the two family names where
it is worth more than they are.

Known limits: fields count as independent, so that twins (name and date agree, first names do not) reach three quarters
of the scale; and u is that of the average name, so that two bearers of a frequent one look surer than they are."""


class Thresholds(NamedTuple):
    """From which rate on a pair counts as what."""

    certain: int
    possible: int
    shown: int


THRESHOLDS: Final = Thresholds(certain=83, possible=78, shown=65)
"""For up to CALIBRATED_FOR people, chosen on seed 1.

certain: the same person, 99 times in 100 where one sheet in twenty is a second one. possible: the alert « possible
duplicate », for an agent to look at; above the three quarters of the scale that twins reach. shown: a line of a search
that `tells_enough`; whoever shares the birth date alone is below it, and so is a namesake by one first name with
another date: searching does not enumerate [issue 4]."""

CALIBRATED_FOR: Final = 20_000


@dataclass(frozen=True, slots=True)
class Identity:
    """What two sheets, or a search and a sheet, are compared by.

    birth_date: YYYY-MM-DD with 00 for an unknown month or day (`known_birth_date`), empty when none was given.
    sex: F, M, X, or empty. A search by one family name gives it as birth_name: it is compared crosswise too.
    """

    birth_name: str
    first_names: str
    birth_date: str = ""
    sex: str = ""
    usual_name: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An identity as comparing needs it: read once, compared often."""

    birth_name: Name
    usual_name: Name | None
    first_names: Name
    birth_date: str
    sex: str
    complete: bool


class Agreement(NamedTuple):
    """How two identities agree, field by field, in the words of the table; `missing` where there is nothing to say."""

    birth_name: str
    usual_name: str
    elsewhere: str
    first_names: str
    birth_date: str
    sex: str


class Scale:
    """A table made ready for adding up."""

    def __init__(self, table: Table) -> None:
        self.bits: Final = {
            field: {level: log2(odds.m / odds.u) for level, odds in levels.items()} | {MISSING: 0.0}
            for field, levels in table.items()
        }
        self.most: Final = sum(self.bits[field]["same"] for field in ("birth_name", "first_names", "birth_date", "sex"))
        self.least: Final = sum(min(levels.values()) for levels in self.bits.values())

    def sum_of(self, levels: Agreement) -> float:
        """Returns the bits for two identities being one person's, negative against it."""
        bits = self.bits
        family = bits["birth_name"][levels.birth_name] + bits["usual_name"][levels.usual_name]
        if levels.elsewhere != MISSING:
            family = max(family, bits["elsewhere"][levels.elsewhere])
        return (
            family
            + bits["first_names"][levels.first_names]
            + bits["birth_date"][levels.birth_date]
            + bits["sex"][levels.sex]
        )

    def rate_of(self, bits: float) -> int:
        """Returns the per cent of a sum; 99 from that of four fields the same on, because 100 is identity."""
        return max(0, min(99, floor(100 * (bits - self.least) / (self.most - self.least))))


SCALE: Final = Scale(TABLE)


# --- the rate ---------------------------------------------------------------------------------------------------------


def read(identity: Identity) -> Reading:
    """Returns an identity as comparing needs it; a usual name that is the birth name again is none."""
    birth_name, first_names = read_name(identity.birth_name), read_name(identity.first_names)
    usual_name = read_name(identity.usual_name) if identity.usual_name else None
    if usual_name is not None and usual_name.folded in ("", birth_name.folded):
        usual_name = None
    born = identity.birth_date.replace("-", "")
    known = len(born) == 8 and UNKNOWN not in (born[4:6], born[6:])
    complete = bool(known and birth_name.folded and first_names.folded and identity.sex)
    return Reading(birth_name, usual_name, first_names, born, identity.sex, complete)


def tells_enough(sought: Reading) -> bool:
    """Whether a search may be answered: a name, a first name and at least the year of birth [seed 000, issue 4].

    With less, THRESHOLDS.shown would let whole families and birthdays through: silence contradicts nobody.
    """
    return bool(sought.birth_name.folded and sought.first_names.folded and len(sought.birth_date) == 8)


def match_rate(one: Reading, other: Reading, scale: Scale = SCALE) -> int:
    """Returns how likely two identities are one person's, in per cent of the scale.

    100 is identity: every field given on both, and the same but for case, accents and hyphens.
    """
    if one.complete and one == other:
        return 100
    return scale.rate_of(scale.sum_of(agreement(one, other)))


def thresholds_for(people: int) -> Thresholds:
    """Returns the thresholds among so many people: what is certain rises, what is looked at or shown does not.

    Pairs of strangers grow with the square of a directory, duplicates with its size: each doubling asks for one more
    bit before a pair is as likely one person's. Frequent names with a mistyped date, and twins of like names, are then
    no longer certain, and nothing in these fields can make them so. Measured on 1,200,000 sheets, one in a hundred a
    duplicate: at 83 recall 0.98 and every ninetieth person has a stranger that near; at 93 recall 0.71, precision 0.97.
    """
    bits = log2(max(people, CALIBRATED_FOR) / CALIBRATED_FOR)
    rise = 100 * bits / (SCALE.most - SCALE.least)
    return THRESHOLDS._replace(certain=min(99, round(THRESHOLDS.certain + rise)))


def known_birth_date(birth_date: str, matricule: str) -> str:
    """Returns a sheet's birth date with 00 for what is unknown [domain, Matricule].

    A register that lacks the day writes the matricule with 00 and the sheet with the first of the month or year.
    """
    year, month, _ = birth_date.split("-")
    if birth_date == f"{year}-01-01" and matricule.startswith(f"{year}0000"):
        return f"{year}-00-00"
    if birth_date == f"{year}-{month}-01" and matricule.startswith(f"{year}{month}00"):
        return f"{year}-{month}-00"
    return birth_date


# --- degrees of agreement ---------------------------------------------------------------------------------------------


def agreement(one: Reading, other: Reading) -> Agreement:
    """Returns how two identities agree, field by field; the same whichever comes first."""
    birth_name = family_name_level(one.birth_name, other.birth_name)
    usual_name = elsewhere = MISSING
    if one.usual_name is not None and other.usual_name is not None:
        usual_name = _USUAL[family_name_level(one.usual_name, other.usual_name)]
    if birth_name != "same" and (one.usual_name is not None or other.usual_name is not None):
        elsewhere = _elsewhere(one, other)
    return Agreement(
        birth_name,
        usual_name,
        elsewhere,
        first_names_level(one.first_names, other.first_names),
        birth_date_level(one.birth_date, other.birth_date),
        sex_level(one.sex, other.sex),
    )


_USUAL: Final = {
    "same": "same", "alike": "same", "slip": "near", "part": "near", "shared": "other", "other": "other",
}  # fmt: skip
_CROSSWISE: Final = {"same": "same", "alike": "same", "slip": "near", "part": "near"}


def _elsewhere(one: Reading, other: Reading) -> str:
    found = {
        _CROSSWISE.get(family_name_level(mine, theirs))
        for mine, theirs in (
            (one.usual_name, other.usual_name),
            (one.birth_name, other.usual_name),
            (one.usual_name, other.birth_name),
        )
        if mine is not None and theirs is not None
    }
    return "same" if "same" in found else "near" if "near" in found else MISSING


def family_name_level(one: Name, other: Name) -> str:
    """Returns how two family names agree."""
    if not one.folded or not other.folded:
        return MISSING
    if one.folded == other.folded:
        return "same"
    if one.core_sound == other.core_sound or one.squashed == other.squashed or one.sorted_sounds == other.sorted_sounds:
        return "alike"
    if _one_slip(one.core, other.core):
        return "slip"
    common = one.heard & other.heard
    if not common:
        return "other"
    return "part" if common in (one.heard, other.heard) else "shared"


def first_names_level(one: Name, other: Name) -> str:
    """Returns how two rows of first names agree; their number and order matter less than that none contradicts."""
    if not one.folded or not other.folded:
        return MISSING
    several = len(one.words) > 1
    if one.words == other.words:
        return "several_same" if several else "same"
    if several and sorted(one.words) == sorted(other.words):
        return "reordered"
    if one.squashed == other.squashed:
        return "same"
    if one.core_sound == other.core_sound:
        return "variant"
    short, long = sorted((one.words[:FIRST_NAMES_READ], other.words[:FIRST_NAMES_READ]), key=len)
    grades = [[_first_name_grade(mine, theirs) for theirs in long] for mine in short]
    for grade, level in _GRADES:
        if _all_placed(grades, grade):
            return level
    return "shared" if any(grade >= _VARIANT for row in grades for grade in row) else "other"


_SAME, _VARIANT, _SLIP, _BEGINNING, _NOTHING = 4, 3, 2, 1, 0
_GRADES: Final = ((_SAME, "part"), (_VARIANT, "variant"), (_SLIP, "slip"), (_BEGINNING, "beginning"))


@lru_cache(maxsize=1 << 17)
def _first_name_grade(one: str, other: str) -> int:
    if one == other:
        return _SAME
    if sound(one) == sound(other) or variant_rows(one) & variant_rows(other):
        return _VARIANT
    if _one_slip(one, other):
        return _SLIP
    short, long = sorted((one, other), key=len)
    begun = len(short) != 2 and long.startswith(short)
    return _BEGINNING if begun or (len(short) > 1 and OSA.distance(one, other, score_cutoff=1) <= 1) else _NOTHING


def _all_placed(grades: list[list[int]], wanted: int, row: int = 0, taken: int = 0) -> bool:
    """Whether each name of the shorter row has one of its own in the longer, all agreeing at least so well."""
    if row == len(grades):
        return True
    return any(
        grade >= wanted and not taken >> place & 1 and _all_placed(grades, wanted, row + 1, taken | 1 << place)
        for place, grade in enumerate(grades[row])
    )


def _one_slip(one: str, other: str) -> bool:
    """One letter wrong, missing, too many, or exchanged with the next, in a name long enough for that to tell."""
    shorter, longer = sorted((len(one), len(other)))
    return shorter >= 3 and longer >= 4 and OSA.distance(one, other, score_cutoff=1) <= 1


def birth_date_level(one: str, other: str) -> str:
    """Returns how two dates of eight digits agree."""
    if len(one) != 8 or len(other) != 8:
        return MISSING
    if UNKNOWN in (one[4:6], one[6:], other[4:6], other[6:]):
        return _partly_known_level(one, other)
    if one == other:
        return "same"
    if one[:4] == other[:4] and one[4:6] == other[6:] and one[6:] == other[4:6]:
        return "swapped"
    if OSA.distance(one, other, score_cutoff=1) <= 1:
        return "slip"
    return "year" if one[:4] == other[:4] else "other"


def _partly_known_level(one: str, other: str) -> str:
    if one[:4] != other[:4]:
        return "other"
    if UNKNOWN in (one[4:6], other[4:6]):
        return "year_known"
    return "month" if one[4:6] == other[4:6] else "year"


def sex_level(one: str, other: str) -> str:
    """Returns how two sexes agree: X says that it is not known or neither, which contradicts nothing."""
    if not one or not other or (one != other and "X" in (one, other)):
        return MISSING
    return "same" if one == other else "other"
