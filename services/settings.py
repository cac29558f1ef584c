"""The only reader of the environment: `OPENDSP_SETTINGS` names a TOML file, `OPENDSP_<FIELD>` overrides a field.

Each process gets a file of its own, readable by it alone, with no other process' secrets in it.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, get_args

Profile = Literal["production", "local"]
Purpose = Literal["rpc", "events"]
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Broker:
    """Where a broker is, and as whom a process comes to it."""

    host: str
    port: int
    vhost: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything a process may be told from outside. Sizes in bytes, times in seconds, keys in base64."""

    profile: Profile = "production"
    process: str = ""

    broker_host: str = "127.0.0.1"
    broker_port: int = 5672
    broker_vhost: str = "opendsp"
    broker_user: str = ""
    broker_password: str = ""
    # Questions go over another broker where one is named here; what is left out is as above.
    rpc_broker_host: str = ""
    rpc_broker_port: int = 0
    rpc_broker_vhost: str = ""
    rpc_broker_user: str = ""
    rpc_broker_password: str = ""
    rpc_timeout: float = 5.0

    database_url: str = ""

    s3_endpoint: str = "127.0.0.1:8333"
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_bucket: str = "opendsp-documents"
    s3_region: str = "us-east-1"
    s3_secure: bool = False

    master_key_file: str = ""
    identity_key: str = ""

    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    smtp_tls: Literal["", "starttls", "implicit"] = ""
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_ca_file: str = ""
    mail_bounces_to: str = ""
    mail_from: str = "ne-pas-repondre@opendsp.localhost"
    letters_folder: str = ""
    public_url: str = "http://localhost:8080"
    portal_url: str = ""

    luxtrust_issuer: str = ""
    luxtrust_client_id: str = ""
    luxtrust_client_secret: str = ""

    sms_provider: Literal["", "http", "outbox"] = ""
    sms_folder: str = ""
    sms_url: str = ""
    sms_token: str = ""
    sms_sender: str = "OpenDSP"
    sms_receipt_token: str = ""

    help_phone: str = ""
    help_mail: str = ""
    help_hours: str = "Mo-Fr 08:00-18:00"
    help_topics: str = "activation,log_in,contact,personal_data,record,rights,software,other"

    subscriber_vhost: str = "opendsp-subscribers"
    subscriber_broker_host: str = "127.0.0.1"
    subscriber_broker_port: int = 5672
    subscriber_broker_user: str = ""
    subscriber_broker_password: str = ""
    broker_auth_bind: str = "127.0.0.1:8085"
    monitor_bind: str = "127.0.0.1:8087"
    stream_bind: str = "127.0.0.1:8086"
    stream_url: str = ""
    stream_connections: int = 4000
    vapid_key: str = ""
    vapid_contact: str = "mailto:aide@opendsp.localhost"
    outward_allowed: str = ""
    outward_ca_file: str = ""
    webhook_key: str = ""

    gateway_bind: str = "127.0.0.1:8080"
    gateway_workers: int = 2
    gateway_threads: int = 32
    upload_max_bytes: int = 2 * 1024**3
    viewer_origins: str = ""
    pacs_url: str = ""
    pacs_user: str = ""
    pacs_password: str = ""
    pacs_private: bool = False
    clamd_host: str = ""
    clamd_port: int = 3310
    clamd_socket: str = ""
    quarantine_days: int = 30
    seal: str = ""
    notary_key: str = ""
    witness_folder: str = ""
    archive_key: str = ""
    document_term_years: int = 10
    notice_days: int = 730
    trace_destruction_days: int = 1
    syslog_host: str = ""
    syslog_port: int = 6514
    syslog_ca_file: str = ""
    syslog_certificate_file: str = ""
    syslog_key_file: str = ""
    scrub_bytes_a_second: int = 4 * 1024**2
    scrub_days: int = 30
    patient_block_release_days: int = 0
    dispensation_cancel_hours: int = 24
    alert_patients_an_hour: int = 60
    alert_failures_an_hour: int = 5
    alert_care_ended_days: int = 30
    alert_again_days: int = 7
    alert_day_begins: int = 7
    alert_day_ends: int = 20
    statistics_smallest_cell: int = 5
    trusted_proxy: str = ""

    def broker_of(self, purpose: Purpose) -> Broker:
        """The broker that carries questions and their answers (rpc), or events; often one and the same."""
        events = Broker(self.broker_host, self.broker_port, self.broker_vhost, self.broker_user, self.broker_password)
        if purpose == "events":
            return events
        return Broker(
            self.rpc_broker_host or events.host, self.rpc_broker_port or events.port,
            self.rpc_broker_vhost or events.vhost, self.rpc_broker_user or events.user,
            self.rpc_broker_password or events.password,
        )  # fmt: skip


def _typed(kind: Any, text: str) -> Any:
    """Environment text as the field's own type."""
    if kind in (bool, "bool"):
        return text.strip().lower() in ("1", "true", "yes", "on")
    if kind in (int, "int"):
        return int(text)
    if kind in (float, "float"):
        return float(text)
    return text


@cache
def load() -> Settings:
    """This process' settings, read once.

    Refuses: a file with a name no setting has (a misspelt setting must not pass as a default); an unknown profile; the
    profile `local` with a door beyond loopback, because people whose passwords lie in a file live there.
    """
    values: dict[str, Any] = {}
    path = os.environ.get("OPENDSP_SETTINGS")
    if path:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    known = {field.name: field.type for field in fields(Settings)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{path}: unknown settings {', '.join(unknown)}")
    for name, kind in known.items():
        text = os.environ.get(f"OPENDSP_{name.upper()}")
        if text is not None:
            values[name] = _typed(kind, text)
    settings = Settings(**values)
    if settings.profile not in get_args(Profile):
        raise ValueError(f"profile is {' or '.join(get_args(Profile))}, not {settings.profile}")
    beyond = [
        bind
        for bind in (settings.gateway_bind, settings.broker_auth_bind, settings.stream_bind, settings.monitor_bind)
        if bind.rpartition(":")[0] not in LOOPBACK
    ]
    if settings.profile == "local" and beyond:
        raise ValueError(f"the profile local listens on loopback only, not on {', '.join(beyond)}")
    return settings
