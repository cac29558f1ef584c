"""Orders: a laboratory, an imaging centre or a hospital registers what it will deposit a result of."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import mandates as shapes

orders = APIBlueprint("orders", __name__, url_prefix="/records/<uuid:record_id>/orders")


@operation(
    orders, "POST", "", summary="Register an order", answer=shapes.OrderShown, status=201, body=shapes.OrderWanted,
    once=True, refuses=("record_not_found", "not_allowed"),
)  # fmt: skip
def register_order(record_id: str, body: dict[str, Any]) -> Any:
    """Those who work there deposit the result and read what they wrote. The same reference again is the same order."""
    return ask("dossier", "register_order", record_id=record_id, **body)


@operation(
    orders, "GET", "", summary="List orders", answer=shapes.Orders, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def list_orders(record_id: str) -> Any:
    """All of the record for its holder, the establishment's own for those who work there; ended ones too."""
    answer = ask("dossier", "list_orders", record_id=record_id)
    return {"orders": named(answer["orders"], professional="professional_id", establishment="establishment_id")}


@operation(
    orders, "PUT", "/<uuid:order_id>/validation", summary="Note that the result is validated", answer=shapes.OrderShown,
    refuses=("mandate_not_found", "not_allowed"),
)  # fmt: skip
def validate_order(record_id: str, order_id: str) -> Any:
    """15 days of depositing are left; the first validation stands."""
    return ask("dossier", "validate_order", record_id=record_id, order_id=order_id)


@operation(
    orders, "DELETE", "/<uuid:order_id>", summary="Oppose an order", status=204,
    refuses=("record_not_found", "record_closed", "not_allowed", "mandate_not_found"),
)  # fmt: skip
def oppose_order(record_id: str, order_id: str) -> Any:
    """By the holder, during care: what comes under this order later is refused."""
    ask("dossier", "end_mandate", record_id=record_id, mandate_id=order_id)
