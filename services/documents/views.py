"""What the holder side asks about what others see, and what a caller may deposit: the decision, turned round.

dossier decides about people who are not calling; documents hands it the facts, and shows nothing that who asks would
not see themselves.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from services.bus import rpc
from services.db import new_id
from services.documents import answers, rules, rules_hidden, store, store_hidden
from services.documents.asking import Asking, of_others
from services.documents.contract import DepositableTypes, DocumentPage, Explained, Readers
from services.documents.document_types import document_types
from services.dossier.contract import AccessScope
from services.refusals import InvalidInput, Refusal
from services.settings import load
from services.tokens import Caller


class Views(Asking):
    """Who sees a document, what somebody sees of a record, which types may be deposited."""

    @rpc(scope="system/DocumentReference.c")
    def depositable_types(self, caller: Caller, *, record_id: str) -> DepositableTypes | Refusal:
        """Gives the types of document that this caller may deposit in this record now, in the order of the list.

        Refuses: RecordNotFound without a ground (RecordClosed to the holder), as a deposit [RGD 9(1), RGD Annex 1].
        """
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        with self.db.transaction(caller) as session:
            if asked is None or not scope.clauses:
                return answers.refuse(session, caller, "types.read", answers.no_ground(scope), record_id=asked)
            types = [kind for kind in document_types().values() if rules.may_deposit(scope, kind)]
            grant = rules.ground_of_list(scope)
            answers.allow(session, caller, "types.read", grant, record_id=asked, count=len(types))
            return {"types": [answers.depositable(kind, load().upload_max_bytes) for kind in types]}

    @rpc
    def list_documents_as(
        self, caller: Caller, *, record_id: str, professional_id: str, limit: int = 50, cursor: str | None = None
    ) -> DocumentPage | Refusal:
        """Gives the holder side the list that a professional would get now, without what is hidden from who asks.

        A professional who would get none, and one whom nobody knows, sees an empty list. limit, cursor: as in
        `list_documents`. One trace, of who asks; none of the professional, who saw nothing.

        Refuses: RecordNotFound to everybody but the holder side; RecordClosed; InvalidInput (limit, cursor)
        [domain, Who may see what].
        """
        after = rules.from_cursor(cursor)
        answers.require(cursor=cursor is None or after is not None, limit=rules.is_page_limit(limit))
        asked, whom = rules.canonical_id(record_id), rules.canonical_id(professional_id) or new_id()
        own = self._scope(caller, asked)
        if asked is None or not own.holder_side or not own.clauses:
            with self.db.transaction(caller) as session:
                return answers.refuse(session, caller, "document.shown", answers.no_ground(own), record_id=asked)
        told = of_others(self.dossier.scope_of, caller, record_id=asked, professional_id=whom)
        with self.db.transaction(caller) as session:
            if isinstance(told, Refusal):
                return answers.refuse(session, caller, "document.shown", told, record_id=asked)
            rows = store.page(session, AccessScope.from_wire(told), asked, after, limit, shown_to=own)
            grant = rules.ground_of_list(own)
            count = min(len(rows), limit)
            answers.allow(
                session, caller, "document.shown", grant, record_id=asked, object_id=whom, object_type="professional",
                count=count,
            )  # fmt: skip
            return answers.page(rows, limit)

    @rpc
    def readers(self, caller: Caller, *, document_id: str, moment: str | None = None) -> Readers | Refusal:
        """Gives the holder side everybody who can see a document, each with the ground and the rule that lets them.

        moment: RFC 3339, one that has passed, after the deposit: who could see it then, with the level it had and what
        hid it; None for now.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign, now; NotAllowed to a professional who sees
        it; InvalidInput (moment) [RGD 5, RGD 6(3); domain, Who may see what].
        """
        at = _read_moment(moment)
        asked, record_id, _ = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        may, action = rules_hidden.may_restrict, "rights.searched"
        seen = self._seen(scope, record_id, asked, at)
        told: Any = {"readers": []}
        if seen is not None and scope.holder_side:
            facts = seen.facts.to_wire()
            told = of_others(self.dossier.readers_of_document, caller, record_id=record_id, facts=facts, at=moment)
        with self.db.transaction(caller) as session:
            if isinstance(told, Refusal):
                return answers.refuse_document(session, caller, action, place)
            # Looked at once more: of what was hidden meanwhile nothing is told.
            row = answers.held(session, caller, action, scope, place, may, look=store.seen_document)
            return row if isinstance(row, Refusal) else {"readers": told["readers"]}

    @rpc
    def explain_document(
        self, caller: Caller, *, document_id: str, who: str | dict[str, Any], action: str, moment: str | None = None
    ) -> Explained | Refusal:
        """Gives the decision about somebody and a document, now or at a past moment, with the rule that made it.

        who: "me", {"professional_id": ...} or {"patient_id": ...}, an assistant or a representative: the holder side
        may ask about anyone, a professional about themself, who is told nothing of a restriction that ran. action:
        read, deposit or change_level. moment: RFC 3339, after the deposit; the document's level and all that hid it
        count as they were then.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign, now; RecordNotFound to a professional who
        asks about another; InvalidInput (who, action, moment) [domain, Who may see what].
        """
        at = _read_moment(moment)
        asked, record_id, home_id = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        seen = self._seen(scope, record_id, asked, at)
        told: Any = None
        if seen is not None:
            told = of_others(
                self.dossier.explain_document, caller, record_id=record_id, who=who, document=seen.facts.to_wire(),
                action=action, moment=moment,
            )  # fmt: skip
        with self.db.transaction(caller) as session:
            name = "rights.explained"
            if isinstance(told, Refusal):
                return answers.refuse(session, caller, name, told, record_id=home_id, object_id=asked)
            row = answers.held(session, caller, name, scope, place, rules.may_read, look=store.seen_document)
            return row if isinstance(row, Refusal) else cast(Explained, told)

    def _seen(
        self, scope: AccessScope, record_id: str | None, document_id: str | None, at: datetime | None = None
    ) -> store_hidden.Seen | None:
        """The facts of a document that the caller sees now. Refuses: InvalidInput (a moment before its deposit)."""
        with self.db.transaction() as session:
            seen = store_hidden.facts_seen(session, scope, record_id or new_id(), document_id or new_id(), at)
        if seen is not None and at is not None and at < seen.deposited_at:
            raise InvalidInput(errors=[{"pointer": "/moment", "message": "out_of_range"}])
        return seen


def _read_moment(moment: str | None) -> datetime | None:
    at = rules_hidden.read_moment(moment)
    if moment is not None and at is None:
        raise InvalidInput(errors=[{"pointer": "/moment", "message": "moment"}])
    return at
