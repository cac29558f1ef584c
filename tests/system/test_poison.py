"""Events on the running platform, as `make bench` sends them: all of them arrive, and those that fail hold up none."""

from __future__ import annotations

import json

import pytest

from deploy.bench import relay
from deploy.bench.figures import AMOUNTS
from deploy.bench.ground import Ground
from deploy.local import rabbitmq
from deploy.local.supervise import wait_until
from deploy.rabbitmq.topology import VHOST
from tests.conftest import Platform


@pytest.fixture
def ground(platform: Platform) -> Ground:
    return Ground(platform.stack, AMOUNTS["small"])


def lying(ground: Ground) -> int:
    listed = rabbitmq.control(ground.stack.layout, "list_queues", "-p", VHOST, "name", "messages")
    return int(dict(line.split("\t") for line in listed.splitlines())[relay.QUEUE])


def test_the_relay_and_who_publishes_bare_bring_the_same_number_of_messages_into_the_queue(ground: Ground) -> None:
    body = json.dumps(relay.envelope_of(relay.EMITTER, relay.KIND, relay.facts()))
    with relay.queue(ground), relay.publisher(ground) as bare:
        assert relay.carried(ground, 1200, body) > 0
        assert wait_until(lambda: lying(ground) == 1200, 30, step=0.5)
        assert relay.asked(bare, body=body, count=1500) > 0
        assert wait_until(lambda: lying(ground) == 2700, 30, step=0.5)


def test_events_that_fail_for_good_hold_up_no_other_and_are_parked_with_their_cause_and_replayed(
    ground: Ground,
) -> None:
    relay.bind(ground)
    rate, poisoned = relay.worked(ground, 200, 4)
    assert rate > 0 and len(poisoned) == 4, "all the good ones are worked"
    relay.require_parked_and_replayable(ground, poisoned)
