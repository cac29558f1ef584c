"""What the scrub found, for the agency: which objects of the store are not what they were."""

from __future__ import annotations

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import now, rfc3339
from services.documents import answers, rules_ends, store_scrubs
from services.documents.contract_ends import Scrubs
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Scrubbing(Service):
    """The entrypoint of the scrub's findings."""

    @rpc
    def list_scrubs(self, caller: Caller, *, limit: int = 50, cursor: str | None = None) -> Scrubs | Refusal:
        """Objects that are missing or changed, and how far the scrub is; ids alone, nothing of what they hold.

        Refuses: NotAllowed (agents only); InvalidInput.
        """
        _, most, after = rules_ends.require_queue(None, limit, cursor)
        with self.db.transaction(caller) as session:
            if not rules_ends.may_work(caller.capacity):
                return answers.refuse(session, caller, "scrub.searched", NotAllowed(), record_id=None)
            found, progress = store_scrubs.findings(session, after, most), store_scrubs.progress(session)
            page = found[:most]
            emit(session, traced(caller, "scrub.searched", at=now(), object_type="scrub", count=len(page)))
        return {
            "findings": [
                {"object_id": row.object_id, "document_id": row.document_id, "kind": row.kind, "finding": row.finding,
                 "at": rfc3339(row.at)}
                for row in page
            ],
            "objects": progress.objects, "scrubbed": progress.scrubbed,
            "since": None if progress.since is None else rfc3339(progress.since),
            "next_cursor": page[-1].object_id if len(found) > most else None,
        }  # fmt: skip
