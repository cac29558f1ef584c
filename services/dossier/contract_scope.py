"""What one caller may do in one record, as it travels: the access scope, its clauses, and the facts of a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Clause:
    """What one ground gives: these categories, at these levels, to read and to deposit; folders None = any folder.

    unread, undeposited: types inside these categories that the agency has narrowed away. deposit_types: the only types
    that may be deposited; None = every type of the categories under `deposit`. dispenses: whether a prescription that
    is read under this clause may be marked as dispensed.
    """

    ground: str
    rule: str
    read: tuple[str, ...]
    deposit: tuple[str, ...]
    folders: tuple[str, ...] | None
    levels: tuple[str, ...]
    unread: tuple[str, ...] = ()
    undeposited: tuple[str, ...] = ()
    deposit_types: tuple[str, ...] | None = None
    dispenses: bool = False

    def reads(self, category: str, level: str, type: str | None = None, folder: str | None = None) -> bool:
        """Whether this clause lets a document of this kind be read; a folder or type not told is not asked about."""
        return (
            category in self.read
            and level in self.levels
            and type not in self.unread
            and (folder is None or self.folders is None or folder in self.folders)
        )

    def deposits(self, category: str, type: str, folder: str) -> bool:
        """Whether this clause lets a document of this kind be deposited."""
        if self.deposit_types is not None:
            return type in self.deposit_types
        in_folder = self.folders is None or folder in self.folders
        return category in self.deposit and type not in self.undeposited and in_folder

    def to_wire(self) -> dict[str, Any]:
        return {
            "ground": self.ground,
            "rule": self.rule,
            "read": list(self.read),
            "deposit": list(self.deposit),
            "folders": None if self.folders is None else list(self.folders),
            "levels": list(self.levels),
            "unread": list(self.unread),
            "undeposited": list(self.undeposited),
            "deposit_types": None if self.deposit_types is None else list(self.deposit_types),
            "dispenses": self.dispenses,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Clause:
        folders, types = wire["folders"], wire["deposit_types"]
        return cls(
            ground=wire["ground"],
            rule=wire["rule"],
            read=tuple(wire["read"]),
            deposit=tuple(wire["deposit"]),
            folders=None if folders is None else tuple(folders),
            levels=tuple(wire["levels"]),
            unread=tuple(wire["unread"]),
            undeposited=tuple(wire["undeposited"]),
            deposit_types=None if types is None else tuple(types),
            dispenses=wire["dispenses"],
        )


@dataclass(frozen=True)
class DocumentFacts:
    """What a decision needs to know of a document; `documents` owns these facts and hands them over.

    patient_blocked: hidden from the holder side until it was explained in person [L14 16(5)]. withheld: an autonomous
    minor's, hidden from the legal representatives [L14 13]. restricted: the professionals it is hidden from
    [RGD 6(3)].
    """

    category: str
    type: str
    folder: str
    level: str
    author_id: str | None = None
    patient_blocked: bool = False
    withheld: bool = False
    restricted: tuple[str, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        return {**asdict(self), "restricted": list(self.restricted)}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> DocumentFacts:
        return cls(**{**wire, "restricted": tuple(wire["restricted"])})


@dataclass(frozen=True)
class AccessScope:
    """What one caller may do in one record, now.

    A document may be read when one clause reads it (its category, its level, its folder where `folders` is given, its
    type unless it is among `unread`) and nothing hides it: a patient block from who may not see blocked ones, a
    withholding from who may not see withheld ones, a restriction against `reader_id`; or when `author_id` wrote it,
    whatever its level and whatever hides it. Clauses are never merged: a union of categories times a union of levels
    would grant too much. The first clause that lets an item through is the one a trace names; for the author, ground
    `author`, rule `author/own`. An empty scope looks the same for an unknown record, a closed one, a block and the
    lack of a ground.

    reader_id: the professional who reads, None on the holder side. default_levels: the holder's own for what is
    deposited from now on, by folder, "" for every folder not named. account_id: whose own unfinished deposits show; put
    in by documents, which knows who asks, and never on the wire.
    """

    record_id: str
    patient_id: str | None
    state: str | None
    holder_side: bool
    may_see_blocked: bool
    author_id: str | None
    clauses: tuple[Clause, ...]
    may_see_withheld: bool = True
    reader_id: str | None = None
    autonomous_minor: bool = False
    default_levels: Mapping[str, str] = field(default_factory=dict)
    account_id: str | None = None

    def level_at_deposit(self, folder: str) -> str:
        """The level of a document that is deposited into a folder now."""
        return self.default_levels.get(folder) or self.default_levels.get("") or "standard"

    def reading_clause(
        self, category: str, level: str, type: str | None = None, folder: str | None = None
    ) -> Clause | None:
        """The first clause that lets this caller read a document of this category and level."""
        return next((clause for clause in self.clauses if clause.reads(category, level, type, folder)), None)

    def to_wire(self) -> dict[str, Any]:
        return {
            "record_id": self.record_id,
            "patient_id": self.patient_id,
            "state": self.state,
            "holder_side": self.holder_side,
            "may_see_blocked": self.may_see_blocked,
            "may_see_withheld": self.may_see_withheld,
            "author_id": self.author_id,
            "reader_id": self.reader_id,
            "autonomous_minor": self.autonomous_minor,
            "default_levels": dict(self.default_levels),
            "clauses": [clause.to_wire() for clause in self.clauses],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> AccessScope:
        return cls(
            record_id=wire["record_id"],
            patient_id=wire["patient_id"],
            state=wire["state"],
            holder_side=wire["holder_side"],
            may_see_blocked=wire["may_see_blocked"],
            may_see_withheld=wire["may_see_withheld"],
            author_id=wire["author_id"],
            reader_id=wire["reader_id"],
            autonomous_minor=wire["autonomous_minor"],
            default_levels=dict(wire["default_levels"]),
            clauses=tuple(Clause.from_wire(clause) for clause in wire["clauses"]),
        )
