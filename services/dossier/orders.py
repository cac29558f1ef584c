"""Orders: a laboratory, an imaging centre or a hospital registers a sample or an examination whose result will come.

This is how "all your results arrive directly" [seed 001]: those who work there deposit, and read what they wrote.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Service, rpc
from services.db import now
from services.dossier import contract, rules, rules_stays, stays, store_mandates, store_stays
from services.dossier.answers import allowed, judge, mandate_shown, refused
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller

SCOPE = "system/ServiceRequest.cu"


class Orders(Service):
    """The entrypoints of orders; their holder ends one as any mandate (`end_mandate`)."""

    @rpc(scope=SCOPE)
    def register_order(self, caller: Caller, *, record_id: str, reference: str) -> dict[str, Any] | Refusal:
        """Registers a sample or an examination at the caller's establishment: those who work there deposit its result.

        reference: the establishment's own number of the order; the same one again gives the order there is, ended
        where its holder opposed.

        Refuses: RecordNotFound (unknown, closed and not yet open, alike), NotAllowed (professionals and software of an
        establishment only), InvalidInput. [domain, Mandates: order; RGD 6(3)]
        """
        return stays.register(self.db, caller, record_id, contract.ORDER_KIND, reference)

    @rpc(scope=SCOPE)
    def list_orders(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """The orders in a record, ended ones included: all for the holder side, an establishment's own for its people.

        Refuses: RecordNotFound, RecordClosed (to the holder alone).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_open_ground(scope)
            if refusal is not None:
                return refused(session, caller, "mandate.searched", at, record_id, refusal)
            whose = (None, None) if scope.holder_side else (caller.professional_id, caller.establishment_id)
            orders = store_mandates.mandates(session, record_id, *whose, kind=contract.ORDER_KIND)
            allowed(session, caller, "mandate.searched", at, scope, count=len(orders))
        return {"orders": [mandate_shown(order) for order in orders]}

    @rpc(scope=SCOPE)
    def validate_order(self, caller: Caller, *, record_id: str, order_id: str) -> dict[str, Any] | Refusal:
        """The result was validated: it is deposited within 15 days. Said again, the first validation stands.

        Refuses: MandateNotFound (unknown, another establishment's, the record closed, alike), NotAllowed.
        """

        def validate(session: Session, order: Any, at: datetime) -> Any:
            if order.closes_at is not None or not stays.running(order, at):
                return order
            times = rules_stays.validated(tables_at(at).mandate_kinds[order.kind], stays.times_of(order), at)
            return store_stays.change(session, order, times, closes_at=at)

        kinds = (contract.ORDER_KIND,)
        return stays.change(self.db, caller, "mandate.closed", record_id, order_id, kinds, validate)
