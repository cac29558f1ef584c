"""Shapes of binders."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.documents.contract import BINDER_NAME_LENGTH


class BinderWanted(Shape):
    name = Text("What the reader calls it.", maximum=BINDER_NAME_LENGTH, required=True)
    example: ClassVar = {"name": "Cardiologie"}


class Binder(Shape):
    binder_id = Id()
    record_id = Id()
    name = Text()
    documents = Number("How many of its documents the reader may see now.")
    created_at = Moment()
    example: ClassVar = {
        "binder_id": ID, "record_id": OTHER_ID, "name": "Cardiologie", "documents": 3, "created_at": TIME,
    }  # fmt: skip


class Binders(Shape):
    binders = Listed(Part(Binder), "By name.")
    example: ClassVar = {"binders": [Binder.example]}
