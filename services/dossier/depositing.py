"""What documents asks of dossier about deposits: what software may deposit in a record, and whom a holder's wish means.

As in readers.py, nothing here is traced: the service that answers the caller does that. Software without a person in
its token deposits in the name of a professional who works at its establishment, with that professional's rights there;
or, where documents knows it as the health fund's, the fund's own kind of document and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.bus import Service, rpc
from services.db import now
from services.dossier import contract, rules, rules_depositing, store, store_mandates, store_professionals
from services.dossier.answers import judge
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Depositing(Service):
    """The entrypoints of deposits."""

    @rpc(processes=("documents",), scope="system/DocumentReference.c")
    def scope_of_software(
        self, caller: Caller, *, record_id: str, author_id: str | None = None
    ) -> dict[str, Any] | Refusal:
        """What software may do in a record in a professional's name, with their profession; or as an institution.

        author_id: the professional; they work at the software's establishment, as the directory announced them. None:
        the institution itself. The holder is told of an author's first access as of anybody's.

        Refuses: NotAllowed (no software, or a professional who does not work there with a valid licence).
        [domain, Mandates: order; RGD 5(1)]
        """
        at, record_id = now(), rules.id_of(record_id)
        if caller.capacity != "machine" or caller.establishment_id is None:
            return NotAllowed()
        with self.db.transaction(caller) as session:
            if author_id is None:
                record = store.record_for_institution(session, record_id)
                return {
                    "scope": rules_depositing.institution_scope(tables_at(at), record_id, record).to_wire(),
                    "profession": None,
                }
            author = store_professionals.at_workplace(session, rules.id_of(author_id), caller.establishment_id)
            if author is None or author.licence != "valid":
                return NotAllowed()
            named = replace(
                caller, capacity="professional", professional_id=author.professional_id, profession=author.profession
            )
            _, scope = judge(session, named, record_id, at)
        return {"scope": scope.to_wire(), "profession": author.profession}

    @rpc(processes=("documents",))
    def whom_of_wish(
        self, caller: Caller, *, record_id: str, professional_id: str | None = None, mandate_id: str | None = None
    ) -> dict[str, str | None] | Refusal:
        """Whom a wish about deposits means: a professional, or who has a mandate, and by which ground.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed; ProfessionalNotFound, MandateNotFound.
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_open_ground(scope) or (None if scope.holder_side else contract.RecordNotFound())
            if refusal is not None:
                return refusal
            if professional_id is not None:
                if not store_professionals.has_professional(session, rules.id_of(professional_id)):
                    return contract.ProfessionalNotFound()
                return {"professional_id": professional_id, "establishment_id": None, "ground": None}
            mandate = store_mandates.mandate(session, record_id, rules.id_of(mandate_id))
            if mandate is None:
                return contract.MandateNotFound()
        return {
            "professional_id": mandate.professional_id,
            "establishment_id": mandate.establishment_id if mandate.professional_id is None else None,
            "ground": mandate.kind,
        }
