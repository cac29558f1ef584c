"""Shapes of finding documents: what a list is narrowed to, the tree of folders, the search by words."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Flag, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import TIME
from gateway.schemas.records import Document, Page
from services.documents.contract import LEVELS, ORDERS, SEARCH_LIMIT
from services.dossier.contract import CATEGORIES

_AUTHOR = r"\A(holder|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\Z"


class _Narrowing:
    """What lists and searches may be narrowed to alike."""

    type = Text("Only this type: its slug.", maximum=80)
    category = Choice(CATEGORIES, "Only this category.")
    folder = Text("Only this folder of the tree: its slug.", maximum=80)
    acted_from = Day("Acts from this day on; an undated one counts on the day of its deposit.")
    acted_until = Day("Acts up to and on this day.")
    author = Text("Only by this professional (their id), or `holder`.", pattern=_AUTHOR, code="invalid")
    level = Choice(LEVELS, "Only of this level.")
    binder_id = Id("Only those in this binder of the caller's own.")


class DocumentQuery(_Narrowing, Page):
    """Parameters of the list."""

    new_to_me = Choice(("true", "false"), "`true`: only what the caller neither opened nor deposited.")
    new_since_visit = Choice(("true", "false"), "`true`: only what came after the caller's last visit, `new` below.")
    order = Choice(ORDERS, "Newest deposit first, or newest act first.", load_default=ORDERS[0])


class ListedDocument(Document):
    new = Flag("It came after the caller's last visit to the record, and not from themself.")
    example: ClassVar[dict[str, Any]] = {**Document.example, "new": True}


class ListedDocuments(Shape):
    documents = Listed(Part(ListedDocument))
    next_cursor = Text(allow_none=True)
    new_since = Moment("The end of that visit: 30 quiet minutes came after it. Null: the first.", allow_none=True)
    example: ClassVar = {"documents": [ListedDocument.example], "next_cursor": None, "new_since": TIME}


class DocumentSearch(_Narrowing, Shape):
    """What is sought; words of a search stand in no URL. "In quotes": exactly so."""

    query = Text("Words, their beginnings, and phrases in quotes; accents and case do not matter.", required=True)
    new_to_me = Flag("Only what the caller neither opened nor deposited.")
    limit = Number("How many at most.", minimum=1, maximum=SEARCH_LIMIT, load_default=20)
    cursor = Text("`next_cursor` of the page before, of the same question.", maximum=512)
    example: ClassVar = {"query": 'radio "prise de sang"', "folder": "laboratory", "limit": 20}


class Piece(Shape):
    """A piece of a text, never markup."""

    text = Text()
    found = Flag("It is what was sought.")


class FoundDocument(Document):
    title_pieces = Listed(Part(Piece), "The title, piece by piece.")
    snippet = Listed(Part(Piece), "What stands around the first words found in the text; empty where none is.")
    example: ClassVar[dict[str, Any]] = {
        **Document.example,
        "title_pieces": [{"text": "Compte rendu du 20 novembre", "found": False}],
        "snippet": [{"text": "la dernière ", "found": False}, {"text": "prise de sang", "found": True}],
    }


class FoundDocuments(Shape):
    documents = Listed(Part(FoundDocument), "What fits best first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"documents": [FoundDocument.example], "next_cursor": None}


class TypeCount(Shape):
    type = Text("Slug of the document type.")
    label = Text("In the language of the request.")
    count = Number("How many the caller may read.")


class Folder(Shape):
    folder = Text("Slug.")
    label = Text("In the language of the request.")
    count = Number("How many documents the caller may read in it.")
    types = Listed(Part(TypeCount), "Those of which the caller may read any.")


class Tree(Shape):
    folders = Listed(Part(Folder), "All of them, in their order.")
    example: ClassVar = {
        "folders": [
            {"folder": "laboratory", "label": "Laboratoire", "count": 2, "types": [
                {"type": "laboratory_results", "label": "Résultats d'examens biologiques", "count": 2}
            ]},
            {"folder": "vaccination", "label": "Vaccination", "count": 0, "types": []},
        ]
    }  # fmt: skip
