"""Shapes of the health answers."""

from __future__ import annotations

from typing import ClassVar

from marshmallow import fields

from gateway.operations import Shape
from gateway.schemas.fields import Choice

STATES = ("ok", "unavailable")


class Live(Shape):
    status = Choice(("ok",))
    example: ClassVar = {"status": "ok"}


class Ready(Shape):
    status = Choice(STATES)
    dependencies = fields.Dict(keys=fields.String(), values=Choice(STATES), metadata={"description": "By name."})
    example: ClassVar = {"status": "ok", "dependencies": {"identity": "ok", "object_store": "ok"}}
