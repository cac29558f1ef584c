"""What a deposit needs beside rights: several described at once, sizes, and what a CDA header says. Pure decisions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from services.documents.contract import MATRICULE_ROOT, MOST_AT_ONCE
from services.documents.rules import DocumentType, canonical_id, media_types_of, most_bytes
from services.refusals import InvalidInput

_MATRICULE = re.compile(r"[0-9]{13}")
_SPACES = re.compile(r"[ .\-/]")
_AHEAD = 200  # characters of a title that is too long: cut, as nobody wrote it for us


def most_of(kind: DocumentType, max_size: int) -> int:
    """How many bytes a document of this type may have, of whatever kind."""
    return max(most_bytes(media_type, max_size) for media_type in media_types_of(kind))


def require_size(size: object, max_size: int) -> None:
    """Refuses: InvalidInput for a size that no upload can have; None is that of one that comes whole."""
    if size is None:
        return
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= max_size:
        raise _invalid("/size", "range")


def require_documents(documents: object) -> str | None:
    """The one author of documents described together, None where none is named.

    Refuses: InvalidInput for none, for too many, for what is no description, and for more than one author.
    """
    if not isinstance(documents, list) or not 1 <= len(documents) <= MOST_AT_ONCE:
        raise _invalid("/documents", "length")
    for number, each in enumerate(documents):
        if not isinstance(each, dict) or set(each) - {"type", "title", "act_date", "language", "author", "details"}:
            raise _invalid(f"/documents/{number}", "object")
    named = [each.get("author") for each in documents]
    author = named[0]
    if any(other != author for other in named):
        raise _invalid("/documents", "one_author")
    if author is not None and not isinstance(author, str):
        raise _invalid("/documents/0/author", "uuid")
    return author


def require_puts(puts: object) -> None:
    """Refuses: InvalidInput where this is no list of uploads, each of them once."""
    if not isinstance(puts, list) or not 1 <= len(puts) <= MOST_AT_ONCE:
        raise _invalid("/puts", "length")
    names = {"upload_id", "version_id", "sha256", "size", "media_type"}
    if any(not isinstance(put, dict) or set(put) - {"store_version"} != names for put in puts):
        raise _invalid("/puts", "object")
    if len({put["upload_id"] for put in puts}) != len(puts):
        raise _invalid("/puts", "invalid")


# --- a CDA header -----------------------------------------------------------------------------------------------------


def require_header(header: object) -> dict[str, Any]:
    """What a CDA header said, in the shape the gateway reads it. Refuses: InvalidInput."""
    texts, lists = ("type_code", "title", "act_date", "language"), ("patient_ids", "author_ids")
    if not isinstance(header, dict) or set(header) != {*texts, *lists}:
        raise _invalid("/header", "object")
    if any(header[name] is not None and not isinstance(header[name], str) for name in texts):
        raise _invalid("/header", "invalid")
    for each in chain(header["author_ids"], *header["patient_ids"]):
        if set(each) != {"root", "extension"} or not all(isinstance(word, str) for word in each.values()):
            raise _invalid("/header", "object")
    return header


def types_by_code(types: Mapping[str, DocumentType]) -> dict[str | None, DocumentType]:
    """The types of document by their LOINC code, those that have one."""
    return {kind.loinc: kind for kind in types.values() if kind.loinc is not None}


def words_of(header: Mapping[str, Any], kind: DocumentType) -> dict[str, Any]:
    """Title, day and language as a deposit is described; a document without a title is called by its type."""
    title = " ".join((header["title"] or "").split())[:_AHEAD]
    language = (header["language"] or "")[:2].lower() or None
    return {"title": title or kind.label_fr, "act_date": header["act_date"], "language": language}


def matricule_of(patients: Sequence[Sequence[Mapping[str, str]]]) -> str | None:
    """The one matricule by which each of the patients that a document names is named; None where there is none such.

    A document that is about somebody else besides lies in the record of neither.
    """
    named = {frozenset(matricules_in(ids)) for ids in patients}
    matricules = named.pop() if len(named) == 1 else frozenset()
    return next(iter(matricules)) if len(matricules) == 1 else None


def matricules_in(ids: Sequence[Mapping[str, str]]) -> set[str]:
    """The matricules among a patient's identifiers: exactly one names somebody."""
    ours = (_SPACES.sub("", each["extension"]) for each in ids if each["root"] == MATRICULE_ROOT)
    return {text if _MATRICULE.fullmatch(text) else "" for text in ours}


def author_in(ids: Sequence[Mapping[str, str]]) -> str | None:
    """The first of an author's identifiers that is a professional's id in the directory, as root or as extension."""
    words = (word for each in ids for word in (each["extension"], each["root"]))
    return next((found for found in map(canonical_id, words) if found is not None), None)


def _invalid(pointer: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])
