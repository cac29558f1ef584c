"""Merging: an agent says that two sheets are one person's, or that this was a mistake.

Nothing of a sheet is copied or lost: the merged one leads to the survivor, which speaks for both, and each keeps its
matricules, identifiers and history. The records, documents and traces follow by event.
"""

from services.bus import emit, rpc
from services.db import now, once, remember, rfc3339
from services.directory import contract, contract_merges, rules, rules_merges, store_merges
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Merging(Desk):
    """The entrypoints of merging."""

    @rpc
    def merge_patients(
        self, caller: Caller, *, survivor_id: str, merged_id: str, reason: str
    ) -> contract_merges.ShownMerge | Refusal:
        """Makes one sheet speak for another; both ids and all matricules keep resolving, to the survivor.

        The very same merge asked for again, by another agent at the same moment too, answers the merge there is.
        Refuses: NotAllowed (no agent), InvalidInput (the same sheet twice, unknown reason), PersonNotFound,
        AlreadyMerged (another sheet speaks for one of the two). [domain, Directories]
        """
        given = {"survivor_id": survivor_id, "merged_id": merged_id, "reason": reason}
        action = "patient.merged"
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, action, NotAllowed())
            wish = rules_merges.require_wish(**given)
            answered: contract_merges.ShownMerge | None = once(session, caller, "merge_patients", given)
            if answered:
                return answered
            people = store_merges.lock_people(session, wish.pair)
            verdict = rules_merges.verdict(wish, people)
            if isinstance(verdict, Refusal):
                return self._refused(session, caller, action, verdict, wish.survivor_id)
            if verdict == "merge":
                at = now()
                made = store_merges.merge(session, wish, caller, at)
                rate = rules_merges.rate_of(*people.values())
                store_merges.settle_pair(session, wish.pair, rate, "merged", caller, at)
                emit(session, contract.PatientsMerged(
                    made.merge_id, wish.survivor_id, wish.merged_id, rfc3339(at), caller.account_id,
                ))  # fmt: skip
            else:
                made = store_merges.running_merge(session, wish.merged_id)
            self._traced(session, caller, action, wish.survivor_id, purpose=wish.merged_id)
            return remember(session, caller, "merge_patients", given, store_merges.shown(made))

    @rpc
    def unmerge_patients(self, caller: Caller, *, merge_id: str) -> contract_merges.ShownMerge | Refusal:
        """Undoes a merge: the two are two people again, each with what was theirs; undone once more it stays undone.

        Other merges stay: whoever was merged into the one that leaves goes along, and so does whoever it led to.
        Refuses: NotAllowed (no agent), MergeNotFound.
        """
        action = "patient.unmerged"
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, action, NotAllowed())
            answered: contract_merges.ShownMerge | None = once(session, caller, "unmerge_patients", merge_id)
            if answered:
                return answered
            asked = rules.as_id(merge_id)
            merge = store_merges.merge_of(session, asked)
            if merge is None:
                return self._refused(session, caller, action, contract_merges.MergeNotFound())
            people = store_merges.lock_people(session, (merge.survivor_id, merge.merged_id))
            merge = store_merges.merge_of(session, asked)  # as it is now that nobody else changes it
            assert merge is not None, "a merge vanished"
            if merge.undone_at is None:
                at = now()
                store_merges.undo(session, merge, caller, at)
                pair = rules_merges.pair_of(merge.survivor_id, merge.merged_id)
                store_merges.settle_pair(session, pair, rules_merges.rate_of(*people.values()), "distinct", caller, at)
                emit(session, contract.PatientsUnmerged(
                    merge.merge_id, merge.survivor_id, merge.merged_id, rfc3339(at), caller.account_id,
                ))  # fmt: skip
            self._traced(session, caller, action, merge.survivor_id, purpose=merge.merged_id)
            return remember(session, caller, "unmerge_patients", merge_id, store_merges.shown(merge))

    @rpc
    def merges(self, caller: Caller, *, limit: int = 50, cursor: str | None = None) -> contract_merges.Merges | Refusal:
        """The merges, undone ones included, newest first.

        Refuses: NotAllowed (no agent), InvalidInput (cursor, limit).
        """
        most, after = rules_merges.require_merges_limit(limit), rules_merges.require_merges_position(cursor)
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "merge.searched", NotAllowed())
            found = store_merges.merges_after(session, after, most + 1)
            page = found[:most]
            self._traced(session, caller, "merge.searched", count=len(page))
            more = len(found) > most
            return {
                "merges": [store_merges.shown(merge) for merge in page],
                "next_cursor": rules_merges.merges_cursor(page[-1].merge_id) if more else None,
            }
