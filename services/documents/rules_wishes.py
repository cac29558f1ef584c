"""Which deposits a holder's wish stands against, and which deposit meets one: pure decisions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from services.documents.rules import ClauseOfScope, DocumentType, Grant, Scope


class Opposed(Protocol):
    """A wish in force that opposes deposits. ground: of the stay it is about, None where it is about no stay."""

    @property
    def wish_id(self) -> str: ...
    @property
    def professional_id(self) -> str | None: ...
    @property
    def establishment_id(self) -> str | None: ...
    @property
    def ground(self) -> str | None: ...
    @property
    def type(self) -> str | None: ...


def opposing(
    wishes: Iterable[Opposed], clause: ClauseOfScope, kind: DocumentType, who: tuple[str | None, str | None]
) -> str | None:
    """The wish that stands against a deposit of this type under this ground, or None.

    who: the professional and the establishment where they work now; a wish about one of the two, or about a stay at
    an establishment, is against nobody else [RGD 6(3)].
    """
    professional_id, establishment_id = who
    for wish in wishes:
        named = wish.professional_id is not None or wish.establishment_id is not None
        theirs = wish.professional_id in (None, professional_id) and wish.establishment_id in (None, establishment_id)
        if named and theirs and wish.type in (None, kind.slug) and wish.ground in (None, clause.ground):
            return wish.wish_id
    return None


def may_deposit(
    scope: Scope, kind: DocumentType, wishes: Iterable[Opposed], who: tuple[str | None, str | None]
) -> Grant | str | None:
    """What lets this caller deposit this type against all wishes; else the wish that forbids it; None without a right.

    The holder side is never opposed by its own wishes.
    """
    against: str | None = None
    standing = () if scope.holder_side else tuple(wishes)
    for clause in scope.clauses:
        if clause.deposits(kind.category, kind.slug, kind.folder):
            opposed = opposing(standing, clause, kind, who)
            if opposed is None:
                return Grant(clause.ground, clause.rule)
            against = against or opposed
    return against
