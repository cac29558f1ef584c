"""The privacy officer's desk: every access on a professional's own word is looked at, and found justified or not."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import now, once, remember, rfc3339
from services.dossier import contract, rules, rules_reviews, store_reviews
from services.dossier.answers import refused
from services.dossier.rules_reviews import Action
from services.dossier.tables import tables_at
from services.refusals import ChangedMeanwhile, NotAllowed, Refusal
from services.tokens import Caller

_DONE: dict[Action, str] = {"take": "review.taken", "release": "review.released", "settle": "review.settled"}


class Reviews(Service):
    """The entrypoints of reviews; all of them for privacy officers alone. [domain: Emergency access]"""

    @rpc
    def reviews(
        self, caller: Caller, *, state: str | None = None, kind: str | None = None, limit: int = 50,
        cursor: str | None = None, mandate_id: str | None = None,
    ) -> contract.ReviewPage | Refusal:  # fmt: skip
        """The queue, the one that waits longest first; by state (waiting, taken, settled) and kind where named.

        mandate_id: the review of this access alone, by which other desks lead here.

        Refuses: NotAllowed (privacy officers only), InvalidInput.
        """
        at, queue = now(), rules_reviews.require_queue(state, kind, limit, cursor, mandate_id)
        with self.db.transaction(caller) as session:
            if not rules_reviews.may_review(caller.capacity, caller.role):
                return refused(session, caller, "review.searched", at, None, NotAllowed())
            found = store_reviews.reviews(session, queue)
            page = found[: queue.limit]
            emit(session, traced(caller, "review.searched", at=at, count=len(page)))
        return {
            "reviews": [_shown(row) for row in page],
            "next_cursor": page[-1].review_id if len(found) > queue.limit else None,
        }

    @rpc
    def review(self, caller: Caller, *, review_id: str) -> contract.ReviewShown | Refusal:
        """One access under review: who had it, where from, what they stated, and how it was found.

        Refuses: NotAllowed (privacy officers only), ReviewNotFound.
        """
        at, review_id = now(), rules.id_of(review_id)
        with self.db.transaction(caller) as session:
            if not rules_reviews.may_review(caller.capacity, caller.role):
                return refused(session, caller, "review.read", at, None, NotAllowed(), object_id=review_id)
            row = store_reviews.review(session, review_id)
            if row is None:
                refusal = contract.ReviewNotFound()
                return refused(session, caller, "review.read", at, None, refusal, object_id=review_id)
            _traced(session, caller, "review.read", row)
        return _shown(row)

    @rpc
    def take_review(
        self, caller: Caller, *, review_id: str, version: int | None = None
    ) -> contract.ReviewShown | Refusal:  # fmt: skip
        """Takes a review in hand; whose it is already keeps it.

        version: the one that was read; None takes it as it is.
        Refuses: NotAllowed (privacy officers only, and nobody reviews their own access), ReviewNotFound, ReviewTaken,
        ReviewSettled, ChangedMeanwhile.
        """
        return self._step(caller, "take", review_id, version)

    @rpc
    def release_review(
        self, caller: Caller, *, review_id: str, version: int | None = None
    ) -> contract.ReviewShown | Refusal:  # fmt: skip
        """Gives a review back to the queue: one's own, or that of an officer who is away. version: as in `take_review`.

        Refuses: NotAllowed (privacy officers only), ReviewNotFound, ReviewNotTaken, ReviewSettled, ChangedMeanwhile.
        """
        return self._step(caller, "release", review_id, version)

    @rpc
    def settle_review(
        self, caller: Caller, *, review_id: str, verdict: str, note: str, version: int | None = None
    ) -> contract.ReviewShown | Refusal:
        """Finds an access justified or not, and says why: for good, and seen by the holder beside the mandate.

        version: as in `take_review`. Refuses: NotAllowed (privacy officers only), ReviewNotFound, ReviewNotTaken,
        ReviewTaken (by another), ReviewSettled, ChangedMeanwhile, InvalidInput.
        """
        verdict, note = rules_reviews.require_verdict(verdict, note)
        return self._step(caller, "settle", review_id, version, verdict=verdict, note=note)

    @rpc
    def review_statistics(
        self, caller: Caller, *, since: str, until: str, limit: int = 50, cursor: str | None = None
    ) -> contract.ReviewStatistics | Refusal:
        """Who came on their own word in these days, how often they did beside the grounds that people gave them, and
        how that was found: the one with the most emergency accesses first.

        since, until: the first and the last day. Refuses: NotAllowed (privacy officers only), InvalidInput.
        """
        at, period = now(), rules_reviews.require_period(since, until)
        most, after = rules_reviews.require_limit(limit), rules_reviews.require_place(cursor)
        kinds = tables_at(at).mandate_kinds.values()
        own_mandates = [row.kind for row in kinds if row.opened_for == "professional"]
        with self.db.transaction(caller) as session:
            if not rules_reviews.may_review(caller.capacity, caller.role):
                return refused(session, caller, "review.counted", at, None, NotAllowed())
            found = store_reviews.statistics(session, period, own_mandates, after, most)
            page = found[:most]
            emit(session, traced(caller, "review.counted", at=at, count=len(page)))
        last = page[-1] if len(found) > most else None
        return {
            "professionals": [_counted(row) for row in page],
            "next_cursor": last and rules_reviews.place_after(last.emergency, last.professional_id),
        }

    def _step(
        self, caller: Caller, action: Action, review_id: str, version: int | None, **said: str
    ) -> contract.ReviewShown | Refusal:
        at, review_id, done = now(), rules.id_of(review_id), _DONE[action]
        body = {"review_id": review_id, "version": version, **said}
        with self.db.transaction(caller) as session:
            if not rules_reviews.may_review(caller.capacity, caller.role):
                return refused(session, caller, done, at, None, NotAllowed(), object_id=review_id)
            answered: contract.ReviewShown | None = once(session, caller, f"{action}_review", body)
            if answered is not None:
                return answered
            row = store_reviews.review(session, review_id, held=True)
            if row is None:
                return refused(session, caller, done, at, None, contract.ReviewNotFound(), object_id=review_id)
            refusal: Refusal | None = ChangedMeanwhile() if version not in (None, row.version) else None
            refusal = refusal or rules_reviews.step(action, row.state, row.taken_by, row.opened_by, caller.account_id)
            if refusal is not None:
                return refused(session, caller, done, at, row.record_id, refusal, object_id=review_id)
            if not (action == "take" and row.taken_by == caller.account_id):
                store_reviews.change(session, review_id, **rules_reviews.written(action, caller.account_id, at), **said)
            _traced(session, caller, done, row, purpose=said.get("verdict"))
            answer = _shown(store_reviews.review(session, review_id))
            return remember(session, caller, f"{action}_review", body, answer)


def _traced(session: Session, caller: Caller, action: str, row: Any, purpose: str | None = None) -> None:
    emit(
        session,
        traced(
            caller, action, at=now(), record_id=row.record_id, object_id=row.review_id, object_type="review",
            purpose=purpose,
        ),
    )  # fmt: skip


def _shown(row: Any) -> contract.ReviewShown:
    """A review as it travels."""
    return {
        "review_id": row.review_id,
        "version": row.version,
        "kind": row.kind,
        "state": row.state,
        "record_id": row.record_id,
        "mandate_id": row.mandate_id,
        "professional_id": row.professional_id,
        "establishment_id": row.establishment_id,
        "opened_at": rfc3339(row.opened_at),
        "read_until": rfc3339(row.read_until),
        "ended_at": row.ended_at and rfc3339(row.ended_at),
        "reason_category": row.reason_category,
        "reason": row.reason,
        "taken_by": row.taken_by,
        "taken_at": row.taken_at and rfc3339(row.taken_at),
        "verdict": row.verdict,
        "note": row.note,
        "settled_by": row.settled_by,
        "settled_at": row.settled_at and rfc3339(row.settled_at),
    }


def _counted(row: Any) -> contract.ProfessionalCounted:
    return {
        "professional_id": row.professional_id,
        "normal": row.normal,
        "emergency": _of(row.emergency, row.emergency_justified, row.emergency_not_justified),
        "responsibility": _of(row.responsibility, row.responsibility_justified, row.responsibility_not_justified),
    }


def _of(opened: int, justified: int, not_justified: int) -> contract.Counted:
    return {
        "opened": opened,
        "justified": justified,
        "not_justified": not_justified,
        "waiting": opened - justified - not_justified,
    }
