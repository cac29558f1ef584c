"""The timeline of a record: its documents, risk factors, states and mandates in the order of time [seed 002].

States and mandates are dossier's, which tells them with the scope in one call; a line of neither source shows what the
caller may not see, and what is hidden leaves no gap.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.bus import rpc
from services.db import new_id, rfc3339
from services.documents import answers, answers_timeline, rules, rules_timeline, store, store_timeline
from services.documents.asking import Asking
from services.documents.contract import TimelinePage
from services.dossier.contract import MANDATE_EVENT, STATE_EVENT, AccessScope
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller

_EVENTS = (STATE_EVENT, MANDATE_EVENT)


class Timelines(Asking):
    """The entrypoint of the timeline."""

    @rpc
    def timeline(
        self, caller: Caller, *, record_id: str, kinds: list[str] | None = None, since: str | None = None,
        until: str | None = None, limit: int = 50, cursor: str | None = None,
    ) -> TimelinePage | Refusal:  # fmt: skip
        """Gives what happened in a record, newest first: documents by the day of the act, or else of the deposit, risk
        factors by the day they began, states, and mandates as they were opened and ended.

        kinds: some of TIMELINE_KINDS, None for all. since, until: ISO days in UTC, the last one included. limit: 1 to
        100. cursor: `next_cursor` of the page before, of the same question. The holder side and the referring physician
        are told of every state and mandate, others as `dossier.timeline_facts` says. One trace for the page.

        Refuses: RecordNotFound without a ground and without a document of one's own (RecordClosed to the holder);
        InvalidInput (kinds, since, until, limit, cursor) [seed 002, Ligne de vie; domain, Pages; RGD 5, RGD 8].
        """
        narrowed, errors = rules_timeline.read_asked(kinds, since, until)
        if errors:
            raise InvalidInput(errors=errors)
        after = rules_timeline.from_cursor(cursor, narrowed)
        answers.require(cursor=cursor is None or after is not None, limit=rules.is_page_limit(limit))
        asked = rules.canonical_id(record_id)
        scope, events = self._facts(caller, asked, narrowed, after, limit + 1)
        with self.db.transaction(caller) as session:
            rows = store_timeline.lines(session, scope, asked or new_id(), narrowed, after, limit + 1)
            nothing = not rows and not scope.clauses
            if asked is None or (nothing and not store.sees_anything(session, scope, asked)):
                return answers.refuse(session, caller, "timeline.read", answers.no_ground(scope), record_id=asked)
            page = answers_timeline.page(rows, events, narrowed, limit)
            grant, count = rules.ground_of_list(scope), len(page["items"])
            answers.allow(session, caller, "timeline.read", grant, record_id=asked, count=count)
            return page

    def _facts(
        self, caller: Caller, record_id: str | None, asked: rules_timeline.Asked, after: rules_timeline.Place | None,
        most: int,
    ) -> tuple[AccessScope, Any]:  # fmt: skip
        """What the caller may do and is told of; for no record dossier is asked about a made-up one."""
        told = self.dossier.timeline_facts(
            caller, record_id=record_id or new_id(), kinds=[each for each in _EVENTS if each in asked.kinds], most=most,
            since=asked.since and rfc3339(asked.since), until=asked.before and rfc3339(asked.before),
            after=after and [rfc3339(after[0]), *after[1:]],
        )  # fmt: skip
        return replace(AccessScope.from_wire(told["scope"]), account_id=caller.account_id), told["events"]
