"""The inner and the outer bus as data: who may write, read and bind what, declared before anyone connects.

Pure functions over the services' contracts (NAME, CALLS, SUBSCRIPTIONS); the result is RabbitMQ's own definitions
format, loaded by the broker at boot. Nobody declares a queue of the inner bus at run time, except a process its own
reply queue. One broker user per kind of process; what it may call is R7 of the architecture, as a regular expression.
What belongs to questions, to events and to foreign subscribers may lie on one node or on a node each.
"""

import base64
import hashlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")
# The processes that are no service: both may call every service, and nobody may call them.
CLIENTS = ("gateway", "operator")
KINDS = (*CLIENTS, *SERVICES)

VHOST = "opendsp"
RPC_EXCHANGE = "nameko-rpc"
PARKING = "parking"
DELIVERY_LIMIT = 20

SUBSCRIBER_VHOST = "opendsp-subscribers"
SUBSCRIPTION_EXCHANGE = "subscriptions"
SUBSCRIPTION_OWNER = "notifications"

# Every service keeps identity's public keys and ended sessions for itself (decisions.md, Identity on the bus).
EVENTS_FOR_ALL = (("identity", "signing_key_published.v1"), ("identity", "session_ended.v1"))

# What a node may carry: questions and their answers, events, what foreign systems fetch.
PARTS = ("rpc", "events", "subscribers")

NOTHING = "^$"

Definitions = dict[str, Any]


@dataclass(frozen=True)
class Contract:
    """What the topology needs of a service's contract.py."""

    name: str
    calls: tuple[str, ...]
    subscriptions: Mapping[tuple[str, str], str]


def contracts() -> dict[str, Contract]:
    """The six services' contracts, read from their contract.py.

    Refuses: ImportError or AttributeError, naming the service, when a contract is not whole; ValueError when one
    calls or listens to a service that does not exist.
    """
    read: dict[str, Contract] = {}
    for service in SERVICES:
        try:
            module = importlib.import_module(f"services.{service}.contract")
        except Exception as error:
            raise ImportError(f"services/{service}/contract.py cannot be imported: {error!r}") from error
        try:
            read[service] = Contract(module.NAME, tuple(module.CALLS), dict(module.SUBSCRIPTIONS))
        except AttributeError as error:
            raise AttributeError(f"services/{service}/contract.py lacks {error.name}") from error
        if read[service].name != service:
            raise ValueError(f"services/{service}/contract.py calls itself {read[service].name}")
        strangers = ({source for source, _ in read[service].subscriptions} | set(read[service].calls)) - set(SERVICES)
        if strangers:
            raise ValueError(f"services/{service}/contract.py names unknown services: {', '.join(sorted(strangers))}")
    return read


def calls_of(kind: str, of: Mapping[str, Contract]) -> tuple[str, ...]:
    """The services this kind of process may send a request to (R7)."""
    return SERVICES if kind in CLIENTS else of[kind].calls


def permissions(
    kind: str, of: Mapping[str, Contract], parts: Sequence[str] = PARTS
) -> tuple[Definitions, list[Definitions]]:
    """What a kind of process may configure, write and read on a node of the inner bus, and with which routing keys."""
    own_reply = rf"reply\.{kind}\.[0-9a-f]+"
    write = {"rpc": [RPC_EXCHANGE], "events": [rf"{kind}\.events"]}
    read = {"rpc": [RPC_EXCHANGE, f"rpc-{kind}"], "events": [rf"{kind}\.inbox", rf"{kind}\.parked"]}
    last = [own_reply] if "rpc" in parts else []
    general = {
        "user": kind,
        "vhost": VHOST,
        "configure": f"^{own_reply}$" if last else NOTHING,
        "write": f"^({'|'.join([*_of(parts, write), *last])})$",
        "read": f"^({'|'.join([*_of(parts, read), *last])})$",
    }
    allowed = [r"reply\.[a-z]+\.[0-9a-f]+"]
    called = calls_of(kind, of)
    if called:
        allowed.append(rf"({'|'.join(called)})\.[a-z_]+")
    topics = []
    if "rpc" in parts:
        topics.append(
            {
                "user": kind,
                "vhost": VHOST,
                "exchange": RPC_EXCHANGE,
                "write": f"^({'|'.join(allowed)})$",
                "read": f"^{own_reply}$",
            }
        )
    if "events" in parts and kind not in CLIENTS:
        topics.append({"user": kind, "vhost": VHOST, "exchange": f"{kind}.events", "write": ".*", "read": NOTHING})
    return general, topics


def _of(parts: Sequence[str], told: Mapping[str, Sequence[str]]) -> list[str]:
    return [one for part, some in told.items() if part in parts for one in some]


def subscriber_permissions() -> Definitions:
    """On the outer bus only notifications has rights of its own; foreign systems are asked for over HTTP."""
    return {
        "user": SUBSCRIPTION_OWNER,
        "vhost": SUBSCRIBER_VHOST,
        "configure": r"^sub\..*$",
        "write": rf"^(sub\..*|{SUBSCRIPTION_EXCHANGE})$",
        "read": f"^{SUBSCRIPTION_EXCHANGE}$",
    }


def kinds(parts: Sequence[str] = PARTS) -> tuple[str, ...]:
    """Who comes to a node. Of the clients the operator alone goes where events are, to count what waits."""
    if "rpc" in parts:
        return KINDS
    return tuple(kind for kind in KINDS if kind != "gateway") if "events" in parts else (SUBSCRIPTION_OWNER,)


def exchanges(parts: Sequence[str] = PARTS) -> list[Definitions]:
    """One exchange for requests and replies, one per emitter of events, one for what is parked, one outside."""
    declared = [_exchange(RPC_EXCHANGE, VHOST, "topic")] if "rpc" in parts else []
    if "events" in parts:
        declared += [_exchange(f"{service}.events", VHOST, "topic") for service in SERVICES]
        declared.append(_exchange(PARKING, VHOST, "direct"))
    if "subscribers" in parts:
        declared.append(_exchange(SUBSCRIPTION_EXCHANGE, SUBSCRIBER_VHOST, "direct"))
    return declared


def queues(parts: Sequence[str] = PARTS) -> list[Definitions]:
    """Per service: a classic queue of requests, a quorum inbox of events, a quorum queue of what failed for good."""
    declared = []
    for service in SERVICES:
        if "rpc" in parts:
            declared.append(_queue(f"rpc-{service}", {"x-queue-type": "classic"}))
        if "events" not in parts:
            continue
        declared += [
            _queue(
                f"{service}.inbox",
                {
                    "x-queue-type": "quorum",
                    "x-delivery-limit": DELIVERY_LIMIT,
                    "x-dead-letter-exchange": PARKING,
                    "x-dead-letter-routing-key": f"{service}.parked",
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                },
            ),
            _queue(f"{service}.parked", {"x-queue-type": "quorum"}),
        ]
    return declared


def bindings(of: Mapping[str, Contract], parts: Sequence[str] = PARTS) -> list[Definitions]:
    """Requests by service name, events by type to those who subscribe, dead letters to their service's parking."""
    bound = []
    for service in SERVICES:
        if "rpc" in parts:
            bound.append(_binding(RPC_EXCHANGE, f"{service}.*", f"rpc-{service}"))
        if "events" not in parts:
            continue
        bound.append(_binding(PARKING, f"{service}.parked", f"{service}.parked"))
        for source, event in sorted({*EVENTS_FOR_ALL, *of[service].subscriptions}):
            bound.append(_binding(f"{source}.events", event, f"{service}.inbox"))
    return bound


def definitions(of: Mapping[str, Contract], passwords: Mapping[str, str], parts: Sequence[str] = PARTS) -> Definitions:
    """A whole node, in the format of `load_definitions`; passwords by kind of process, stored hashed.

    parts: what the node carries; all of it where there is one node.
    """
    inner = "rpc" in parts or "events" in parts
    granted = [permissions(kind, of, parts) for kind in kinds(parts)] if inner else []
    outer = "subscribers" in parts
    return {
        "vhosts": [{"name": name} for name, there in ((VHOST, inner), (SUBSCRIBER_VHOST, outer)) if there],
        "users": [_user(kind, passwords[kind]) for kind in kinds(parts)],
        "permissions": [general for general, _ in granted] + ([subscriber_permissions()] if outer else []),
        "topic_permissions": [topic for _, topics in granted for topic in topics],
        "exchanges": exchanges(parts),
        "queues": queues(parts),
        "bindings": bindings(of, parts),
    }


def password_hash(password: str) -> str:
    """RabbitMQ's form of a password: base64(salt + SHA-256(salt + password)).

    The salt comes from the password, so that the same definitions have the same digest; it only has to keep equal
    passwords from showing as equal hashes, and ours are 256 random bits.
    """
    salt = hashlib.sha256(b"opendsp broker salt:" + password.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _user(name: str, password: str) -> Definitions:
    return {
        "name": name,
        "password_hash": password_hash(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
    }


def _exchange(name: str, vhost: str, kind: str) -> Definitions:
    return {
        "name": name,
        "vhost": vhost,
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _queue(name: str, arguments: Definitions) -> Definitions:
    return {"name": name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": arguments}


def _binding(source: str, routing_key: str, queue: str) -> Definitions:
    return {
        "source": source,
        "vhost": VHOST,
        "destination": queue,
        "destination_type": "queue",
        "routing_key": routing_key,
        "arguments": {},
    }


def edges(of: Mapping[str, Contract]) -> Sequence[tuple[str, str]]:
    """Every allowed (caller, called) pair: R7 as the broker is asked to hold it, for whoever checks that it does."""
    return [(kind, called) for kind in KINDS for called in calls_of(kind, of)]
