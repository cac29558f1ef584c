"""What a process may be told from outside, and what it refuses to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services import settings
from services.settings import Broker, Settings

Told = Callable[..., Settings]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """The settings of a process whose file holds this text, with these overrides in its environment."""

    def load(text: str, **overrides: str) -> Settings:
        file = tmp_path / "settings.toml"
        file.write_text(text)
        monkeypatch.setenv("OPENDSP_SETTINGS", str(file))
        for name, value in overrides.items():
            monkeypatch.setenv(f"OPENDSP_{name.upper()}", value)
        settings.load.cache_clear()
        return settings.load()

    yield load
    settings.load.cache_clear()


def test_the_file_is_read_and_the_environment_stands_before_it(told: Told) -> None:
    found = told('process = "dossier"\nrpc_timeout = 3.0\nbroker_port = 1\n', broker_port="5673", s3_secure="true")
    assert (found.process, found.rpc_timeout, found.broker_port, found.s3_secure) == ("dossier", 3.0, 5673, True)
    assert found.profile == "production"


def test_questions_go_where_events_go_unless_told_otherwise(told: Told) -> None:
    found = told('broker_host = "mq"\nbroker_user = "audit"\nbroker_password = "secret"\n')
    assert found.broker_of("rpc") == found.broker_of("events") == Broker("mq", 5672, "opendsp", "audit", "secret")


@pytest.mark.parametrize("part, value", [
    ("host", "mq-rpc"), ("port", 5673), ("vhost", "questions"), ("user", "audit-rpc"), ("password", "other"),
])  # fmt: skip
def test_a_broker_of_their_own_differs_in_what_is_said_of_it_alone(told: Told, part: str, value: str | int) -> None:
    found = told('broker_host = "mq"\nbroker_user = "audit"\n', **{f"rpc_broker_{part}": str(value)})
    assert found.broker_of("events") == Broker("mq", 5672, "opendsp", "audit", "")
    assert found.broker_of("rpc") == replace(found.broker_of("events"), **{part: value})


def test_a_setting_nobody_knows_is_refused(told: Told) -> None:
    with pytest.raises(ValueError, match="unknown settings broker_prt"):
        told("broker_prt = 5673\n")


def test_a_profile_nobody_knows_is_refused(told: Told) -> None:
    with pytest.raises(ValueError, match="profile"):
        told('profile = "staging"\n')


@pytest.mark.parametrize("bind", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_the_local_profile_listens_on_loopback(told: Told, bind: str) -> None:
    assert told(f'profile = "local"\ngateway_bind = "{bind}"\n').gateway_bind == bind


@pytest.mark.parametrize("bind", ["0.0.0.0:8080", ":8080", "[::]:8080", "192.0.2.1:8080", "127.0.0.1.example.org:8080"])
@pytest.mark.parametrize("door", ["gateway_bind", "broker_auth_bind", "monitor_bind"])
def test_the_local_profile_refuses_to_listen_beyond_loopback_and_production_does_not(
    told: Told, door: str, bind: str
) -> None:
    with pytest.raises(ValueError, match="loopback"):
        told(f'profile = "local"\n{door} = "{bind}"\n')
    assert getattr(told(f'{door} = "{bind}"\n'), door) == bind
