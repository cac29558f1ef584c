"""Shapes of subscriptions of foreign systems."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Moment, Number, Part, Secret, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.records import Page
from services.dossier.contract import CATEGORIES
from services.notifications.contract import FOREIGN_EVENT_TYPES

_ALL = "Of documents alone, all where it is empty or absent."
_PLACES = f"{_ALL} What holders deposit is of no establishment."


class SubscriptionWanted(Shape):
    establishment_id = Id(
        "Whose professionals' rights decide what is told. Software leaves it out: the organisation it works for.",
        allow_none=True, load_default=None,
    )  # fmt: skip
    event_types = Listed(
        Choice(FOREIGN_EVENT_TYPES), "Whatever is chosen, the loss of a document that was told of is told too.",
        required=True, maximum=20,
    )  # fmt: skip
    document_types = Listed(Text(maximum=64), f"Codes of types. {_ALL}", load_default=list, maximum=100)
    categories = Listed(Choice(CATEGORIES), _ALL, load_default=list, maximum=100)
    establishments = Listed(Id(), f"Where they were first deposited. {_PLACES}", load_default=list, maximum=100)
    webhook = Text(
        "An https address to send to in place of a queue. It is asked first, as the CloudEvents webhook specification"
        " has it.", maximum=2000, allow_none=True, load_default=None,
    )  # fmt: skip
    example: ClassVar = {
        "event_types": ["lu.dsp.document.deposited.v1", "lu.dsp.document.versioned.v1"],
        "document_types": ["laboratory_report"],
        "categories": [],
        "establishments": [OTHER_ID],
    }


class SubscriptionChange(Shape):
    event_types = Listed(Choice(FOREIGN_EVENT_TYPES), maximum=20)
    document_types = Listed(Text(maximum=64), "Codes of types; empty for all.", maximum=100)
    categories = Listed(Choice(CATEGORIES), "Empty for all.", maximum=100)
    establishments = Listed(Id(), "Where documents were first deposited; empty for all.", maximum=100)
    example: ClassVar = {"categories": ["laboratory", "imaging"], "establishments": []}


class SubscriptionPage(Page):
    establishment_id = Id("Only those of this establishment.")


class Subscription(Shape):
    """What it hears, how it is sent to, and how that goes; without its password."""

    subscription_id = Id()
    establishment_id = Id()
    client_id = Id("The software that subscribed; null where the agency did.", allow_none=True)
    event_types = Listed(Text())
    document_types = Listed(Text(), "Empty for all.")
    categories = Listed(Text(), "Empty for all.")
    establishments = Listed(Id(), "Where documents were first deposited; empty for all.")
    way = Choice(("queue", "webhook"))
    queue = Text(allow_none=True)
    username = Text(allow_none=True)
    webhook = Text(allow_none=True)
    state = Choice(("active", "suspended", "ended"), "`suspended`: its software is, and hears nothing meanwhile.")
    delivery = Choice(("active", "lagging", "parked"), "`parked`: nothing is sent any more until it is resumed.")
    cause = Text("Why it is not `active`, as a code.", allow_none=True)
    since = Moment("Since when delivery is as it is.")
    sequence = Number("The number of the last event put down for it.")
    created_at = Moment()
    ended_at = Moment(allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        "subscription_id": ID,
        "establishment_id": OTHER_ID,
        "client_id": ID,
        "event_types": ["lu.dsp.document.deposited.v1"],
        "document_types": [],
        "categories": ["laboratory"],
        "establishments": [OTHER_ID],
        "way": "queue",
        "queue": "sub.k2v9…",
        "username": "foreign-k2v9…",
        "webhook": None,
        "state": "active",
        "delivery": "active",
        "cause": None,
        "since": TIME,
        "sequence": 41,
        "created_at": TIME,
        "ended_at": None,
    }


class SubscriptionMade(Shape):
    """The credential is shown this once; a webhook has none, and all of it is null."""

    subscription_id = Id()
    host = Text(allow_none=True)
    port = Number(allow_none=True)
    vhost = Text(allow_none=True)
    queue = Text(allow_none=True)
    username = Text(allow_none=True)
    password = Secret(allow_none=True)
    example: ClassVar = {
        "subscription_id": ID,
        "host": "127.0.0.1",
        "port": 5672,
        "vhost": "opendsp-subscribers",
        "queue": "sub.k2v9…",
        "username": "foreign-k2v9…",
        "password": "…",
    }


class Subscriptions(Shape):
    subscriptions = Listed(Part(Subscription), "Newest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"subscriptions": [Subscription.example], "next_cursor": None}


class ReplayWanted(Shape):
    """One of the two."""

    from_sequence = Number("From the event with this number on.", minimum=1)
    since = Moment("From what happened at this time on.")
    example: ClassVar = {"from_sequence": 17}


class Replayed(Shape):
    subscription_id = Id()
    events = Number("How many go out once more.")
    first_sequence = Number("The lowest of their numbers: what is older is not there any more.", allow_none=True)
    last_sequence = Number("The number given last; what happens from now on has higher ones.")
    example: ClassVar = {"subscription_id": ID, "events": 25, "first_sequence": 17, "last_sequence": 41}


class Resumed(Shape):
    subscription_id = Id()
    delivery = Choice(("active",))
    waiting = Number("How many events have been waiting; they go out first.")
    example: ClassVar = {"subscription_id": ID, "delivery": "active", "waiting": 12}


class Tested(Shape):
    delivered = Flag()
    cause = Text("Why it was not taken, as a code.", allow_none=True)
    milliseconds = Number("How long it took.")
    example: ClassVar = {"delivered": False, "cause": "http_503", "milliseconds": 84}
