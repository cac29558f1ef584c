"""What directory decides without looking anything up: who may, matricules, search words, names to show.

Pure: no I/O, no clock. Messages of faults are codes; they never repeat what was typed. Sheets: `rules_sheets.py`.
"""

import re
import unicodedata
import uuid
from collections.abc import Iterable
from datetime import date
from typing import Final

from services.directory.contract import LICENCES, NAMES_LIMIT, Address
from services.refusals import InvalidInput

LONGEST_TEXT: Final = 120
SHORTEST_QUERY: Final = 3
MOST_FOUND: Final = 50

PROFESSION_WORDS: Final[dict[str, str]] = {
    "physician": "médecin docteur physician doctor Arzt Ärztin Dokter médico médica",
    "pharmacist": "pharmacien pharmacienne pharmacist Apotheker Apothekerin Apdikter farmacêutico farmacêutica",
    "nurse": "infirmier infirmière nurse Krankenpfleger Krankenschwester Infirmier enfermeiro enfermeira",
    "allied_health": "profession de santé kinésithérapeute allied health physiotherapist Therapeut fisioterapeuta",
    "midwife": "sage-femme maïeuticien midwife Hebamme Hiewan parteira",
    "laboratory_technician": "assistant technique de laboratoire laboratory technician Laborant técnico de laboratório",
    "radiology_technologist": "assistant technique de radiologie radiology technologist técnico de radiologia",
    "care_assistant": "aide-soignant aide-soignante care assistant Pflegehelfer Hëllefspfleeger auxiliar de cuidados",
    "social_worker": "assistant social assistante sociale social worker Sozialarbeiter assistente social",
    "medical_biologist": "biologiste médical medical biologist Biologe Biolog biólogo",
}
"""What people type when they mean a profession, in the five languages of the portal."""

ESTABLISHMENT_WORDS: Final[dict[str, str]] = {
    "practice": "cabinet practice Praxis consultório",
    "hospital": "hôpital clinique hospital Krankenhaus Klinik Spidol",
    "laboratory": "laboratoire laboratory Labor laboratório",
    "pharmacy": "pharmacie pharmacy Apotheke Apdikt farmácia",
    "care_network": "réseau de soins aide et soins care network Pflegenetz Fleegenetz rede de cuidados",
    "health_fund": "caisse de santé CNS health fund Krankenkasse Gesondheetskeess caixa de saúde",
}
"""What people type when they mean a kind of establishment."""

_UNFOLDED = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_END_OF_EUROPE: Final = 0x2070
"""The scripts before: Latin with all its marks, Greek, Cyrillic; and the signs of punctuation."""
_SEPARATORS = re.compile(r"[\s.\-/]+")
_SPELT_WITH_E = re.compile(r"(?<=[aou])e+")

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""What a digit counts for in Luhn's sum where it is doubled."""


def _turns(place: int) -> tuple[tuple[int, ...], ...]:
    """Verhoeff's step at a place: a digit is exchanged so many times, then multiplied in the dihedral group of ten."""
    exchanged = list(range(10))
    for _ in range(place % 8):
        exchanged = [(1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit] for digit in exchanged]

    def multiplied(one: int, other: int) -> int:
        turned = one + other if one < 5 else one - other
        return turned % 5 + (5 if (one < 5) != (other < 5) else 0)

    return tuple(tuple(multiplied(before, digit) for digit in exchanged) for before in range(10))


_TURNED: Final = tuple(_turns(place) for place in range(1, 12))

Fault = dict[str, str]


# --- who may ----------------------------------------------------------------------------------------------------------


def may_register(capacity: str) -> bool:
    """True when this capacity registers people and establishments: the agency's agents only [domain, Agence]."""
    return capacity == "agent"


def may_read_sheets(capacity: str) -> bool:
    """True when this capacity reads whole identity sheets: an agent any, a patient their own [seed 002]."""
    return capacity in ("agent", "patient")


def may_search_patients(capacity: str, licence: str | None) -> bool:
    """True when this capacity looks patients up: an agent, or a professional whose licence is valid [domain, step 2].

    licence: the directory's own word on the calling professional, None when it knows no such person.
    """
    return capacity == "agent" or (capacity == "professional" and licence == "valid")


def licences_to_search_with(capacity: str) -> list[str]:
    """The licences with which this capacity looks patients up, an empty one of who has none."""
    return [licence or "" for licence in (None, *LICENCES) if may_search_patients(capacity, licence)]


# --- matricule --------------------------------------------------------------------------------------------------------


def normalise_matricule(text: object) -> str:
    """Returns the matricule as 13 digits, its usual separators removed; checks nothing but the kind of value."""
    return _SEPARATORS.sub("", text) if isinstance(text, str) else ""


def is_beginning(digits: str) -> bool:
    """Whether these are the eleven digits before the check digits: enough to look somebody up [domain, Matricule]."""
    return re.fullmatch(r"[0-9]{11}", digits) is not None


def matricule_fault(matricule: str) -> str | None:
    """Returns the code of what is wrong with a normalised matricule, None when it is one.

    `digits` other characters, `length` not 13, `date` no such month or day (00 stands for unknown), `checksum`
    either of the last two digits: Luhn and Verhoeff, both over the first 11 [domain, Matricule].
    """
    if not (matricule.isascii() and matricule.isdigit()):
        return "digits" if matricule else "required"
    if len(matricule) != 13:
        return "length"
    if not _possible_date(int(matricule[:4]), int(matricule[4:6]), int(matricule[6:8])):
        return "date"
    return None if matricule[11:] == check_digits(matricule[:11]) else "checksum"


def check_digits(first_eleven: str) -> str:
    """Returns the Luhn and the Verhoeff digit, both over the same 11 digits.

    By tables, because a load asks a million times; what they say is held against stdnum by a test.
    """
    digits = [int(digit) for digit in first_eleven]
    luhn = sum(digits[1::2]) + sum(_DOUBLED[digit] for digit in digits[::2])
    verhoeff = 0
    for turned, digit in zip(_TURNED, reversed(digits), strict=True):
        verhoeff = turned[verhoeff][digit]
    # The Verhoeff digit undoes what the others made: the first five elements turn back, the others are their own end.
    return f"{-luhn % 10}{-verhoeff % 5 if verhoeff < 5 else verhoeff}"


def wrong_check_digits(matricule: str) -> tuple[str, ...]:
    """Returns which of the two check digits do not fit the first eleven, as codes of messages; none of a right one.

    `matricule_luhn` alone: the twelfth digit is mistyped. `matricule_verhoeff` alone: the thirteenth is, or a 0 and a 9
    among the first eleven are exchanged, which Luhn does not see. Both: the mistake is among the first eleven.
    matricule: thirteen digits, as `matricule_fault` finds them when it says `checksum` [domain, Matricule].
    """
    codes = ("matricule_luhn", "matricule_verhoeff")
    right = check_digits(matricule[:11])
    return tuple(code for code, digit, fits in zip(codes, matricule[11:], right, strict=True) if digit != fits)


def matricule_faults(matricule: str) -> tuple[str, ...]:
    """Returns the codes of all that is wrong with a normalised matricule: a wrong checksum as the digits it is in."""
    wrong = matricule_fault(matricule)
    if wrong is None:
        return ()
    return wrong_check_digits(matricule) if wrong == "checksum" else (wrong,)


def require_matricule(text: object) -> str:
    """Returns the normalised matricule.

    Refuses: InvalidInput at /matricule.
    """
    matricule = normalise_matricule(text)
    wrong = matricule_faults(matricule)
    if wrong:
        raise InvalidInput(errors=[fault("matricule", each) for each in wrong])
    return matricule


def birth_date_differs(matricule: str, birth_date: date) -> bool:
    """True when the sheet's birth date is not the matricule's, as after a correction: a reason to look at the
    identity again, never to refuse. An unknown month or day (00) differs from nothing."""
    year, month, day = int(matricule[:4]), int(matricule[4:6]), int(matricule[6:8])
    return year != birth_date.year or month not in (0, birth_date.month) or day not in (0, birth_date.day)


def _possible_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month or 1, day or 1)  # an unknown month is taken as January, the longest kind
    except ValueError:
        return False
    return True


def same_identity(one: Iterable[str], other: Iterable[str]) -> bool:
    """True when two people's names are the same, but for case, accents, hyphens and spacing."""
    return [fold(name) for name in one] == [fold(name) for name in other]


# --- searching and showing --------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """Returns the words of a text without case, accents and punctuation: what searching compares.

    Stored columns and questions both pass through here, so that they cannot differ in what they ignore.
    """
    return " ".join(text.translate(_LETTERS).split())


class _Letters(dict[int, str]):
    """What each letter is folded to, worked out when it is met for the first time.

    Kept of the scripts of Europe alone: whoever types the rarest signs of all must not fill our memory with them.
    """

    def __missing__(self, letter: int) -> str:
        # Styled letters become plain ones first, or their case would be kept.
        styled = unicodedata.normalize("NFKD", chr(letter)).casefold().translate(_UNFOLDED)
        plain = unicodedata.normalize("NFKD", styled).casefold()
        folded = "".join(sign if sign.isalnum() else " " for sign in plain if not unicodedata.combining(sign))
        if letter < _END_OF_EUROPE:
            self[letter] = folded
        return folded


_LETTERS: Final = _Letters()


def fold_spelling(text: str) -> str:
    """Returns the folded words of a text, with Müller, Mueller and Muller made one: an e after a, o or u is left out.

    What is typed so far stays the beginning of what it becomes, letter by letter. Stored columns and questions both
    pass through here.
    """
    return _SPELT_WITH_E.sub("", fold(text))


def searchable_names(family_name: str, first_name: str) -> str:
    """Returns the stored form of a professional's names; the space in front makes every word start alike."""
    return f" {fold_spelling(f'{family_name} {first_name}')}"


def searchable_text(family_name: str, first_name: str, profession: str, specialities: Iterable[str]) -> str:
    """Returns the stored form of everything a professional is found by: names, profession, each speciality whole."""
    words = fold_spelling(f"{family_name} {first_name} {PROFESSION_WORDS[profession]}")
    return f" {words}{whole_parts(specialities)}"


def searchable_establishment(name: str, kind: str, locality: str | None = None) -> str:
    """Returns the stored form of everything an establishment is found by: its name, its kind, its locality whole."""
    words = fold_spelling(f"{name} {ESTABLISHMENT_WORDS[kind]}")
    return f" {words}{whole_parts([locality] if locality else [])}"


def whole_parts(texts: Iterable[str]) -> str:
    """Returns texts so that each is found as a whole too: between signs that no folded word holds."""
    parts = [folded for folded in map(fold_spelling, texts) if folded]
    return "".join(f" ; {part}" for part in parts) + (" ;" if parts else "")


def require_licence(licence: object) -> str:
    """Returns a state a licence can have.

    Refuses: InvalidInput.
    """
    if not isinstance(licence, str) or licence not in LICENCES:
        raise InvalidInput(errors=[fault("licence", "choice")])
    return licence


def require_search_words(query: object) -> list[str]:
    """Returns the folded words of a search, each of which must begin a word of what is found.

    Refuses: InvalidInput below three letters or beyond a line's length, of `q`, as whoever searches calls it.
    """
    typed = fold(query) if isinstance(query, str) and len(query) <= LONGEST_TEXT else ""
    if len(typed.replace(" ", "")) < SHORTEST_QUERY:
        raise InvalidInput(errors=[fault("q", "too_short" if isinstance(query, str) else "type")])
    return fold_spelling(typed).split()


def require_limit(limit: object) -> int:
    """Returns how many results to show.

    Refuses: InvalidInput outside 1 to 50.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_FOUND:
        raise InvalidInput(errors=[fault("limit", "out_of_range")])
    return limit


def require_ids(field: str, ids: object) -> list[str]:
    """Returns the ids worth looking up, each once; what is no id at all is simply nobody's.

    Refuses: InvalidInput when it is no list or longer than one bulk call may be.
    """
    if not isinstance(ids, list | tuple):
        raise InvalidInput(errors=[fault(field, "type")])
    if len(ids) > NAMES_LIMIT:
        raise InvalidInput(errors=[fault(field, "too_many")])
    return sorted({each for each in map(as_id, ids) if each})


def as_id(value: object) -> str | None:
    """Returns the id in its one spelling, or None when the value is no id."""
    if not isinstance(value, str):
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


def display_name(family_name: str, first_names: str) -> str:
    """Returns a name as lists show it: DOE Jane."""
    return f"{family_name.upper()} {first_names}"


def letter_name(family_name: str, first_names: str) -> str:
    """Returns a name as an envelope shows it: Jane DOE."""
    return f"{first_names} {family_name.upper()}"


def letter_lines(address: Address) -> list[str]:
    """Returns the lines of an address in Luxembourg's order; the country only when the letter leaves it."""
    home = address["country"] == "LU"
    lines = [address["line"], f"{address['postal_code']} {address['locality']}"]
    return lines if home else [*lines, address["country"]]


def fault(field: str, message: str) -> Fault:
    """Returns one entry of an InvalidInput: where it is, and the code of what is wrong."""
    return {"pointer": f"/{field}", "message": message}
