"""What dossier says of who may write to whom: between a record's holder side and professionals, and among these."""

from __future__ import annotations

from typing import TypedDict


class Correspondence(TypedDict):
    """Answer of `correspondence`: one record's holder side, and which professionals it may exchange messages with now.

    record_id: the record that speaks for the one asked about. open: whether anything may be written in it. holder: null
    for an unknown record and after a death. role: as what the patient asked about stands on the holder side (`holder`,
    `representative`), null where they do not; speaks_id: who speaks for that patient. professionals: of each who may
    write and be written to, on what ground.
    """

    record_id: str
    open: bool
    holder: str | None
    representatives: list[str]
    autonomous_minor: bool
    role: str | None
    speaks_id: str | None
    professionals: dict[str, str]


class Side(TypedDict):
    """A record whose messages a patient may read, and as what. found_in: the record to which it leads by now, itself
    where it leads to none."""

    record_id: str
    found_in: str
    role: str


class Sides(TypedDict):
    """Answer of `sides_of`: as their own first."""

    sides: list[Side]
