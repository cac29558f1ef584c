"""What becomes of a deposit: asked by the gateway for whoever waits, as a part of the request that deposited."""

from __future__ import annotations

from services.bus import rpc
from services.db import new_id
from services.documents import answers, rules, store_examining
from services.documents.asking import Asking
from services.documents.contract import DepositState
from services.refusals import Refusal
from services.tokens import Caller


class Checking(Asking):
    """The entrypoint of the close look; the look itself is work for processes of its own (examine.py)."""

    @rpc(scope="system/DocumentReference.c")
    def deposit_state(self, caller: Caller, *, upload_id: str) -> DepositState | Refusal:
        """How far the close look at one's own deposit is. Leaves no trace: it is a part of the deposit's own request.

        Refuses: UploadNotFound, the same for unknown, foreign and not committed.
        """
        asked = rules.canonical_id(upload_id) or new_id()
        with self.db.transaction(caller) as session:
            row = store_examining.state_of_upload(session, asked, caller.account_id, caller.capacity)
            if row is None:
                return answers.refuse_upload(session, caller, asked)
            return {"state": row.state, "reason": row.reason}
