"""Lines of prescriptions, what may be dispensed of them and by whom: pure decisions.

A quantity is a decimal above nothing. A line without one is given whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from services.documents.contract import (
    CANCEL_REASON_LENGTH,
    CODE_LENGTH,
    LINE_LENGTH,
    LINES_MOST,
    PRESCRIPTIONS,
    QUANTITY,
    UNIT_LENGTH,
    DispensationCancelled,
    DispensationFinal,
    PrescriptionCancelled,
    PrescriptionDispensed,
    PrescriptionExpired,
    QuantityNotLeft,
)
from services.documents.rules import Errors, Facts, Grant, Scope, clean_line, hidden, reads
from services.refusals import InvalidInput, NotAllowed, Refusal

HERE: Final = ZoneInfo("Europe/Luxembourg")
LATEST: Final = date(2200, 1, 1)

ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Of the codes on certified copies: without look-alikes, five bits each."""

CODE_LETTERS: Final = 18
"""90 bits: nobody guesses one."""

WRONG_CODES: Final = 10
WRONG_CODES_WITHIN: Final = timedelta(hours=1)
"""So many wrong codes within this time, and a pharmacist has to wait [ours]."""

_QUANTITY = re.compile(QUANTITY)
_SEPARATORS = re.compile(r"[\s-]+")
_CODE = re.compile(f"[{ALPHABET}]{{{CODE_LETTERS}}}")


class FoundLine(Protocol):
    """A line as the close look at a file found it."""

    @property
    def text(self) -> str: ...
    @property
    def quantity(self) -> str | None: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def code(self) -> str | None: ...
    @property
    def system(self) -> str | None: ...


@dataclass(frozen=True)
class NewLine:
    """A line about to be written."""

    number: int
    text: str
    quantity: Decimal | None = None
    unit: str | None = None
    code: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class Line:
    """How a line stands: what was prescribed, and what was given of it."""

    number: int
    quantity: Decimal | None
    given: Decimal = Decimal(0)
    complete: bool = False

    @property
    def left(self) -> Decimal | None:
        """What may still be given; None where no number was prescribed."""
        return None if self.quantity is None else self.quantity - self.given


@dataclass(frozen=True)
class Given:
    """What is given of a line; quantity None: all of one without a number."""

    number: int
    quantity: Decimal | None


# --- quantities -------------------------------------------------------------------------------------------------------


def read_quantity(text: object) -> Decimal | None:
    """The quantity that a text says, None where it is none above nothing."""
    if not isinstance(text, str) or _QUANTITY.fullmatch(text) is None:
        return None
    return Decimal(text) or None


def plain(quantity: Decimal) -> str:
    """A quantity in its one spelling, without zeros that say nothing."""
    return format(quantity.normalize(), "f")


# --- lines ------------------------------------------------------------------------------------------------------------


def read_details(details: object, category: str) -> tuple[dict[str, Any] | None, Errors]:
    """What a depositor says is in a prescription, as it is kept until its bytes are there, and every error in it."""
    if details is None:
        return None, []
    if not isinstance(details, dict) or set(details) - {"lines", "valid_until"} or category != PRESCRIPTIONS:
        return None, [{"pointer": "/details", "message": "invalid"}]
    lines, day = details.get("lines") or [], details.get("valid_until")
    if not isinstance(lines, list):
        return None, [{"pointer": "/details/lines", "message": "list"}]
    if len(lines) > LINES_MOST:
        return None, [{"pointer": "/details/lines", "message": "too_many"}]
    errors: Errors = []
    if day is not None and read_day(day) is None:
        errors.append({"pointer": "/details/valid_until", "message": "date"})
    kept = []
    for number, each in enumerate(lines):
        line, wrong = _entered(each)
        errors += [{**error, "pointer": f"/details/lines/{number}{error['pointer']}"} for error in wrong]
        kept.append(line)
    return (None, errors) if errors else ({"lines": kept, "valid_until": day}, [])


def _entered(line: object) -> tuple[dict[str, str | None], Errors]:
    names = {"text": LINE_LENGTH, "unit": UNIT_LENGTH, "code": CODE_LENGTH, "system": CODE_LENGTH}
    if not isinstance(line, dict) or set(line) - {*names, "quantity"}:
        return {}, [{"pointer": "", "message": "object"}]
    said = {name: line.get(name) for name in (*names, "quantity")}
    clean = {name: clean_line(said[name], most) for name, most in names.items()}
    wrong = [name for name in names if clean[name] is None and (said[name] is not None or name == "text")]
    if said["quantity"] is not None and read_quantity(said["quantity"]) is None:
        wrong.append("quantity")
    return {**clean, "quantity": said["quantity"]}, [{"pointer": f"/{name}", "message": "invalid"} for name in wrong]


def read_day(text: object) -> date | None:
    """An ISO day that a prescription may be valid until."""
    try:
        day = date.fromisoformat(text) if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None
    return day if day is not None and day <= LATEST else None


def lines_of(found: Sequence[FoundLine], details: Mapping[str, Any] | None, title: str) -> tuple[NewLine, ...]:
    """The lines of a prescription: those that stand in the file, else those that were entered, else it is one whole.

    A file that says something else than its depositor is what counts: it is what was prescribed. One with more lines
    than anybody can tell apart, or with one that cannot be read, is one whole too.
    """
    read = [_read(number, line) for number, line in enumerate(found, 1)]
    lines = tuple(line for line in read if line is not None)
    if lines and len(lines) == len(read) <= LINES_MOST:
        return lines
    if not found and details and details.get("lines"):
        return tuple(
            NewLine(number, each["text"], read_quantity(each["quantity"]), each["unit"], each["code"], each["system"])
            for number, each in enumerate(details["lines"], 1)
        )
    return (NewLine(1, title),)


def _read(number: int, line: FoundLine) -> NewLine | None:
    text = clean_line(" ".join(line.text.split())[:LINE_LENGTH], LINE_LENGTH)
    quantity = None if line.quantity is None else read_quantity(line.quantity)
    if text is None or (line.quantity is not None and quantity is None):
        return None
    unit, code = clean_line(line.unit, UNIT_LENGTH), clean_line(line.code, CODE_LENGTH)
    return NewLine(number, text, quantity, unit, code, code and clean_line(line.system, CODE_LENGTH))


def is_untouched(lines: Iterable[Line]) -> bool:
    """Whether nothing was given: only then may a new version put other lines in their place."""
    return not any(line.complete or line.given for line in lines)


# --- who --------------------------------------------------------------------------------------------------------------


def may_dispense(scope: Scope, facts: Facts) -> Grant | None:
    """What lets this caller mark the prescription as dispensed, or None: one clause that reads it and dispenses."""
    if hidden(scope, facts):
        return None
    for clause in scope.clauses:
        if clause.dispenses and reads(clause, facts):
            return Grant(clause.ground, clause.rule)
    return None


def may_withdraw(scope: Scope, facts: Facts) -> Grant | None:
    """What lets this caller cancel the prescription, or None: who wrote it, while they may still deposit such.

    Also in the days in which they only deposit, as what was found wrong later must not be dispensed [ours].
    """
    if scope.holder_side or scope.author_id is None or scope.author_id != facts.author_id:
        return None
    for clause in scope.clauses:
        if clause.deposits(facts.category, facts.type, facts.folder):
            return Grant(clause.ground, clause.rule)
    return None


# --- how much ---------------------------------------------------------------------------------------------------------


def day_of(moment: datetime) -> date:
    """The day that it is here."""
    return moment.astimezone(HERE).date()


def state_of(lines: Iterable[Line]) -> str:
    """How much of a prescription was dispensed, by its lines."""
    each = list(lines)
    if all(line.complete for line in each):
        return "dispensed"
    return "open" if is_untouched(each) else "partial"


def shown_state(state: str, valid_until: date | None, today: date) -> str:
    """A state as readers are told it: the rest of a prescription whose last day is over has expired."""
    over = valid_until is not None and valid_until < today
    return "expired" if over and state in ("open", "partial") else state


def over(state: str, valid_until: date | None, today: date) -> Refusal | None:
    """Why nothing of this prescription is dispensed any more, or None."""
    if state == "cancelled":
        return PrescriptionCancelled()
    if state == "dispensed":
        return PrescriptionDispensed()
    if valid_until is not None and valid_until < today:
        return PrescriptionExpired(valid_until=valid_until.isoformat())
    return None


def require_wanted(lines: object, whole: object) -> list[Given] | None:
    """What is to be given of which lines, None for all that is left. Refuses: InvalidInput.

    A quantity that is not told is all that is left of its line.
    """
    if whole is True and lines is None:
        return None
    if whole not in (None, False) or not isinstance(lines, list) or not lines:
        raise _invalid("/lines", "required")
    if len(lines) > LINES_MOST:
        raise _invalid("/lines", "too_many")
    wanted: dict[int, Given] = {}
    for at, each in enumerate(lines):
        if not isinstance(each, dict) or set(each) - {"number", "quantity"}:
            raise _invalid(f"/lines/{at}", "object")
        number, told = each.get("number"), each.get("quantity")
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= LINES_MOST or number in wanted:
            raise _invalid(f"/lines/{at}/number", "invalid")
        quantity = None if told is None else read_quantity(told)
        if told is not None and quantity is None:
            raise _invalid(f"/lines/{at}/quantity", "invalid")
        wanted[number] = Given(number, quantity)
    return list(wanted.values())


def given(lines: Sequence[Line], wanted: Sequence[Given] | None) -> list[Given] | Refusal:
    """What is given of each line, or why it cannot be: of no line more than is left of it.

    Refuses: QuantityNotLeft; InvalidInput for a line that there is not, and for a part of one without a number.
    """
    if wanted is None:
        return [Given(line.number, line.left) for line in lines if not line.complete]
    known = {line.number: line for line in lines}
    done: list[Given] = []
    lacking: list[int] = []
    for at, each in enumerate(wanted):
        line = known.get(each.number)
        if line is None:
            return _invalid(f"/lines/{at}/number", "unknown")
        if line.quantity is None and each.quantity is not None:
            return _invalid(f"/lines/{at}/quantity", "invalid")
        if line.complete or (line.left is not None and each.quantity is not None and each.quantity > line.left):
            lacking.append(each.number)
        done.append(Given(each.number, line.left if each.quantity is None else each.quantity))
    return QuantityNotLeft(lines=sorted(lacking)) if lacking else done


def after(lines: Sequence[Line], done: Sequence[Given]) -> list[Line]:
    """How the lines stand once this was given."""
    gives = {each.number: each.quantity for each in done}
    return [
        line if line.number not in gives
        else Line(line.number, None, line.given, True) if line.quantity is None
        else _with(line, line.given + (gives[line.number] or 0))
        for line in lines
    ]  # fmt: skip


def without(lines: Sequence[Line], taken_back: Sequence[Given]) -> list[Line]:
    """How the lines stand once this was taken back."""
    gives = {each.number: each.quantity for each in taken_back}
    return [
        line if line.number not in gives
        else Line(line.number, None, line.given, False) if line.quantity is None
        else _with(line, line.given - (gives[line.number] or 0))
        for line in lines
    ]  # fmt: skip


def _with(line: Line, given: Decimal) -> Line:
    return Line(line.number, line.quantity, given, given == line.quantity)


# --- taking back ------------------------------------------------------------------------------------------------------


def require_reason(reason: object) -> str:
    """Why something is cancelled, in one line. Refuses: InvalidInput."""
    clean = clean_line(reason, CANCEL_REASON_LENGTH)
    if clean is None:
        raise _invalid("/reason", "invalid")
    return clean


def not_taken_back(
    given_at: datetime, given_by: str | None, cancelled_at: datetime | None, *, establishment_id: str | None,
    at: datetime, within: timedelta,
) -> Refusal | None:  # fmt: skip
    """Why a dispensation cannot be cancelled, or None: by the same pharmacy alone, once, and not for long."""
    if given_by is None or given_by != establishment_id:
        return NotAllowed()
    if cancelled_at is not None:
        return DispensationCancelled()
    if at > given_at + within:
        return DispensationFinal(hours=int(within.total_seconds() // 3600))
    return None


# --- the code on a certified copy -------------------------------------------------------------------------------------


def read_code(text: object) -> str | None:
    """A code in its one spelling, as people type it off a paper; None where it is none."""
    if not isinstance(text, str) or len(text) > 64:
        return None
    clean = _SEPARATORS.sub("", text).upper()
    return clean if _CODE.fullmatch(clean) else None


def wait_for_codes(wrong: Sequence[datetime], at: datetime) -> int:
    """Seconds until a pharmacist who gave these wrong codes, the newest first, may give another; 0 = now."""
    recent = [moment for moment in wrong if moment > at - WRONG_CODES_WITHIN]
    if len(recent) < WRONG_CODES:
        return 0
    free = recent[WRONG_CODES - 1] + WRONG_CODES_WITHIN
    return max(1, -int(-(free - at).total_seconds() // 1))


def _invalid(pointer: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])
