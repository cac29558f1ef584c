"""What an operator may ask the services: what failed for good, and to try it again."""

import secrets
import time
import uuid
from typing import Any

from deploy.local.failure import StackFailure
from deploy.local.layout import SERVICES, Layout
from deploy.local.processes import OPERATOR, load_settings

WAIT = 10.0


def parked(layout: Layout) -> list[dict[str, Any]]:
    """What every service gave up: events, and of notifications messages that came back and subscriptions.

    Each as {"service", "what", "id", "source", "type", "attempts", "at", "cause"}.
    Refuses: StackFailure, naming the service that does not answer.
    """
    found = []
    for service, answer in _ask_each(layout, SERVICES, "list_parked").items():
        for event in answer["parked"]:
            told = {"what": "event", "id": event["event_id"], "at": event["received_at"]}
            found.append({"service": service, **event, **told})
        for message in answer.get("messages", ()):
            told = {"what": "message", "id": message["message_id"], "source": message["channel"]}
            found.append({"service": service, **message, **told, "type": message["occasion"]})
        for one in answer.get("subscriptions", ()):
            told = {"what": "subscription", "id": one["subscription_id"], "source": "", "type": one["way"]}
            found.append({"service": service, **one, **told})
    return found


def replay(layout: Layout, service: str | None = None) -> dict[str, int]:
    """Give what one service gave up, or all did, its tries again; tells how much per service.

    Refuses: StackFailure, naming the service that does not answer.
    """
    answers = _ask_each(layout, [service] if service else SERVICES, "replay_parked")
    return {asked: int(answer["replayed"]) for asked, answer in answers.items()}


def _ask_each(layout: Layout, services: Any, method: str) -> dict[str, Any]:
    from services.refusals import Refusal
    from services.rpc import RpcClient
    from services.tokens import Context

    client = RpcClient(load_settings(layout, OPERATOR))
    answers = {}
    try:
        for service in services:
            context = Context(
                request_id=str(uuid.uuid4()),
                traceparent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
                deadline=time.time() + WAIT,
            )
            try:
                answers[service] = client.call(service, method, context)
            except (Refusal, OSError) as refusal:
                raise StackFailure(
                    f"{service} does not answer ({getattr(refusal, 'code', type(refusal).__name__)})",
                    log=layout.log(service),
                    advice="`make status` shows what runs, `make up` starts what does not",
                ) from refusal
    finally:
        client.close()
    return answers
