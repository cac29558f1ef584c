"""What an export of the log or of a history is made of, line by line, so that the verifier can go along it.

A log export has every leaf of the log; a history has the lines of one reader's entries and, for all that lies between
them, the hashes of the biggest whole subtrees: either way the file is walked once, from the log's first position to
its size, and gives the very root that was signed.
Pure: no I/O, no clock.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from json import dumps
from typing import Any, Final

from services.audit.rules_heads import base64, moment
from services.audit.rules_lines import leaf_hash, line
from services.audit.rules_tree import STEP, Place, places

HISTORY: Final = "opendsp-history/1"
LOG: Final = "opendsp-log/1"
TOP: Final = 62


def as_line(said: Mapping[str, Any]) -> str:
    """Returns one line of an export that is no entry's, without its end."""
    return dumps(said, separators=(",", ":"))


# --- a history --------------------------------------------------------------------------------------------------------


def history_header(
    records: Iterable[str], *, head: Mapping[str, Any], keys: Sequence[Mapping[str, Any]], statement: str,
    key_id: str, signature: bytes, at: datetime,
) -> str:  # fmt: skip
    """Returns the first line of a history. statement: the notary's, which says that nothing is left out."""
    return as_line({
        "format": HISTORY, "records": sorted(records), "at": moment(at), "head": head, "keys": keys,
        "statement": statement, "key_id": key_id, "signature": base64(signature),
    })  # fmt: skip


def skipped(start: int, until: int) -> list[Place]:
    """Returns the biggest whole subtrees from one position to before another, in order."""
    found = []
    while start < until:
        aligned = (start & -start).bit_length() - 1 if start else TOP
        level = min(aligned, (until - start).bit_length() - 1)
        found.append((level, start >> level))
        start += 1 << level
    return found


def gaps(start: int, positions: Sequence[int], end: int) -> list[tuple[int, int]]:
    """Returns what lies between the positions that are shown, from a start to an end, as spans of positions."""
    edges = [start, *(position + 1 for position in positions)]
    return [(low, high) for low, high in zip(edges, [*positions, end], strict=True) if low < high]


def skip_line(until: int, hashes: Iterable[bytes]) -> str:
    """Returns the line that leads to a position over what is not shown."""
    return as_line({"until": until, "nodes": base64(b"".join(hashes))})


def history_lines(
    start: int, rows: Sequence[Mapping[str, Any]], end: int, nodes: Mapping[Place, bytes]
) -> Iterator[str]:  # fmt: skip
    """Gives the lines of some entries, and over what lies before, between and behind them, to an end.

    rows: the entries with their `position`, in order. nodes: of all that `skipped` names for the gaps.
    """
    here = start
    for row in (*rows, None):
        position = end if row is None else row["position"]
        if here < position:
            yield skip_line(position, [nodes[place] for place in skipped(here, position)])
        if row is not None:
            yield line(row)
        here = position + 1


# --- the log ----------------------------------------------------------------------------------------------------------


def log_header(
    first: int, size: int, *, frontier: Sequence[bytes], keys: Sequence[Mapping[str, Any]], at: datetime
) -> str:  # fmt: skip
    """Returns the first line of a log. frontier: the whole subtrees before `first`, the biggest first."""
    return as_line({
        "format": LOG, "first": first, "size": size, "at": moment(at), "frontier": [base64(one) for one in frontier],
        "keys": keys,
    })  # fmt: skip


def frontier_of(first: int) -> list[Place]:
    """Returns the whole subtrees before a position, the biggest first."""
    return places(0, first)


def log_lines(
    rows: Iterable[Mapping[str, Any]], nodes: Mapping[Place, bytes], heads: Mapping[int, Mapping[str, Any]]
) -> Iterator[str]:  # fmt: skip
    """Gives the lines of some leaves, with whatever of the database's does not fit its own entries.

    rows: leaves in order: `position`, `hash`, `of_record`, and the columns of the entry, whose `trace_id` is null where
    its contents are gone. nodes: those that are kept. heads: by size, as lines of the witness.
    """
    for row in rows:
        stored, position = bytes(row["hash"]), row["position"]
        if row["trace_id"] is None:
            yield as_line({"destroyed": stored.hex()})
        else:
            text = line(row)
            yield text
            if leaf_hash(text) != stored:
                yield as_line({"leaf": stored.hex()})
            if row["of_record"] != row["record_id"]:
                yield as_line({"misfiled": position})
        size, level = position + 1, STEP
        while size & ((1 << level) - 1) == 0:
            place = (level, (size >> level) - 1)
            if place in nodes:
                yield as_line({"node": [*place, base64(nodes[place])]})
            level += STEP
        if size in heads:
            yield as_line({"head": heads[size]})
