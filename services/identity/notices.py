"""What notifications asks to tell an account's owner something: addresses and facts, by the id of the notice.

And who the agency's agents are, for what waits in their queues.
"""

from collections.abc import Sequence
from typing import Any

from services.bus import rpc_system
from services.db import now, rfc3339
from services.identity import rules, store_account, store_notices
from services.identity.contract import ROLES
from services.identity.desk import Desk
from services.tokens import Context

SPENT = {"spent": True}


class Notices(Desk):
    """The entrypoints of notices."""

    @rpc_system("notifications")
    def account_notice(self, context: Context, *, notice_id: str) -> Any:
        """Whom to tell, in which language, and with which facts; `spent` when it is over or concerns nobody.

        The token of a reset link follows from its id: a repeat gets the same, and it is stored nowhere.
        """
        at = now()
        with self.db.transaction(context) as session:
            notice = store_notices.notice(session, notice_id) if rules.is_id(notice_id) else None
            if notice is None or not notice.recipients:
                return SPENT
            values = {"at": rfc3339(notice.created_at)}
            if notice.occasion == "password_reset_requested":
                reset_id = notice.object_id or ""
                if not reset_id or store_account.live_reset(session, reset_id, at) is None:
                    return SPENT
                values["reset"] = f"{reset_id}.{self.key.reset_token(reset_id)}"
            return {"occasion": notice.occasion, "language": notice.language, "recipients": notice.recipients,
                    "values": values}  # fmt: skip

    @rpc_system("notifications")
    def agents_of(self, context: Context, *, roles: Sequence[str]) -> Any:
        """The accounts of the agents who have one of these roles now (contract.ROLES); none that is locked."""
        asked = [role for role in roles if role in ROLES]
        with self.db.transaction(context) as session:
            return {"account_ids": store_notices.accounts_of_agents(session, asked)}
