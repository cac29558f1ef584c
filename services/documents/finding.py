"""Finding documents in a record: the list and what it is narrowed to, the tree of folders, the search by words.

All three show what the caller may see and tell nothing of the rest: it is neither counted, nor ranked, nor quoted.
"""

from __future__ import annotations

from typing import Any

from services.bus import rpc
from services.db import new_id, now
from services.documents import (
    answers,
    answers_finding,
    rules,
    rules_finding,
    rules_words,
    store,
    store_finding,
    store_visits,
    store_words,
)
from services.documents.asking import Asking
from services.documents.contract import FoundPage, ListedPage, Tree
from services.documents.document_types import document_types
from services.documents.rules_finding import Wanted
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller


class Finding(Asking):
    """List, tree, search."""

    @rpc(scope="system/DocumentReference.rs")
    def list_documents(
        self, caller: Caller, *, record_id: str, limit: int = 50, cursor: str | None = None,
        wanted: dict[str, Any] | None = None,
    ) -> ListedPage | Refusal:  # fmt: skip
        """Gives the documents of a record that this caller may see, newest deposit first, and nothing of the others.

        Each says whether it came after the caller's last visit to the record, which ended 30 quiet minutes before this.
        limit: 1 to 100. cursor: `next_cursor` of the page before, of the same question. wanted: as contract.Wanted,
        nothing for all. One trace for the page, with how many it showed.

        Refuses: RecordNotFound without a ground and without a document of one's own (RecordClosed to the holder);
        InvalidInput (limit, cursor, each member of wanted)
        [RGD 5, RGD 8; domain, Who may see what; domain, Documents: found by; seed 003].
        """
        kept = _read(wanted)
        after = rules_finding.place_in(cursor, kept)
        answers.require(cursor=cursor is None or after is not None, limit=rules.is_page_limit(limit))
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        with self.db.transaction(caller) as session:
            at = now()
            rows = store_finding.page(session, caller, scope, asked or new_id(), kept, after, limit, at)
            may_be_last = after is not None or kept != rules_finding.EVERYTHING
            nothing = not rows and not scope.clauses
            if asked is None or (nothing and not (may_be_last and store.sees_anything(session, scope, asked))):
                return answers.refuse(session, caller, "document.searched", answers.no_ground(scope), record_id=asked)
            grant = rules.ground_of_list(scope)
            count = min(len(rows), limit)
            since = rows[0].since if rows else store_visits.ended_before(session, caller, asked, at)
            answers.allow(session, caller, "document.searched", grant, record_id=asked, count=count, at=at)
            return answers_finding.page(rows, limit, kept, since)

    @rpc(scope="system/DocumentReference.rs")
    def read_tree(self, caller: Caller, *, record_id: str) -> Tree | Refusal:
        """Gives every folder with the types in it and how many documents of each this caller may see; most are empty.

        One trace, with how many documents it counted.

        Refuses: RecordNotFound without a ground and without a document of one's own (RecordClosed to the holder)
        [RGD 5; domain, Documents: found by; seed 003].
        """
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        with self.db.transaction(caller) as session:
            rows = store_finding.tree(session, scope, asked or new_id())
            if asked is None or (not rows and not scope.clauses):
                return answers.refuse(session, caller, "document.searched", answers.no_ground(scope), record_id=asked)
            grant = rules.ground_of_list(scope)
            count = sum(row.number for row in rows)
            answers.allow(session, caller, "document.searched", grant, record_id=asked, count=count)
            return answers_finding.tree(rows, caller.context.locale)

    @rpc(scope="system/DocumentReference.rs")
    def search_documents(
        self, caller: Caller, *, record_id: str, query: str, limit: int = 20, cursor: str | None = None,
        wanted: dict[str, Any] | None = None,
    ) -> FoundPage | Refusal:  # fmt: skip
        """Gives the documents of a record in whose title, type, author or text all that is sought stands, best first.

        query: up to 200 characters and 12 words or phrases; "in quotes" exactly so and side by side, else whole words,
        their beginnings from three letters on, and words of one stem in French, German, English or Portuguese; accents
        and case do not matter. limit: 1 to 50. cursor: `next_cursor` of the page before, of the same question. wanted:
        as contract.Wanted, without order and new_since_visit. One trace, without the words, with how many were shown.

        Refuses: RecordNotFound without a ground and without a document of one's own (RecordClosed to the holder);
        InvalidInput (query, limit, cursor, each member of wanted)
        [RGD 5, RGD 8; domain, Documents: found by; seeds 000, 003].
        """
        kept, terms = _read(wanted, "order", "new_since_visit"), rules_words.read_query(query)
        if terms is None:
            raise InvalidInput(errors=[{"pointer": "/query", "message": "invalid"}])
        after = rules_finding.place_in(cursor, kept, query)
        answers.require(cursor=cursor is None or after is not None, limit=rules_finding.is_search_limit(limit))
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        with self.db.transaction(caller) as session:
            stems = store_words.stems(session, rules_words.loose_words(terms))
            sought = rules_words.sought(terms, stems)
            rows = store_words.search(session, caller, scope, asked or new_id(), kept, sought, after, limit)
            if asked is None or (not rows and not scope.clauses and not store.sees_anything(session, scope, asked)):
                return answers.refuse(session, caller, "document.searched", answers.no_ground(scope), record_id=asked)
            grant = rules.ground_of_list(scope)
            count = min(len(rows), limit)
            answers.allow(session, caller, "document.searched", grant, record_id=asked, count=count)
            return answers_finding.found(rows, limit, kept, query, terms, stems)


def _read(given: dict[str, Any] | None, *without: str) -> Wanted:
    """What is wanted, checked. Refuses: InvalidInput."""
    wanted, errors = rules_finding.read_wanted(document_types(), given)
    errors += [{"pointer": f"/{name}", "message": "unknown"} for name in without if (given or {}).get(name) is not None]
    if errors:
        raise InvalidInput(errors=errors)
    return wanted
