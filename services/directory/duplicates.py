"""Sheets that may be one person's: looked at and told apart by agents; desk.py finds them when a sheet is written."""

from services.bus import rpc
from services.db import now, once, remember, rfc3339
from services.directory import contract, rules_duplicates, store_duplicates
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Duplicates(Desk):
    """The entrypoints of possible duplicates."""

    @rpc
    def possible_duplicates(
        self, caller: Caller, *, limit: int = 50, cursor: str | None = None
    ) -> contract.PossiblePairs | Refusal:
        """The pairs of sheets that nobody has looked at yet, the most alike first, with who each sheet is about.

        Refuses: NotAllowed (agents only), InvalidInput. [domain, Directories]
        """
        limit, after = rules_duplicates.require_page(limit, cursor)
        with self.db.transaction(caller) as session:
            if not rules_duplicates.may_look_at_duplicates(caller.capacity):
                return self._refused(session, caller, "duplicate.searched", NotAllowed())
            found = store_duplicates.open_pairs(session, limit + 1, after)
            page = found[:limit]
            self._traced(session, caller, "duplicate.searched", count=len(page))
        last = page[-1].position if len(found) > limit else None
        return {
            "duplicates": [
                {"one": pair.one, "other": pair.other, "rate": pair.position.rate, "found_at": rfc3339(pair.found_at)}
                for pair in page
            ],
            "next_cursor": rules_duplicates.cursor_after(last) if last else None,
        }

    @rpc
    def settle_duplicate(
        self, caller: Caller, *, one_id: str, other_id: str, settled: str
    ) -> contract.Settled | Refusal:
        """Says that two sheets are two people's: they are not noted again, however alike they become.

        One who says it of a pair already told apart changes nothing. That they are one person is said by merging them.
        Refuses: NotAllowed (agents only), InvalidInput, DuplicateNotFound. [domain, Directories]
        """
        one, other = rules_duplicates.require_settlement(one_id, other_id, settled)
        given = {"one_id": one, "other_id": other, "settled": settled}
        with self.db.transaction(caller) as session:
            if not rules_duplicates.may_look_at_duplicates(caller.capacity):
                return self._refused(session, caller, "duplicate.settled", NotAllowed(), one)
            answered: contract.Settled | None = once(session, caller, "settle_duplicate", given)
            if answered is not None:
                return answered
            if not store_duplicates.settle(session, one, other, settled, str(caller.account_id), now()):
                return self._refused(session, caller, "duplicate.settled", contract.DuplicateNotFound(), one)
            self._traced(session, caller, "duplicate.settled", one)
            answer: contract.Settled = {"one_id": one, "other_id": other, "settled": settled}
            remember(session, caller, "settle_duplicate", given, answer)
            return answer
