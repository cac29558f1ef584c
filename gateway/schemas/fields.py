"""The kinds of values that requests and answers hold; wrong ones are named by a code of the catalogues.

What is loaded stays plain JSON (a date stays its ISO text): it goes on over the bus as it is.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, date, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

_CODES = {
    "required": "required", "null": "required", "validator_failed": "invalid", "invalid": "invalid",
    "invalid_utf8": "text", "too_large": "range",
}  # fmt: skip
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:[0-5]\d)", re.ASCII
)
_DIGITS = re.compile(r"-?[0-9]{1,20}")


def _told(description: str | None, metadata: dict[str, Any]) -> dict[str, Any]:
    return metadata if description is None else {"description": description, **metadata}


class Text(fields.String):
    """A text; not empty unless `minimum=0`."""

    def __init__(
        self,
        description: str | None = None,
        *,
        minimum: int = 1,
        maximum: int = 200,
        pattern: str | None = None,
        code: str = "text",
        **kwargs: Any,
    ) -> None:
        metadata = kwargs.pop("metadata", {})
        checks: list[Any] = [validate.Length(minimum, maximum, error="length")]
        if pattern is not None:
            checks.append(validate.Regexp(re.compile(pattern), error=code))
        super().__init__(
            validate=checks,
            metadata=_told(description, metadata),
            error_messages={**_CODES, "invalid": "text"},
            **kwargs,
        )


class Secret(Text):
    """A text that must never be shown again: password, code, token."""

    def __init__(self, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(description, metadata={"format": "password"}, **kwargs)


class Matricule(Text):
    """National identifier as people write it; directory checks its digits (domain.md, Matricule)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "National identifier, 13 digits.",
            maximum=20,
            pattern=r"\A[0-9][0-9 .-]{9,18}[0-9]\Z",
            code="matricule",
            **kwargs,
        )


class Id(fields.String):
    """A UUID, as text in its usual form."""

    def __init__(self, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(
            metadata=_told(description, {"format": "uuid"}), error_messages={**_CODES, "invalid": "uuid"}, **kwargs
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return str(uuid.UUID(text or ""))
        except ValueError:
            raise ValidationError("uuid") from None


class Day(fields.String):
    """A date of the calendar, `2026-11-21`."""

    def __init__(self, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(
            metadata=_told(description, {"format": "date"}), error_messages={**_CODES, "invalid": "date"}, **kwargs
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            # What Python reads besides, weeks and dates without hyphens, would become another day than was meant.
            if text is None or not _DAY.fullmatch(text):
                raise ValueError
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise ValidationError("date") from None


class Choice(fields.String):
    """One word of a closed list."""

    def __init__(self, choices: tuple[str, ...], description: str | None = None, **kwargs: Any) -> None:
        super().__init__(
            validate=validate.OneOf(choices, error="choice"),
            metadata=_told(description, {}),
            error_messages={**_CODES, "invalid": "choice"},
            **kwargs,
        )


class Flag(fields.Boolean):
    """True or false, as JSON writes them."""

    def __init__(self, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(
            metadata=_told(description, {}), error_messages={**_CODES, "invalid": "boolean"}, **kwargs,
        )  # fmt: skip

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):  # to Python 1 is True
            raise ValidationError("boolean")
        return value


class Accepted(Flag):
    """Something that must be accepted: only true will do."""

    def __init__(self, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(description, validate=validate.Equal(True, error="accepted"), **kwargs)


class Number(fields.Integer):
    """A whole number within bounds."""

    def __init__(
        self, description: str | None = None, *, minimum: int = 0, maximum: int = 2**53, **kwargs: Any
    ) -> None:
        super().__init__(
            validate=validate.Range(minimum, maximum, error="range"),
            metadata=_told(description, {}),
            error_messages={**_CODES, "invalid": "number"},
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int | None:
        # To Python a part of a number, a truth and digits of other scripts are numbers too.
        if type(value) is not int and not (isinstance(value, str) and _DIGITS.fullmatch(value)):
            raise ValidationError("number")
        return super()._deserialize(value, attr, data, **kwargs)


class Listed(fields.List[Any]):
    """A list of values of one kind."""

    def __init__(self, inner: Any, description: str | None = None, *, maximum: int = 1000, **kwargs: Any) -> None:
        super().__init__(
            inner,
            validate=validate.Length(max=maximum, error="length"),
            metadata=_told(description, {}),
            error_messages={**_CODES, "invalid": "list"},
            **kwargs,
        )


class Part(fields.Nested):
    """An object inside an object."""

    def __init__(self, schema: Any, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(schema, metadata=_told(description, {}), error_messages={**_CODES, "type": "object"}, **kwargs)


class Moment(fields.String):
    """A time of RFC 3339; in UTC where we say it."""

    def __init__(self, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(
            metadata=_told(description, {"format": "date-time"}), error_messages={**_CODES, "invalid": "moment"},
            **kwargs,
        )  # fmt: skip

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            # Weeks, days without hyphens and times without a zone, which Python reads too, would be other moments.
            if not _MOMENT.fullmatch(text):
                raise ValueError
            datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError("moment") from None
        return text
