"""Who may change a document, and by which words: pure decisions over an access scope and a document's facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.documents.contract import JPEG, PDF, PNG, TEXT
from services.documents.contract_versions import RECTIFICATION_LENGTH
from services.documents.rules import AUTHOR, DocumentType, Errors, Facts, Grant, Scope, hidden, may_deposit, may_read

WORDING: tuple[str, ...] = ("type", "title", "act_date", "language")
"""What may be corrected of a document without new bytes."""

SHOWN_AS_THEY_ARE = frozenset({PDF, PNG, JPEG, TEXT})
"""Kinds of bytes that a page shows by themselves; others are shown by what was made of them."""


def may_version(scope: Scope, facts: Facts, *, holder_authored: bool, asked: bool) -> Grant | None:
    """What lets this caller make a new version, or None.

    A professional where one ground gives `rw` on the category and they see the document by it, or as its author; an
    author alone only where the holder asked for it (`asked`: within 15 days). The holder side: what it deposited, of
    a type that who asks may deposit. What is hidden from a professional they do not change [domain, Documents].
    """
    if scope.holder_side:
        sees = holder_authored and may_read(scope, facts) is not None
        clauses = scope.clauses if sees else ()
        given = [each for each in clauses if each.deposits(facts.category, facts.type, facts.folder)]
        return Grant(given[0].ground, given[0].rule) if given else None
    own = scope.author_id is not None and scope.author_id == facts.author_id
    if not hidden(scope, facts):
        for clause in scope.clauses:
            sees = clause.reads(facts.category, facts.level, facts.type, facts.folder)
            knows = own and clause.reads(facts.category, "standard", facts.type, facts.folder)
            if (sees or knows) and clause.deposits(facts.category, facts.type, facts.folder):
                return Grant(clause.ground, clause.rule)
    return AUTHOR if own and asked else None


def may_become(scope: Scope, facts: Facts, kind: DocumentType, *, asked: bool) -> bool:
    """Whether this caller may give the document this type: they may deposit it, and will still see the document.

    An author who is asked to put their document right may within its category, for which they once had the right.
    """
    then = replace(facts, type=kind.slug, category=kind.category, folder=kind.folder)
    granted = may_deposit(scope, kind) is not None
    own = scope.author_id is not None and scope.author_id == facts.author_id
    return may_read(scope, then) is not None and (granted or (own and asked and kind.category == facts.category))


def holds(revision: int, wanted: int | None, *, pending: bool) -> bool:
    """Whether what is changed is what was read. wanted: the count of changes then, None for whatever is there now.

    pending: somebody's newer version is still looked at; it would be overwritten unseen.
    """
    return wanted is None or (wanted == revision and not pending)


def revision(number: int, wording: int) -> int:
    """How often a document changed, from 1: a new current version or another wording; it never says a number twice."""
    return number + wording - 1


def read_changes(changes: object) -> tuple[Mapping[str, object], Errors]:
    """The corrections that were sent, or what is wrong with them as such; their values are another's to check."""
    if not isinstance(changes, Mapping) or not changes:
        return {}, [{"pointer": "", "message": "required"}]
    unknown = [name for name in changes if name not in WORDING]
    return changes, [{"pointer": f"/{name}", "message": "unknown_member"} for name in unknown]


def read_words(words: object) -> str | None:
    """Somebody's words of 1 to 2000 characters, lines kept, or None when they are none."""
    if not isinstance(words, str):
        return None
    clean = "\n".join(" ".join(line.split()) for line in words.strip().splitlines())
    fine = all(ch == "\n" or (ch.isprintable() and not 0xD800 <= ord(ch) <= 0xDFFF) for ch in clean)
    return clean if fine and 1 <= len(clean) <= RECTIFICATION_LENGTH else None
