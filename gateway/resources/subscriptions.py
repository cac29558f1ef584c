"""Subscriptions: foreign systems that are told of documents and records through a queue of their own, or a webhook."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import subscriptions as shapes
from gateway.schemas.sessions import PublicKeys

subscriptions = APIBlueprint("subscriptions", __name__, url_prefix="/subscriptions")


@operation(
    subscriptions, "POST", "", summary="Subscribe a system to events", answer=shapes.SubscriptionMade, status=201,
    body=shapes.SubscriptionWanted, refuses=("not_allowed", "too_many_subscriptions", "webhook_refused"),
)  # fmt: skip
def create_subscription(body: dict[str, Any]) -> Any:
    """By an organisation's software (scope `system/Subscription.cruds`) for itself, or by the agency.

    The queue's credential is shown this once, so an Idempotency-Key is not honoured here.
    """
    return ask("notifications", "create_subscription", **body)


@operation(
    subscriptions, "GET", "", summary="List subscriptions", answer=shapes.Subscriptions, query=shapes.SubscriptionPage,
    paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_subscriptions(query: dict[str, Any]) -> Any:
    """Running and ended ones, newest first, without their passwords. Software sees its own."""
    return ask("notifications", "list_subscriptions", **query)


@operation(
    subscriptions, "GET", "/<uuid:subscription_id>", summary="Look at a subscription", answer=shapes.Subscription,
    refuses=("subscription_not_found", "not_allowed"),
)  # fmt: skip
def read_subscription(subscription_id: str) -> Any:
    """What it hears, and how sending to it goes."""
    return ask("notifications", "read_subscription", subscription_id=subscription_id)


@operation(
    subscriptions, "PATCH", "/<uuid:subscription_id>", summary="Change what a subscription hears",
    answer=shapes.Subscription, body=shapes.SubscriptionChange, once=True,
    refuses=("subscription_not_found", "not_allowed"),
)  # fmt: skip
def change_subscription(subscription_id: str, body: dict[str, Any]) -> Any:
    """From now on. What is not named stays as it is."""
    return ask("notifications", "change_subscription", subscription_id=subscription_id, **body)


@operation(
    subscriptions, "DELETE", "/<uuid:subscription_id>", summary="End a subscription", status=204,
    refuses=("subscription_not_found", "not_allowed"),
)  # fmt: skip
def end_subscription(subscription_id: str) -> Any:
    """The queue is gone and the credential refused at once."""
    ask("notifications", "end_subscription", subscription_id=subscription_id)


@operation(
    subscriptions, "POST", "/<uuid:subscription_id>/replay", summary="Have events sent once more",
    answer=shapes.Replayed, body=shapes.ReplayWanted, once=True, refuses=("subscription_not_found", "not_allowed"),
)  # fmt: skip
def replay_subscription(subscription_id: str, body: dict[str, Any]) -> Any:
    """From a number or from a time on, under the same ids and numbers, before anything new; 14 days back at most.

    Who may read is asked anew: in the place of what was lost its loss goes out.
    """
    return ask("notifications", "replay_subscription", subscription_id=subscription_id, **body)


@operation(
    subscriptions, "POST", "/<uuid:subscription_id>/resume", summary="Have sending begin anew",
    answer=shapes.Resumed, refuses=("subscription_not_found", "webhook_refused", "not_allowed"),
)  # fmt: skip
def resume_subscription(subscription_id: str) -> Any:
    """At once, also when it was parked. A webhook is asked first whether it still takes events."""
    return ask("notifications", "resume_subscription", subscription_id=subscription_id)


@operation(
    subscriptions, "POST", "/<uuid:subscription_id>/test", summary="Send a test event", answer=shapes.Tested,
    refuses=("subscription_not_found", "not_allowed"),
)  # fmt: skip
def test_subscription(subscription_id: str) -> Any:
    """An event that says nothing and has no number; the answer says what became of it."""
    return ask("notifications", "test_subscription", subscription_id=subscription_id)


@operation(
    subscriptions, "GET", "/jwks", summary="Keys that webhooks are signed with", answer=PublicKeys, token=False,
)  # fmt: skip
def webhook_keys() -> Any:
    """A JWK set [RFC 7517], the key in use first.

    Each request to a webhook has a header `JWS-Signature`: a JWS without its middle [RFC 7515 appendix F] over the body
    as it was sent. Its `kid` names the key, its `aud` the subscription.
    """
    return ask("notifications", "subscription_keys")
