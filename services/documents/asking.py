"""What every question about a document begins with: which record it lies in, and what dossier says of the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from services.bus import Service
from services.db import new_id
from services.documents import rules, store
from services.documents.contract import AuthorUnknown
from services.dossier.contract import (
    AccessScope,
    MandateNotFound,
    ProfessionalNotFound,
    RecordClosed,
    RecordNotFound,
)
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


@dataclass(frozen=True)
class Depositor:
    """Who deposits, and what they may do: the caller, or the author that software without a person names.

    caller: as traces name them. refusal: why nobody deposits at all.
    """

    caller: Caller
    scope: AccessScope
    refusal: Refusal | None = None

    @property
    def establishment_id(self) -> str | None:
        """Where they deposit: the workplace they logged in at, the software's own; nowhere for the holder side.

        identity saw to it that they work there when it signed the token, as it does every ten minutes. [interfaces.md]
        """
        return None if self.scope.holder_side else self.caller.establishment_id


class Asking(Service):
    """The looks before a transaction begins."""

    dossier: Any  # the service's way to dossier
    directory: Any

    def _scope(self, caller: Caller, record_id: str | None) -> AccessScope:
        """What the caller may do; for no record dossier is asked about a made-up one, so that it takes as long."""
        told = AccessScope.from_wire(self.dossier.access_scope(caller, record_id=record_id or new_id()))
        return replace(told, account_id=caller.account_id)

    def _depositor(self, caller: Caller, record_id: str | None, author: str | None) -> Depositor:
        """Who deposits in this record: the caller, or, for software without a person, the author it names or the fund.

        A person, and software whose token names one, is the author of what they deposit and names no other.
        """
        if caller.capacity != "machine":
            scope = self._scope(caller, record_id)
            refused = None if author in (None, caller.professional_id) else NotAllowed()
            return Depositor(caller, scope, refused)
        asked, nothing = record_id or new_id(), AccessScope(record_id or "", None, None, False, False, None, ())
        if author is None:
            told = self.directory.establishment_kind(caller.context, establishment_id=caller.establishment_id)
            if told["kind"] != "health_fund":
                return Depositor(caller, nothing, AuthorUnknown())
        told = of_others(self.dossier.scope_of_software, caller, record_id=asked, author_id=author)
        if isinstance(told, Refusal):
            return Depositor(caller, nothing, AuthorUnknown())
        scope = replace(AccessScope.from_wire(told["scope"]), account_id=caller.account_id)
        if author is None:
            return Depositor(caller, scope)
        named = replace(caller, capacity="professional", professional_id=author, profession=told["profession"])
        return Depositor(named, scope)

    def _find(self, document_id: str) -> rules.Place:
        """Where a document lies and whose it is, where there is one."""
        asked = rules.canonical_id(document_id)
        with self.db.reading() as session:
            # an id that is none costs as much as an unknown one
            return store.place_of(session, asked or new_id())._replace(document_id=asked)


def of_others(ask: Callable[..., Any], caller: Caller, **about: Any) -> Any | Refusal:
    """What dossier says about people who are not calling, or its refusal, to be traced by who answers the caller."""
    try:
        return ask(caller, **about)
    except (RecordNotFound, RecordClosed, NotAllowed, ProfessionalNotFound, MandateNotFound) as refusal:
        return refusal
