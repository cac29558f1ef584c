"""Reading the fields of what directory is told, one by one, with all that is wrong collected.

Pure: no I/O, no clock (today is an argument). Messages of faults are codes; they never repeat what was typed.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache
from typing import Final

from services.directory.contract import Address
from services.directory.rules import LONGEST_TEXT, Fault, as_id, fault, fold, matricule_faults, normalise_matricule
from services.refusals import InvalidInput

OLDEST_PERSON: Final = 150
REMEMBERED: Final = 240
"""Longer texts are not worth the memory; a day is ten signs."""
LONGEST_MAIL: Final = 254
LONGEST_PHONE: Final = 40

_TWO_LETTERS = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA
    CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA
    GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP
    KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS
    MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS
    RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW
    TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
COUNTRIES: Final = frozenset(_TWO_LETTERS.split())
"""ISO 3166-1, two letters, with XK for Kosovo, which has none of its own yet.

A country that is no more (YU, SU, DD) is written as the one its place lies in today."""

_POSTAL_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 -]{0,10}[A-Za-z0-9])?")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"({_LOCAL})@(?:{_LABEL}\.)+(?:[A-Za-z]{{2,63}}|[Xx][Nn]--[A-Za-z0-9-]{{2,59}})")
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{7,14}")
_MOBILE_AT_HOME = re.compile(r"6[0-9]{8}")
_NUMBER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._:/|-]{0,62}[A-Za-z0-9])?")
_PHONE_AT_HOME = re.compile(r"[2-9][0-9]{4,8}")


class Fields:
    """Reads fields one by one and collects what is wrong, so that a form is answered once and not field by field."""

    def __init__(self, values: Mapping[str, object], at: str = "", faults: list[Fault] | None = None) -> None:
        self._values = values
        self._at = at
        self._faults: list[Fault] = [] if faults is None else faults

    def refuse_faults(self) -> None:
        """Refuses: InvalidInput naming everything that was wrong so far."""
        if self._faults:
            raise InvalidInput(errors=self._faults)

    def refuse_others(self, known: Collection[str]) -> None:
        """Notes every field that is none of these."""
        for field in self._values:
            self._without(str(field), "", None if field in known else "unknown_member")

    def has(self, field: str) -> bool:
        """Whether something is said of the field."""
        return self._values.get(field) is not None

    # --- single values ------------------------------------------------------------------------------------------------

    def matricule(self) -> str:
        """A matricule; its faults name the check digits that do not fit."""
        matricule = normalise_matricule(self._values.get("matricule"))
        for message in matricule_faults(matricule):
            matricule = self._without("matricule", matricule, message)
        return matricule

    def name(self, field: str) -> str:
        text = self.text(field)
        # A name that begins with a plain letter has one, whatever follows.
        silent = text and not (text[0].isascii() and text[0].isalpha()) and not fold(text)
        return self._without(field, text, "characters" if silent else None)

    def text(self, field: str) -> str:
        return self._text(field, self._values.get(field))

    def one_of(self, field: str, allowed: tuple[str, ...]) -> str:
        value = self._values.get(field)
        if isinstance(value, str) and value in allowed:
            return value
        return self._without(field, "", "required" if value is None else "unknown")

    def birth_date(self, today: date) -> date | None:
        value = self._values.get("birth_date")
        born = _day(value) if isinstance(value, str) and len(value) == 10 else None
        if born is None:
            self._without("birth_date", "", "required" if value is None else "date")
            return None
        possible = born <= today and born.year >= today.year - OLDEST_PERSON
        self._without("birth_date", "", None if possible else "out_of_range")
        return born if possible else None

    def postal_code(self, field: str) -> str:
        return self._matching(field, _POSTAL_CODE)

    def country(self, field: str) -> str:
        code = self._matching(field, _COUNTRY).upper()
        return self._without(field, code, "country" if code and code not in COUNTRIES else None)

    def number(self, field: str) -> str:
        """A number of another system, kept as it is written there."""
        return self._matching(field, _NUMBER)

    def email(self, field: str) -> str:
        """An address that any mail server takes, as given: ASCII dot-atom, a domain with a dot.

        Conservative on purpose, as identity is with an account's contacts [RFC 5321 4.1.2 without quoted strings].
        """
        value = self._values.get(field)
        found = _EMAIL.fullmatch(value) if isinstance(value, str) and len(value) <= LONGEST_MAIL else None
        if found is None or len(found[1]) > 64:
            return self._without(field, "", "required" if value is None else "email_format")
        return found[0]

    def mobile(self, field: str) -> str:
        """A number in E.164; a mobile of Luxembourg needs no prefix."""
        return self._phone(field, _MOBILE_AT_HOME, "mobile_format")

    def phone(self, field: str) -> str:
        """A number in E.164; a number of Luxembourg, five to nine digits, needs no prefix."""
        return self._phone(field, _PHONE_AT_HOME, "phone_format")

    # --- several values -----------------------------------------------------------------------------------------------

    def texts(self, field: str, most: int) -> tuple[str, ...]:
        return tuple(self._text(f"{field}/{place}", each) for place, each in enumerate(self._list(field, most)))

    def ids(self, field: str, most: int) -> tuple[str, ...]:
        found = [
            self._without(f"{field}/{place}", as_id(each) or "", None if as_id(each) else "unknown")
            for place, each in enumerate(self._list(field, most))
        ]
        return tuple(sorted(set(found)))

    def address(self) -> Address:
        """The postal address under `address`."""
        given = self._values.get("address")
        if not isinstance(given, Mapping):
            self._without("address", "", "required" if given is None else "type")
            given = {"line": "-", "postal_code": "00", "locality": "-", "country": "LU"}
        return Fields(given, f"{self._at}address/", self._faults).own_address()

    def own_address(self) -> Address:
        """The postal address that these fields are."""
        return {
            "line": self.text("line"),
            "postal_code": self.postal_code("postal_code"),
            "locality": self.text("locality"),
            "country": self.country("country"),
        }

    def parts(self, field: str, most: int) -> list["Fields"]:
        """Each object of a list, to be read in its turn."""
        found = []
        for place, each in enumerate(self._list(field, most)):
            if isinstance(each, Mapping):
                found.append(Fields(each, f"{self._at}{field}/{place}/", self._faults))
            else:
                self._without(f"{field}/{place}", "", "type")
        return found

    def _list(self, field: str, most: int) -> list[object]:
        value = self._values.get(field)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self._without(field, "", "type")
            return []
        self._without(field, "", "too_many" if len(value) > most else None)
        return list(value[:most])

    # --- what they have in common -------------------------------------------------------------------------------------

    def _phone(self, field: str, at_home: re.Pattern[str], message: str) -> str:
        value = self._values.get(field)
        digits = re.sub(r"[\s.\-/()]", "", value) if isinstance(value, str) and len(value) <= LONGEST_PHONE else ""
        international = f"+352{digits}" if at_home.fullmatch(digits) else re.sub(r"^00", "+", digits)
        if _INTERNATIONAL.fullmatch(international) is None:
            return self._without(field, "", "required" if value is None else message)
        return international

    def _matching(self, field: str, pattern: re.Pattern[str]) -> str:
        text = self.text(field)
        return self._without(field, text, "characters" if text and not pattern.fullmatch(text) else None)

    def _text(self, field: str, value: object) -> str:
        if not isinstance(value, str):
            return self._without(field, "", "required" if value is None else "type")
        return self._without(field, *(_cleaned(value) if len(value) <= REMEMBERED else _cleaned.__wrapped__(value)))

    def _without(self, field: str, value: str, message: str | None) -> str:
        """Returns the value, or an empty one once its fault has been noted."""
        if message is None:
            return value
        self._faults.append(fault(f"{self._at}{field}", message))
        return ""


# A million lines of a load are made of some ten thousand names, places and days.


@lru_cache(maxsize=1 << 14)
def _cleaned(value: str) -> tuple[str, str | None]:
    """A text without needless spaces, composed; and what is wrong with it."""
    text = unicodedata.normalize("NFC", " ".join(value.split()))
    if not text:
        return "", "required"
    if len(text) > LONGEST_TEXT:
        return "", "too_long"
    # Of what cannot be printed only separators may stand in a text; nearly every text needs no second look.
    unseen = not text.isprintable() and any(unicodedata.category(letter).startswith("C") for letter in text)
    return text, "characters" if unseen else None


@lru_cache(maxsize=1 << 16)
def _day(value: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
