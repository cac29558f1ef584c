"""What an entry of a history says in plain words, in each of five languages: who did what, to which document, on what
ground, through which software, and why it was refused.

From the catalogues alone ("traces"): names are there already, and none is looked for here.
"""

from __future__ import annotations

from typing import Any

from gateway.errors import catalogue

UNKNOWN = "…"


def in_words(entries: list[dict[str, Any]], locale: str) -> list[dict[str, Any]]:
    """The entries, each with its parts in words and with the sentence they make.

    entries: with the names that `named` finds. locale: one of our five languages.
    """
    said = [(entry, words_of(entry, locale)) for entry in entries]
    return [{**entry, "words": words, "text": sentence(words, locale)} for entry, words in said]


def line_in_words(line: dict[str, Any], locale: str) -> dict[str, Any]:
    """A line of a chronology with who it is of, what they did and on what grounds, in words."""
    roles = [one for one in line["grounds"] if one in catalogue(locale)["traces"]["roles"]]
    said_of = {**line, "ground": roles[0] if roles else None}
    return {
        **line,
        "who": who(said_of, locale),
        "grounds_text": [ground(one, locale) or UNKNOWN for one in line["grounds"]],
        "did": [{**done, "text": action(done["action"], locale)} for done in line["did"]],
    }


def words_of(entry: dict[str, Any], locale: str) -> dict[str, Any]:
    """The parts of an entry in words; null for what there is nothing to say of."""
    traces = catalogue(locale)["traces"]
    return {
        "action": action(entry["action"], locale),
        "who": who(entry, locale),
        "document": document_type(entry["document_type"], locale),
        "ground": ground(entry["ground"], locale),
        "software": entry["software"],
        "refused": _reason(entry["reason"], traces, locale) if entry["outcome"] == "refused" else None,
    }


def sentence(words: dict[str, Any], locale: str) -> str:
    """The sentence that the parts of an entry make."""
    traces = catalogue(locale)["traces"]
    of_type = traces["document"].format(type=words["document"]) if words["document"] else ""
    said: str = traces["refused" if words["refused"] else "done"].format(
        action=words["action"], document=of_type, who=words["who"], reason=words["refused"]
    )
    if words["ground"]:
        said += traces["ground"].format(ground=words["ground"])
    if words["software"]:
        said += traces["software"].format(software=words["software"])
    return said


def action(name: str, locale: str) -> str:
    """An action in words."""
    words: str = catalogue(locale)["traces"]["actions"].get(name, UNKNOWN)
    return words


def ground(name: str | None, locale: str) -> str | None:
    """A ground in words."""
    words: str | None = catalogue(locale)["traces"]["grounds"].get(name)
    return words


def document_type(slug: str | None, locale: str) -> str | None:
    """The type of a document in words."""
    words: str | None = catalogue(locale)["document_types"].get(slug)
    return words


def who(entry: dict[str, Any], locale: str) -> str:
    """Who acted: by name, profession or role, and establishment, as far as these are known."""
    traces = catalogue(locale)["traces"]
    name = entry.get("name") or traces["people"].get(_person(entry), UNKNOWN)
    role = traces["roles"].get(entry.get("ground")) if entry["capacity"] == "patient" else None
    profession = catalogue(locale)["document_page"]["professions"].get(entry.get("profession"))
    parts = (traces["role"].format(name=name, role=role) if role else name, profession, entry.get("establishment_name"))
    return ", ".join(part for part in parts if part)


def _person(entry: dict[str, Any]) -> str:
    """What is said of who has no name here."""
    if entry["capacity"] is not None:
        return str(entry["capacity"])
    return "platform" if entry.get("request_id") is None else "stranger"


def _reason(code: str | None, traces: dict[str, Any], locale: str) -> str:
    problem = catalogue(locale)["problems"].get(code)
    return str(problem["title"] if problem else traces["no_reason"])
