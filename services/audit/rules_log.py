"""What may be asked of the log. Pure: no I/O, no clock."""

from services.audit.contract_log import HEADS_LIMIT
from services.refusals import InvalidInput


def require_leaf(leaf: object) -> bytes:
    """Returns the hash of a leaf from its 64 hexadecimal digits.

    Refuses: InvalidInput.
    """
    if not isinstance(leaf, str) or len(leaf) != 64 or not set(leaf) <= set("0123456789abcdef"):
        raise _invalid("leaf", "format")
    return bytes.fromhex(leaf)


def require_size(size: object, field: str) -> int:
    """Returns a size of the log.

    Refuses: InvalidInput below 1, and for what no database can count to.
    """
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size < 1 << 63:
        raise _invalid(field, "out_of_range")
    return size


def require_heads_page(limit: object, cursor: object) -> tuple[int, int | None]:
    """Returns how many heads a page holds, and the size below which it begins.

    Refuses: InvalidInput.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= HEADS_LIMIT:
        raise _invalid("limit", "out_of_range")
    if cursor is None:
        return limit, None
    if not isinstance(cursor, str) or not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise _invalid("cursor", "format")
    return limit, int(cursor)


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": f"/{field}", "message": message}])


def backwards() -> InvalidInput:
    """The refusal of a proof from a bigger log to a smaller one."""
    return _invalid("second", "out_of_range")
