"""Questions and commands: serving them, and asking other services."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import sqlalchemy as sa
from nameko.exceptions import ContainerBeingKilled
from nameko.extensions import DependencyProvider, Entrypoint
from nameko.rpc import RpcConsumer
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.bus.backlog import TALLY
from services.bus.consumer import Consumer, declared, sessions_of, settle
from services.db import now, signing_keys
from services.refusals import InsufficientScope, Internal, NotAllowed, Refusal, Unauthenticated, Unavailable
from services.rpc import RPC_EXCHANGE, Link, RpcClient, dumps
from services.settings import load
from services.tokens import Caller, Context, Verifier

FRONT = "gateway"  # the only process that brings requests without a token
ANY = "any"  # of a method's scope: whatever the software was given

log = logging.getLogger(__name__)


class RpcServer(RpcConsumer):  # type: ignore[misc]
    """The service's request queue: checks sender and deadline, finds who is calling, answers on one link."""

    queue_consumer = Consumer("rpc")

    def __init__(self) -> None:
        self._methods: dict[str, Rpc] = {}
        super().__init__()

    def setup(self) -> None:
        if self.queue is not None:
            return
        self.queue = declared(f"rpc-{self.container.service_name}")
        self.prefetch = self.container.max_workers
        self._prefix = len(self.container.service_name) + 1
        self._link = Link(load())
        self.verifier = Verifier(self._find_key)
        self.queue_consumer.register_provider(self)

    def register_provider(self, provider: Any) -> None:
        super().register_provider(provider)
        self._methods[provider.method_name] = provider

    def stop(self) -> None:
        super().stop()
        self._link.close()

    def receive(self, message: Any) -> None:
        """One request, in the consumer's greenlet: cheap checks only, then a worker."""
        try:
            body = json.loads(message.body)
            told, sender = message.delivery_info, str(message.properties.get("user_id", ""))
            context = Context.from_wire(body["context"], sender, bool(told["redelivered"]))
            entrypoint = self._methods[told["routing_key"][self._prefix :]]
            kwargs = body["kwargs"]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as broken:
            log.warning("request not understood", extra={"kind": type(broken).__name__})
            self.answer(message, Internal())
            return
        if context.deadline < time.time():
            settle(message, "ack")  # nobody waits any more: executing it late would surprise
            return
        try:
            who = entrypoint.admit(context, self.verifier)
            finished = partial(self._finished, message, entrypoint, context, time.perf_counter())
            self.container.spawn_worker(entrypoint, (who,), kwargs, handle_result=finished)
        except Refusal as refusal:
            TALLY.count(refusal.code, 0)
            self.answer(message, refusal)
        except ContainerBeingKilled:
            settle(message, "requeue")
        except Exception:  # of the look for a key: nobody may end the consumer
            self.answer(message, Unavailable(service=self.container.service_name))

    def _finished(
        self, message: Any, entrypoint: Any, context: Context, begun: float, _worker: Any, result: Any, exc_info: Any
    ) -> Any:
        error = exc_info[1] if exc_info else None
        if isinstance(result, Refusal):
            error, result = result, None
        refusal = None if error is None else _as_refusal(error, self.container.service_name)
        self.answer(message, result if refusal is None else refusal)
        TALLY.count(refusal and refusal.code, time.perf_counter() - begun)
        # Each answered question leaves its line at DEBUG alone: at INFO it would cost a seventh of all answers.
        level, event = (logging.DEBUG, "answered") if refusal is None else (logging.INFO, "refused")
        log.log(level, event, extra={
            "request_id": context.request_id, "traceparent": context.traceparent, "method": entrypoint.method_name,
            "code": refusal and refusal.code})  # fmt: skip
        return None, None

    def answer(self, message: Any, result: Any) -> None:
        """Publishes the reply, then acks: a replica that dies in between leaves the request to another."""
        properties = message.properties
        try:
            body = dumps({"refusal": result.to_wire()} if isinstance(result, Refusal) else {"result": result})
        except (TypeError, ValueError):
            log.exception("answer is not plain JSON")
            body = dumps({"refusal": Internal().to_wire()})
        try:
            self._link.publish(
                body, RPC_EXCHANGE, properties.get("reply_to", ""), delivery_mode=1,
                correlation_id=properties.get("correlation_id", ""),
            )  # fmt: skip
        except Refusal:
            log.warning("reply lost", extra={"kind": "broker"})
        settle(message, "ack")

    def _find_key(self, kid: str) -> dict[str, Any] | None:
        query = sa.select(signing_keys.c.jwk).where(signing_keys.c.kid == kid, signing_keys.c.not_after > now())
        with sessions_of(self.container).reading() as session:
            return session.scalar(query)


def _as_refusal(error: BaseException, service: str) -> Refusal:
    """What the caller hears of an error: a refusal as it is, a lost database as unavailable, the rest as internal."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return Unavailable(service=service)
    return Internal()


class Rpc(Entrypoint):  # type: ignore[misc]
    """A method others may call.

    processes: who may send; None: whoever the broker lets through. user: a token is due.
    scope: what software must have been given, one of these words where there are several, `ANY` for whatever it was
    given; None: no software comes in. People need none.
    """

    server = RpcServer()

    def __init__(
        self, processes: tuple[str, ...] | None = None, user: bool = True, scope: str | tuple[str, ...] | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        self.processes = processes
        self.user = user
        self.scopes = (scope,) if isinstance(scope, str) else scope
        super().__init__(expected_exceptions=(Refusal,), **kwargs)

    def setup(self) -> None:
        self.server.register_provider(self)

    def stop(self) -> None:
        self.server.unregister_provider(self)

    def admit(self, context: Context, verifier: Verifier) -> Any:
        """The Caller for a user's call, the bare Context for the others.

        Refuses: NotAllowed, Unauthenticated, InsufficientScope.
        """
        if not context.process or (self.processes is not None and context.process not in self.processes):
            raise NotAllowed() if context.process else Unauthenticated()
        if not self.user:
            return context
        caller = verifier.caller(context)
        self.require_scope(caller)
        return caller

    def require_scope(self, caller: Caller) -> None:
        """Lets people pass, and software that was given a scope this method names. Refuses: InsufficientScope."""
        if caller.scope is None:
            return
        given = caller.scope.split()
        if self.scopes is None or not given or (ANY not in self.scopes and not set(self.scopes) & set(given)):
            raise InsufficientScope(scope=None if self.scopes is None else " ".join(self.scopes))


rpc = Rpc.decorator
rpc_public = Rpc.decorator((FRONT,), user=False)


def rpc_system(*processes: str) -> Any:
    """A method for the named process kinds alone; no user speaks through it."""
    return Rpc.decorator(processes, user=False)


class Remote(DependencyProvider):  # type: ignore[misc]
    """Another service, called as `self.directory.names(caller, patient_ids=[...])`; answers or refuses like rpc.py."""

    def __init__(self, service: str) -> None:
        self.service = service

    def get_dependency(self, worker_ctx: Any) -> RemoteService:
        return RemoteService(self.service, _client())


class RemoteService:
    """The methods of one remote service, by name."""

    def __init__(self, service: str, client: RpcClient) -> None:
        self._service = service
        self._client = client

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(who: Any, /, **kwargs: Any) -> Any:
            # The key belongs to the caller's own command, not to what we ask on the way.
            return self._client.call(self._service, method, replace(who.context, idempotency_key=None), **kwargs)

        return call


@cache
def _client() -> RpcClient:
    return RpcClient()
