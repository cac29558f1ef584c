"""What dossier tells documents for a timeline, in the one call that asks for the caller's scope too."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.bus import Service, rpc
from services.db import now, rfc3339
from services.dossier import contract, rules, rules_timeline, store_timeline
from services.dossier.answers import judge
from services.tokens import Caller


class Timeline(Service):
    """The entrypoint of timelines."""

    @rpc(processes=("documents",))
    def timeline_facts(
        self, caller: Caller, *, record_id: str, kinds: list[str], most: int, since: str | None = None,
        until: str | None = None, after: tuple[str, str, str] | None = None,
    ) -> contract.TimelineFacts:  # fmt: skip
        """The caller's access scope, and the states and mandates of a record that they are told of, newest first.

        kinds: `state`, `mandate` or both. since, until: RFC 3339, from and before. after: moment, kind and id of the
        last event of the page before. Writes no trace: documents, which answers the caller, does.

        The holder side and the referring physician are told of all; another professional that the record was opened
        and became active, and of their own mandates; who has no ground, of nothing. [domain: Pages]
        """
        at, record_id = now(), rules.id_of(record_id)
        place = None if after is None else (datetime.fromisoformat(after[0]), after[1], after[2])
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            let_in = bool(scope.clauses)
            rows = store_timeline.events(
                session, record_id, rules_timeline.told_to(scope), kinds, now=at, since=_moment(since),
                until=_moment(until), after=place, most=most,
                professional_id=caller.professional_id if let_in else None,
                establishment_id=caller.establishment_id if let_in else None,
            )  # fmt: skip
        return {"scope": scope.to_wire(), "events": [_event(row) for row in rows]}


def _event(row: Any) -> contract.TimelineEvent:
    return {
        "at": rfc3339(row.at), "kind": row.kind, "id": row.id, "what": row.what,
        "previous": row.previous, "cause": row.cause, "by": row.by,
        "mandate_id": row.mandate_id, "mandate_kind": row.mandate_kind, "professional_id": row.professional_id,
        "establishment_id": row.establishment_id, "read_until": row.read_until and rfc3339(row.read_until),
        "deposit_until": row.deposit_until and rfc3339(row.deposit_until),
    }  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
