"""What an operator may ask the services: which events failed for good, and to try them again."""

import secrets
import time
import uuid
from typing import Any

from deploy.local.failure import StackFailure
from deploy.local.layout import SERVICES, Layout
from deploy.local.processes import OPERATOR, load_settings

WAIT = 10.0


def parked(layout: Layout) -> list[dict[str, Any]]:
    """The parked events of every service, each with the service that could not work it.

    Refuses: StackFailure, naming the service that does not answer.
    """
    answers = _ask_each(layout, SERVICES, "list_parked")
    return [{"service": service, **event} for service, answer in answers.items() for event in answer["parked"]]


def replay(layout: Layout, service: str | None = None) -> dict[str, int]:
    """Give the parked events of one service, or of all, their tries again; tells how many per service.

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
