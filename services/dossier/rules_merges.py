"""Which record speaks for a person who was registered twice: pure decisions over what directory told and what is there.

Directory's events come in any order. Each is therefore only noted, and where every record belongs follows from all
that was noted: a repeat, and another order, end in the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

STATES_BY_USE: Final = ("active", "open_by_lapse", "open", "requested", "closed")
"""Of two records the one in the earlier state survives: what is used before what only waits, closed ones last."""


@dataclass(frozen=True)
class Merge:
    """Two patients that are one, as directory told; merge ids are in the order of their making."""

    merge_id: str
    survivor_id: str
    merged_id: str
    undone: bool


@dataclass(frozen=True)
class Kept:
    """A record as it stands.

    owner_id: the patient it was opened for. patient_id: who speaks for them. merged_into: the record that speaks for
    this one. state: that of its life cycle; while it is merged, the one it had before.
    """

    record_id: str
    owner_id: str
    patient_id: str
    state: str
    merged_into: str | None


@dataclass(frozen=True)
class Place:
    """Where a record belongs."""

    patient_id: str
    merged_into: str | None


def running(merges: Iterable[Merge]) -> list[Merge]:
    """Returns the merges that hold now.

    Directory merges living sheets alone. So a merge is over when it was undone, and also when a later one names the
    sheet that it led away: the news of its end is only still on its way.
    """
    told = list(merges)
    return [
        one for one in told
        if not one.undone
        and not any(
            later.merge_id > one.merge_id and one.merged_id in (later.survivor_id, later.merged_id) for later in told
        )
    ]  # fmt: skip


def speakers(merges: Iterable[Merge]) -> dict[str, str]:
    """Returns, of each patient whom a running merge leads away, who speaks for them in the end."""
    leads = {merge.merged_id: merge.survivor_id for merge in running(merges)}
    found: dict[str, str] = {}
    for merged_id in leads:
        speaker = leads[merged_id]
        while speaker in leads:  # no circle: of its merges the latest would name somebody already led away
            speaker = leads[speaker]
        found[merged_id] = speaker
    return found


def survivor(records: Sequence[Kept]) -> Kept | None:
    """Returns the record that stays of a person's records; None of none.

    The active one before the one open by lapse, before one that only waits for its holder, before a closed one; of two
    in the same state the older. Record ids are in the order of opening.
    """
    return min(records, key=lambda kept: (STATES_BY_USE.index(kept.state), kept.record_id), default=None)


def content_follows(merged: str, surviving: str) -> bool:
    """Whether documents, traces and grants of a record in the state `merged` go along to one in the state `surviving`.

    Not from a closed record into one that is read: what its holder closed stays closed.
    """
    return merged != "closed" or surviving == "closed"


def places(speakers: Mapping[str, str], records: Sequence[Kept]) -> dict[str, Place]:
    """Returns where each record belongs: with whoever speaks for its owner, one record per person speaking for all.

    A record that was merged stays merged into the same one as long as both are one person's, so that nothing moves
    that need not; what nobody speaks for any more is weighed anew.
    """
    whose = {kept.record_id: speakers.get(kept.owner_id, kept.owner_id) for kept in records}
    leads = {
        kept.record_id: kept.merged_into
        for kept in records
        if kept.merged_into is not None and whose.get(kept.merged_into) == whose[kept.record_id]
    }
    for patient_id in set(whose.values()):
        heads = [kept for kept in records if whose[kept.record_id] == patient_id and kept.record_id not in leads]
        best = survivor(heads)
        if best is not None:
            leads |= {head.record_id: best.record_id for head in heads if head is not best}
    return {record_id: Place(patient_id, leads.get(record_id)) for record_id, patient_id in whose.items()}


def moves(kept: Kept, place: Place) -> bool:
    """Whether a record is not where it belongs."""
    return (kept.patient_id, kept.merged_into) != (place.patient_id, place.merged_into)


def downwards(leads: Mapping[str, str]) -> list[tuple[str, str]]:
    """Returns (merged record, the one it leads to), those nearest to the surviving record first.

    leads: of each merged record, the one it was merged into.
    """

    def distance(record_id: str) -> int:
        steps = 0
        while record_id in leads:
            record_id, steps = leads[record_id], steps + 1
        return steps

    return sorted(leads.items(), key=lambda lead: (distance(lead[0]), lead))
