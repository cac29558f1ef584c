"""What may be asked about rights, checked, and the ways to ask for access that a professional has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from services.dossier.contract import CATEGORIES, DECISION_ACTIONS, LEVELS, DocumentFacts
from services.dossier.rules import column_of, id_of
from services.dossier.rules_representatives import moment_of
from services.refusals import InvalidInput


def asked_who(value: object) -> tuple[str | None, str | None]:
    """Who is asked about, as professional or as patient; neither for the caller themself. Refuses: InvalidInput."""
    if value == "me":
        return None, None
    if not isinstance(value, Mapping) or len(value) != 1 or not set(value) <= {"professional_id", "patient_id"}:
        raise _wrong("/who", "choice")
    professional_id, patient_id = value.get("professional_id"), value.get("patient_id")
    return (None, id_of(patient_id)) if "patient_id" in value else (id_of(professional_id), None)


def asked_moment(value: object, present: datetime) -> datetime:
    """A moment that has passed, RFC 3339 with its zone, or the present when none is named. Refuses: InvalidInput."""
    if value is None:
        return present
    moment = moment_of(value)
    if moment is None:
        raise _wrong("/moment", "moment")
    if moment > present:
        raise _wrong("/moment", "not_yet")
    return moment


def asked_action(value: object) -> str:
    """What is asked about a document. Refuses: InvalidInput."""
    if value not in DECISION_ACTIONS:
        raise _wrong("/action", "choice")
    return str(value)


def asked_document(value: object) -> DocumentFacts:
    """The facts of a document, or of none in particular: a category and a level. Refuses: InvalidInput."""
    facts = value if isinstance(value, dict) else {}
    for name, known in (("category", CATEGORIES), ("level", LEVELS)):
        if facts.get(name) not in known:
            raise _wrong(f"/{name}", "choice")
    try:
        return DocumentFacts.from_wire({"type": "", "folder": "", "restricted": [], **facts})
    except TypeError:
        raise _wrong("/document", "unknown_member") from None


def ways_to_ask(
    profession: str | None, licence: str | None, claimed: str | None, own_word: Mapping[str, bool]
) -> list[str]:
    """The ways to ask for access that are open to a professional, whatever the record; none without a valid licence.

    own_word: for emergency and responsibility, whether they may ask. What an author wrote is open to every profession.
    """
    if licence != "valid" or profession is None or profession != claimed:
        return []
    code = ["presence_code"] if column_of("presence", profession) is not None else []
    return [*code, *(kind for kind, may in own_word.items() if may), "author_only"]


def _wrong(pointer: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])
