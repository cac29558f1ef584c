"""What a search among the AuditEvents of a record asks for, as far as entries can be found by it.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from services.audit.contract_events import BASE_LENGTH, TOKENS_MOST
from services.audit.rules import as_id
from services.audit.rules_balp import OUTCOMES, Shape, Token, selected
from services.audit.rules_catalogue import CATALOGUE
from services.refusals import InvalidInput

ACTIONS: Final = ("C", "R", "U", "D", "E")
ANY_OUTCOME: Final = (*OUTCOMES.values(), "12")
IDS: Final = ("professional_id", "person_id", "establishment_id", "agent_id", "object_id")


@dataclass(frozen=True)
class Asked:
    """What a search is narrowed to; None for all.

    since, before: from the one moment on and before the other. person_id: who acted as a patient. agent_id: whoever
    acted, by any of their ids. by_shape: the actions asked for, by how they went; None for all of them.
    """

    since: datetime | None = None
    before: datetime | None = None
    professional_id: str | None = None
    person_id: str | None = None
    establishment_id: str | None = None
    agent_id: str | None = None
    object_id: str | None = None
    by_shape: Mapping[Shape, Sequence[str]] | None = field(default=None)


def read_asked(given: Mapping[str, Any]) -> Asked:
    """Returns what is asked for.

    given: ids by IDS; since and before, RFC 3339; types and subtypes as pairs of system (null for any) and code;
    actions and outcomes as FHIR's codes.
    Refuses: InvalidInput with everything that is wrong.
    """
    errors: list[dict[str, str]] = []

    def right(name: str, message: str, good: Any) -> Any:
        if given.get(name) is not None and good is None:
            errors.append({"pointer": f"/{name}", "message": message})
        return good

    ids = {name: right(name, "uuid", as_id(given.get(name))) for name in IDS}
    times = {name: right(name, "moment", _moment(given.get(name))) for name in ("since", "before")}
    tokens = {name: right(name, "invalid", _tokens(given.get(name))) for name in ("types", "subtypes")}
    codes = {
        name: right(name, "choice", _codes(given.get(name), known))
        for name, known in (("actions", ACTIONS), ("outcomes", ANY_OUTCOME))
    }
    if errors:
        raise InvalidInput(errors=errors)
    narrowed = {name: value for name, value in {**tokens, **codes}.items() if value}
    chosen = selected(**narrowed) if narrowed else None
    whole = chosen is not None and all(len(names) == len(CATALOGUE) for names in chosen.values())
    return Asked(**ids, **times, by_shape=None if whole else chosen)


def require_base(base: object) -> str:
    """Returns the public address that the events are told under.

    Refuses: InvalidInput for what is none.
    """
    if not isinstance(base, str) or not base.startswith(("http://", "https://")) or len(base) > BASE_LENGTH:
        raise InvalidInput(errors=[{"pointer": "/base", "message": "format"}])
    return base


def _moment(value: object) -> datetime | None:
    try:
        made = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return made if made is not None and made.tzinfo is not None else None


def _tokens(value: object) -> list[Token] | None:
    if not isinstance(value, list) or not 0 < len(value) <= TOKENS_MOST:
        return None
    pairs = [tuple(each) for each in value if isinstance(each, list) and len(each) == 2]
    good = [(system, code) for system, code in pairs if isinstance(code, str) and isinstance(system, str | None)]
    return good if len(good) == len(value) else None


def _codes(value: object, known: Sequence[str]) -> list[str] | None:
    if not isinstance(value, list) or not 0 < len(value) <= TOKENS_MOST:
        return None
    return value if all(isinstance(each, str) and each in known for each in value) else None
