"""The topology as data: what is declared follows from the contracts, and from nothing else."""

import base64
import hashlib
import re

import pytest

from deploy.rabbitmq import topology
from deploy.rabbitmq.topology import Contract

R7 = {
    "identity": ("directory",),
    "directory": (),
    "dossier": (),
    "documents": ("dossier", "directory"),
    "audit": ("dossier", "directory"),
    "notifications": ("identity", "dossier", "directory"),
}
LISTENING = {"dossier": {("identity", "account_activated.v1"): "on_account_activated"}}
CONTRACTS = {name: Contract(name, calls, LISTENING.get(name, {})) for name, calls in R7.items()}
PASSWORDS = {kind: f"secret of {kind}" for kind in topology.KINDS}


def may_send(kind: str, routing_key: str) -> bool:
    _, topics = topology.permissions(kind, CONTRACTS)
    (requests,) = (topic for topic in topics if topic["exchange"] == topology.RPC_EXCHANGE)
    return re.search(requests["write"], routing_key) is not None


def test_the_services_own_contracts_make_a_whole_topology() -> None:
    defined = topology.definitions(topology.contracts(), PASSWORDS)
    assert {user["name"] for user in defined["users"]} == set(topology.KINDS)
    assert len(defined["queues"]) == 3 * len(topology.SERVICES)


def test_the_services_contracts_call_each_other_as_r7_says_and_without_a_cycle() -> None:
    of = topology.contracts()
    for name, contract in of.items():
        assert set(contract.calls) <= set(R7[name]), name


@pytest.mark.parametrize("kind", topology.KINDS)
@pytest.mark.parametrize("called", topology.SERVICES)
def test_a_process_may_send_requests_to_the_services_it_calls_and_to_no_other(kind: str, called: str) -> None:
    allowed = kind in topology.CLIENTS or called in R7[kind]
    assert may_send(kind, f"{called}.some_method") == allowed


@pytest.mark.parametrize("kind", topology.KINDS)
def test_everyone_may_answer_and_nobody_may_send_a_key_of_another_form(kind: str) -> None:
    assert may_send(kind, "reply.gateway.0a1b")
    for odd in ("dossier", "dossier.a.b", "dossier.A", "reply.gateway", "reply.gateway.xyz", "#", "x.dossier.read", ""):
        assert not may_send(kind, odd), odd


def test_events_reach_the_inbox_of_those_who_subscribe_and_of_no_other() -> None:
    bound = {(b["source"], b["routing_key"], b["destination"]) for b in topology.bindings(CONTRACTS)}
    assert ("identity.events", "account_activated.v1", "dossier.inbox") in bound
    assert ("identity.events", "account_activated.v1", "audit.inbox") not in bound


def test_every_service_hears_of_signing_keys_and_ended_sessions() -> None:
    bound = {(b["source"], b["routing_key"], b["destination"]) for b in topology.bindings(CONTRACTS)}
    for service in topology.SERVICES:
        assert ("identity.events", "signing_key_published.v1", f"{service}.inbox") in bound
        assert ("identity.events", "session_ended.v1", f"{service}.inbox") in bound


def test_inboxes_are_quorum_queues_that_park_what_fails_and_requests_are_classic() -> None:
    declared = {queue["name"]: queue["arguments"] for queue in topology.queues()}
    for service in topology.SERVICES:
        inbox = declared[f"{service}.inbox"]
        assert inbox["x-queue-type"] == "quorum"
        assert inbox["x-dead-letter-strategy"] == "at-least-once"
        assert inbox["x-overflow"] == "reject-publish"
        assert inbox["x-dead-letter-routing-key"] == f"{service}.parked"
        assert declared[f"{service}.parked"] == {"x-queue-type": "quorum"}
        assert declared[f"rpc-{service}"] == {"x-queue-type": "classic"}


def test_every_binding_joins_an_exchange_and_a_queue_that_are_declared() -> None:
    names = {exchange["name"] for exchange in topology.exchanges()}
    queues = {queue["name"] for queue in topology.queues()}
    for binding in topology.bindings(CONTRACTS):
        assert binding["source"] in names
        assert binding["destination"] in queues


def test_only_notifications_has_rights_on_the_outer_bus() -> None:
    defined = topology.definitions(CONTRACTS, PASSWORDS)
    outer = [p["user"] for p in defined["permissions"] if p["vhost"] == topology.SUBSCRIBER_VHOST]
    assert outer == ["notifications"]


def test_what_each_node_carries_is_together_all_that_one_node_carries() -> None:
    whole = topology.definitions(CONTRACTS, PASSWORDS)
    nodes = [topology.definitions(CONTRACTS, PASSWORDS, [part]) for part in topology.PARTS]
    for what in ("exchanges", "queues", "bindings", "topic_permissions"):
        apart = [str(one) for node in nodes for one in node[what]]
        assert sorted(apart) == sorted(str(one) for one in whole[what]), f"{what}: each on one node"
    assert topology.definitions(CONTRACTS, PASSWORDS, topology.PARTS) == whole


@pytest.mark.parametrize("parts", [["rpc"], ["events"], ["subscribers"], ["events", "subscribers"]])
def test_every_binding_and_right_on_a_node_is_to_something_there(parts: list[str]) -> None:
    node = topology.definitions(CONTRACTS, PASSWORDS, parts)
    names = {exchange["name"] for exchange in node["exchanges"]}
    queues = {queue["name"] for queue in node["queues"]}
    vhosts, users = {vhost["name"] for vhost in node["vhosts"]}, {user["name"] for user in node["users"]}
    assert all(binding["source"] in names and binding["destination"] in queues for binding in node["bindings"])
    for right in (*node["permissions"], *node["topic_permissions"]):
        assert right["vhost"] in vhosts and right["user"] in users
    assert {right["exchange"] for right in node["topic_permissions"]} <= names


def test_on_a_node_of_questions_nobody_has_a_right_to_events_and_the_other_way_round() -> None:
    for kind in topology.KINDS:
        asking, _ = topology.permissions(kind, CONTRACTS, ["rpc"])
        telling, _ = topology.permissions(kind, CONTRACTS, ["events"])
        for name in (f"{kind}.events", f"{kind}.inbox", f"{kind}.parked"):
            assert not any(re.search(asking[verb], name) for verb in ("configure", "write", "read")), name
        for name in (topology.RPC_EXCHANGE, f"rpc-{kind}", f"reply.{kind}.0a1b"):
            assert not any(re.search(telling[verb], name) for verb in ("configure", "write", "read")), name
            assert re.search(asking["read"], name)
    assert "gateway" not in topology.kinds(["events"]), "it tells no event and hears none"


def test_passwords_are_stored_as_salted_hashes_that_the_broker_can_check() -> None:
    stored = base64.b64decode(topology.password_hash("correct horse"))
    assert stored[4:] == hashlib.sha256(stored[:4] + b"correct horse").digest()
    assert topology.password_hash("correct horse") != topology.password_hash("correct horsf")
    assert "secret of gateway" not in str(topology.definitions(CONTRACTS, PASSWORDS))


def test_the_same_contracts_give_the_same_definitions() -> None:
    assert topology.definitions(CONTRACTS, PASSWORDS) == topology.definitions(CONTRACTS, PASSWORDS)


def test_a_contract_that_listens_to_nobody_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.dossier import contract

    monkeypatch.setattr(contract, "SUBSCRIPTIONS", {("nobody", "x.v1"): "on_x"})
    with pytest.raises(ValueError, match="nobody"):
        topology.contracts()
