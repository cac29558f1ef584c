"""When somebody comes of age. Pure."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from services.directory.rules_openings import ADULT

HERE = ZoneInfo("Europe/Luxembourg")


def majority_at(birth_date: date) -> datetime:
    """The first moment of somebody's 18th birthday in Luxembourg; who was born on 29 February has it on 1 March."""
    year = birth_date.year + ADULT
    try:
        day = birth_date.replace(year=year)
    except ValueError:  # the 29 February of a year that has none
        day = date(year, 3, 1)
    return datetime(day.year, day.month, day.day, tzinfo=HERE).astimezone(UTC)


def came_of_age(before: date, after: date, at: datetime) -> bool:
    """Whether who was a minor by the former birth date is of age by the corrected one."""
    return majority_at(after) <= at < majority_at(before)
