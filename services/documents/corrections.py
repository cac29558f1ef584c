"""What a document says of itself, put right: its type, title, date or language, every wording kept."""

from __future__ import annotations

from typing import Any

from services.bus import emit, rpc
from services.db import day_of, now, once, remember, rfc3339
from services.documents import answers, answers_versions, rules, rules_versions, store_examining, store_versions
from services.documents.asking import Asking
from services.documents.changing import changeable
from services.documents.contract import (
    PRESCRIPTIONS,
    Corrected,
    DocumentCorrected,
    MediaTypeNotAllowed,
    TypeNotDepositable,
)
from services.documents.document_types import document_types
from services.documents.wording import keep_title
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller

CORRECTED = "document.corrected"


class Corrections(Asking):
    """The entrypoint of corrections."""

    @rpc
    def correct_document(
        self, caller: Caller, *, document_id: str, version: int | None, changes: dict[str, Any]
    ) -> Corrected | Refusal:
        """Puts right what a document says of itself; its bytes stay, and every wording is kept.

        changes: any of type, title, act_date and language, as in `prepare_deposit`. version: the count of changes that
        the caller read, None for whatever is there. What changes nothing makes no wording.

        Refuses: InvalidInput; DocumentNotFound, the same for unknown, hidden and foreign; DocumentGone; NotAllowed as
        for a new version; TypeNotDepositable where the caller may not deposit the new type, or would not see the
        document as such; MediaTypeNotAllowed where its bytes are of a kind that type does not take;
        DocumentUnfinished; ChangedMeanwhile [domain, Documents; L14 18].
        """
        answers.require(version=answers_versions.is_version(version))
        said, errors = rules_versions.read_changes(changes)
        if errors:
            raise InvalidInput(errors=errors)
        asked, record_id, home_id = place = self._find(document_id)
        body = {"document_id": asked, "version": version, "changes": changes}
        who = self._depositor(caller, record_id, None)
        at = now()
        with self.db.transaction(caller) as session:
            answer: Corrected | None = once(session, caller, "correct_document", body)
            found = changeable(session, who, CORRECTED, place, version if answer is None else None)
            if isinstance(found, Refusal):
                return found
            row, grant = found
            words = _words(row, said)
            kind = words.type
            refusal: Refusal | None = None
            if kind.slug != row.type:
                asked_author = row.asked and grant == rules.AUTHOR
                if not rules_versions.may_become(who.scope, answers.facts_of(row), kind, asked=asked_author):
                    refusal = TypeNotDepositable()
                elif row.media_type not in rules.media_types_of(kind):
                    refusal = MediaTypeNotAllowed(allowed=list(rules.media_types_of(kind)))
            if refusal is not None:
                return answers.refuse(session, caller, CORRECTED, refusal, record_id=home_id, object_id=asked)
            answers.allow(session, caller, CORRECTED, grant, record_id=home_id, object_id=asked)
            if answer is not None:
                return answer
            changed = _changed(row, words)
            number = row.wording
            if changed:
                by = {"author_id": who.scope.author_id, "account_id": caller.account_id, "created_at": at}
                number = store_versions.add_wording(session, row, changed, by)
                keep_title(session, row.document_id, words.title)
                if kind.category == PRESCRIPTIONS != row.category:  # what can be dispensed of it is found now
                    store_examining.queue(session, row.current_version_id, at)
                emit(session, DocumentCorrected(
                    row.record_id, row.document_id, number, kind.slug, kind.category, kind.folder, rfc3339(at)
                ))  # fmt: skip
            answer = answers_versions.corrected(
                row.document_id, words, rules_versions.revision(row.number, number)
            )  # fmt: skip
            remember(session, caller, "correct_document", body, answer)
            return answer


def _words(row: Any, said: Any) -> rules.Metadata:
    """The wording as it will be, checked as a deposit's is."""
    act_date = None if row.act_date is None else row.act_date.isoformat()
    now_said = {"type": row.type, "title": row.title, "act_date": act_date, "language": row.language, **said}
    words, errors = rules.read_metadata(document_types(), today=day_of(now()), **now_said)
    if words is None:
        raise InvalidInput(errors=errors)
    return words


def _changed(row: Any, words: rules.Metadata) -> dict[str, Any]:
    """The columns of a document that another wording changes."""
    wanted = {
        "type": words.type.slug, "category": words.type.category, "folder": words.type.folder, "title": words.title,
        "act_date": words.act_date, "language": words.language,
    }  # fmt: skip
    return {name: value for name, value in wanted.items() if value != getattr(row, name)}
