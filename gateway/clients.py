"""The gateway's ways inside: one RPC client and one pool of connections to the object store per process.

Both are made when first needed and made anew after a fork, so a worker never shares a socket with its parent.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from gateway.slots import Slots
from services.rpc import RpcClient
from services.sealing import KeyPair
from services.settings import load
from services.tokens import Caller, Context

STORE_CONNECT = 2.0  # seconds
STORE_SILENCE = 60.0  # the store may flush a big object before it answers
STORE_CONNECTIONS = 64


class Clients:
    """Everything one process holds open towards the inside."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.rpc = RpcClient(load())
        self.keys = KeyPair()
        self.slots = Slots()
        self.store = urllib3.PoolManager(
            maxsize=STORE_CONNECTIONS,
            retries=False,  # a presigned request is one attempt: the body cannot be sent twice
            timeout=urllib3.Timeout(connect=STORE_CONNECT, read=STORE_SILENCE),
        )
        self.health = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")


_clients: Clients | None = None
_lock = threading.Lock()


def clients() -> Clients:
    """This process' clients."""
    global _clients
    found = _clients
    if found is None or found.pid != os.getpid():
        with _lock:
            if _clients is None or _clients.pid != os.getpid():
                _clients = Clients()
            found = _clients
    return found


def ask(service: str, method: str, who: Caller | Context, /, **arguments: Any) -> Any:
    """The answer of `service.method`, asked in the name of `who`.

    Refuses: whatever the service refuses; Unavailable within the deadline of `who`.
    """
    return clients().rpc.call(service, method, who, **arguments)
