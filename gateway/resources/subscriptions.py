"""Subscriptions: foreign systems that are told of documents through a queue of their own."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import records as shapes

subscriptions = APIBlueprint("subscriptions", __name__, url_prefix="/subscriptions")


@operation(
    subscriptions, "POST", "", summary="Subscribe a system to events", answer=shapes.SubscriptionMade, status=201,
    body=shapes.SubscriptionWanted, refuses=("not_allowed",),
)  # fmt: skip
def create_subscription(body: dict[str, Any]) -> Any:
    """By the agency. The queue's credential is shown this once, so an Idempotency-Key is not honoured here."""
    return ask("notifications", "create_subscription", **body)


@operation(
    subscriptions, "GET", "", summary="List subscriptions", answer=shapes.Subscriptions, query=shapes.SubscriptionPage,
    paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_subscriptions(query: dict[str, Any]) -> Any:
    """Running and ended ones, newest first, without their passwords."""
    return ask("notifications", "list_subscriptions", **query)


@operation(
    subscriptions, "DELETE", "/<uuid:subscription_id>", summary="End a subscription", status=204,
    refuses=("subscription_not_found", "not_allowed"),
)  # fmt: skip
def end_subscription(subscription_id: str) -> Any:
    """The queue is gone and the credential refused at once."""
    ask("notifications", "end_subscription", subscription_id=subscription_id)
