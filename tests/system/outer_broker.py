"""A second broker, for the subscribers or for questions: a node of its own, with its own memory and alarms."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local import processes, rabbitmq
from deploy.local.layout import SERVICES, Layout, write_private
from deploy.local.supervise import Supervisor, wait_until
from deploy.rabbitmq import topology
from tests.conftest import PLACE, PREFIX, Platform

ON_THE_BUS = (*SERVICES, processes.GATEWAY, processes.MONITOR)


@contextmanager
def outer_broker(platform: Platform) -> Iterator[Layout]:
    """Has notifications send to a broker of its own while the block lasts; gives that broker's layout."""
    inner = platform.stack.layout
    with _node(inner, topology.PARTS) as layout, _told(platform, ("notifications",), "subscriber_broker_port", layout):
        assert processes.load_settings(inner, "notifications").subscriber_broker_port == layout.ports["rabbitmq"]
        yield layout


@contextmanager
def rpc_broker(platform: Platform) -> Iterator[Layout]:
    """Has all processes ask and answer over a broker of its own, which carries nothing else, while the block lasts;
    gives that broker's layout."""
    inner = platform.stack.layout
    with _node(inner, ["rpc"]) as layout, _told(platform, ON_THE_BUS, "rpc_broker_port", layout):
        yield layout


@contextmanager
def _node(inner: Layout, carries: Sequence[str]) -> Iterator[Layout]:
    """Another broker beside a platform's own, with the same users."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=PLACE))
    layout = Layout(folder)
    layout.create()
    layout.ports["broker_auth"] = inner.ports["broker_auth"]  # who may come in is asked of the same process
    layout.secrets.update({name: secret for name, secret in inner.secrets.items() if name.startswith("broker_")})
    rabbitmq.prepare(layout, carries)
    supervisor = Supervisor(layout)
    try:
        parts = rabbitmq.parts(layout)
        supervisor.ensure(parts)
        supervisor.start([part.name for part in parts])
        assert wait_until(lambda: rabbitmq.answers(layout, carries), 120, step=0.3), "the second broker does not answer"
        yield layout
    finally:
        supervisor.shut_down([["rabbitmq"], ["epmd"]])
        shutil.rmtree(layout.sockets, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _told(platform: Platform, names: Sequence[str], setting: str, layout: Layout) -> Iterator[None]:
    """These processes run with another broker in their settings while the block lasts."""
    files = {platform.stack.layout.settings_file(name) for name in (*names, processes.OPERATOR)}
    before = {file: file.read_text() for file in files}
    try:
        for file, text in before.items():
            others = re.sub(rf"^{setting} = .*\n", "", text, flags=re.MULTILINE)
            write_private(file, f"{others}{setting} = {layout.ports['rabbitmq']}\n")
        _begin_anew(platform, names)
        yield
    finally:
        for file, text in before.items():
            write_private(file, text)
        _begin_anew(platform, names)


def _begin_anew(platform: Platform, names: Sequence[str]) -> None:
    platform.stack.supervisor.stop(names)
    platform.stack.supervisor.start(names)
    platform.wait_ready()


@contextmanager
def memory_alarm(layout: Layout) -> Iterator[None]:
    """A broker that takes no message from anybody while the block lasts, because its memory is full."""
    before = rabbitmq.control(layout, "eval", "vm_memory_monitor:get_vm_memory_high_watermark().").strip()
    rabbitmq.control(layout, "set_vm_memory_high_watermark", "0")
    try:
        assert "memory" in rabbitmq.control(layout, "eval", "rabbit_alarm:get_alarms().")
        yield
    finally:
        rabbitmq.control(layout, "set_vm_memory_high_watermark", before)
    assert wait_until(
        lambda: "memory" not in rabbitmq.control(layout, "eval", "rabbit_alarm:get_alarms()."), 30, step=0.3
    )
