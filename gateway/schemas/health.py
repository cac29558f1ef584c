"""Shapes of the health answers."""

from __future__ import annotations

from typing import ClassVar

from marshmallow import fields

from gateway.operations import Shape
from gateway.schemas.fields import Choice

STATES = ("ok", "unavailable")
DELAYED = "delayed"


class Live(Shape):
    status = Choice(("ok",))
    example: ClassVar = {"status": "ok"}


class Ready(Shape):
    status = Choice(STATES)
    dependencies = fields.Dict(
        keys=fields.String(), values=Choice((*STATES, DELAYED)),
        metadata={"description": "By name. `events` may be `delayed`, nothing else: requests are answered, and what "
                  "follows from them (traces, notices, what foreign systems receive) comes later."},
    )  # fmt: skip
    example: ClassVar = {"status": "ok", "dependencies": {"identity": "ok", "object_store": "ok", "events": "ok"}}
