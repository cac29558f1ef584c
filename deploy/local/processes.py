"""The platform's own processes: their settings files, how they are started, what they are made of."""

import hashlib
import json
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import luxtrust, seaweed
from deploy.local.layout import REPOSITORY, SERVICES, Layout, read_kept, write_private
from deploy.local.part import Part
from deploy.rabbitmq import topology

if TYPE_CHECKING:
    from services.settings import Settings

Value = str | int | float | bool

BIN = Path(sys.prefix) / "bin"
UPLOAD_MAX_BYTES = 2 * 1024**3
# A process of its own with the outer bus' questions: it holds no broker password and reads one table.
BROKER_AUTH = "broker_auth"
# Processes of documents that look closely at what was deposited: not on the bus, and scaled by themselves.
EXAMINER = "examiner"
# A process of audit that signs for the log: one, with a key and a folder that nobody else has.
NOTARY = "notary"
# A process of notifications that holds open the streams of news: not on the bus, it needs one database.
STREAM = "stream"
GATEWAY = "gateway"
OPERATOR = "operator"
# Shows operators what waits; it is one to the broker.
MONITOR = "monitor"
SCALED = (*SERVICES, EXAMINER)
PROCESSES = (*SCALED, NOTARY, BROKER_AUTH, STREAM, GATEWAY, MONITOR)


def write_settings(layout: Layout) -> None:
    """One file per process, readable by its owner only, with no other process' secrets."""
    for process in (*PROCESSES, OPERATOR):
        values = settings_of(layout, process)
        lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
        write_private(layout.settings_file(process), "\n".join(lines) + "\n")
    for file, secret in ((layout.master_key_file, "master_key"), (layout.thread_key_file, "thread_key")):
        if not file.exists():  # once it is there it is the operator's: keys are added to it and taken out
            first = {"current": "1", "keys": {"1": layout.secrets[secret]}}
            write_private(file, json.dumps(first, indent=1) + "\n")


def load_settings(layout: Layout, process: str) -> "Settings":
    """The settings of a process as it reads them itself."""
    from services.settings import Settings

    return Settings(**tomllib.loads(layout.settings_file(process).read_text()))


def settings_of(layout: Layout, process: str) -> dict[str, Value]:
    """Exactly the settings a process needs."""
    ports, secrets = layout.ports, layout.secrets
    values: dict[str, Value] = {"profile": "local", "process": process}
    if process == BROKER_AUTH:
        return values | {
            "database_url": layout.database_url("notifications"),
            "broker_auth_bind": f"127.0.0.1:{ports['broker_auth']}",
        }
    if process == STREAM:
        return values | {
            "database_url": layout.database_url("notifications"),
            "stream_bind": f"127.0.0.1:{ports['stream']}",
            "public_url": layout.public_url,
        }
    if process == EXAMINER:
        return values | {"database_url": layout.database_url("documents")} | _store(layout)
    if process == NOTARY:
        return values | {
            "database_url": layout.database_url("audit"),
            "notary_key": secrets["notary_key"],
            "witness_folder": str(layout.witness),
        }
    values |= {
        "broker_host": "127.0.0.1",
        "broker_port": ports["rabbitmq"],
        "broker_vhost": topology.VHOST,
        "broker_user": OPERATOR if process == MONITOR else process,
        "broker_password": secrets[f"broker_{OPERATOR if process == MONITOR else process}"],
    }
    if process in SERVICES:
        values["database_url"] = layout.database_url(process)
    if process == "identity":
        values |= {
            "identity_key": secrets["identity_key"],
            "public_url": layout.public_url,
            "luxtrust_issuer": luxtrust.url(layout),
            "luxtrust_client_id": luxtrust.CLIENT_ID,
            "luxtrust_client_secret": secrets["luxtrust_client_secret"],
        }
    if process == "documents":
        values |= _store(layout) | {"upload_max_bytes": UPLOAD_MAX_BYTES}
    if process == "audit":
        values |= {
            "s3_endpoint": f"127.0.0.1:{ports['s3']}",
            "s3_bucket": seaweed.TRACES,
            "s3_access_key": secrets["s3_audit_access_key"],
            "s3_secret_key": secrets["s3_audit_secret_key"],
            "archive_key": secrets["archive_key"],
        }
    if process == "notifications":
        values |= {
            "smtp_host": "127.0.0.1",
            "smtp_port": ports["smtp"],
            "vapid_key": secrets["vapid_key"],
            "webhook_key": secrets["webhook_key"],
            "letters_folder": str(layout.letters),
            "s3_endpoint": f"127.0.0.1:{ports['s3']}",
            "s3_bucket": seaweed.ATTACHMENTS,
            "s3_access_key": secrets["s3_notifications_access_key"],
            "s3_secret_key": secrets["s3_notifications_secret_key"],
            "master_key_file": str(layout.thread_key_file),
            "sms_provider": "outbox",
            "sms_folder": str(layout.sms),
            "public_url": layout.public_url,
            "subscriber_vhost": topology.SUBSCRIBER_VHOST,
            "subscriber_broker_host": "127.0.0.1",
            "subscriber_broker_port": ports["rabbitmq"],
            "subscriber_broker_user": topology.SUBSCRIPTION_OWNER,
            "subscriber_broker_password": secrets[f"broker_{topology.SUBSCRIPTION_OWNER}"],
        }
    if process == MONITOR:
        values["monitor_bind"] = f"127.0.0.1:{ports['monitor']}"
    if process == GATEWAY:
        values |= {
            "public_url": layout.public_url,
            "seal": secrets["seal"],
            "stream_url": f"http://localhost:{ports['stream']}",
            "help_phone": "+352 00 00 00",
            "help_mail": "aide@opendsp.localhost",
            "gateway_bind": f"127.0.0.1:{ports['gateway']}",
            "gateway_workers": 2,
            "gateway_threads": 32,
            # Where, not with which keys: the gateway opens the addresses that documents signs, and no others.
            "s3_endpoint": f"127.0.0.1:{ports['s3']}",
            "upload_max_bytes": UPLOAD_MAX_BYTES,
        }
    return values


def _store(layout: Layout) -> dict[str, Value]:
    """The object store, and the keys to what lies in it."""
    return {
        "s3_endpoint": f"127.0.0.1:{layout.ports['s3']}",
        "s3_access_key": layout.secrets["s3_access_key"],
        "s3_secret_key": layout.secrets["s3_secret_key"],
        "master_key_file": str(layout.master_key_file),
    }


def parts(layout: Layout) -> list[Part]:
    """Every process of the platform, each service as often as it is scaled to."""
    made = []
    for service, count in replicas(layout).items():
        start = _examiner if service == EXAMINER else _service
        made += [start(layout, service, number) for number in range(1, count + 1)]
    made.append(_notary(layout))
    made.append(_stream(layout))
    made.append(_gunicorn(layout, BROKER_AUTH, "services.notifications.ports.broker_auth:app"))
    made.append(_gunicorn(layout, GATEWAY, "gateway.app:create_app()"))
    made.append(_gunicorn(layout, MONITOR, "gateway.monitor:create_app()"))
    return made


def replicas(layout: Layout) -> dict[str, int]:
    """How many processes of each service run."""
    kept = read_kept(layout.state / "replicas.json")
    return {service: kept.get(service, 1) for service in SCALED}


def keep_replicas(layout: Layout, service: str, count: int) -> None:
    """Note how many processes of a service shall run from now on."""
    write_private(layout.state / "replicas.json", json.dumps(replicas(layout) | {service: count}))


def environment(layout: Layout, process: str) -> dict[str, str]:
    """The environment of a process: where its settings lie, and nothing else of ours."""
    return {
        "OPENDSP_SETTINGS": str(layout.settings_file(process)),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",  # a library's advice to its programmers is no line of an operator's log
        "PATH": f"{BIN}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TMPDIR": str(layout.temporary_folder(process)),
    }


def digest(*paths: Path) -> str:
    """What files and folders hold, as one short word."""
    told = hashlib.sha256()
    for path in paths:
        for file in _files(path):
            told.update(str(file).encode() + b"\0" + file.read_bytes() + b"\0")
    return told.hexdigest()[:16]


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    found = (file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)
    return [file for file in found if file.suffix != ".pyc"]


def _code(process: str) -> str:
    # Stands in the environment, so that `make up` after a change of the code restarts what it concerns.
    services = REPOSITORY / "services"
    plumbing = [*sorted(services.glob("*.py")), services / "bus", REPOSITORY / "deploy" / "nameko.yaml"]
    contracts = sorted(services.glob("*/contract.py"))
    elsewhere = {
        GATEWAY: REPOSITORY / "gateway", MONITOR: REPOSITORY / "gateway",
        BROKER_AUTH: services / "notifications", EXAMINER: services / "documents",
        NOTARY: services / "audit", STREAM: services / "notifications",
    }  # fmt: skip
    own = elsewhere.get(process, services / process)
    return digest(*plumbing, *contracts, own, REPOSITORY / "deploy" / "gunicorn.py")


def _started(layout: Layout, process: str) -> dict[str, str]:
    keys = [Path(str(file)) for name, file in settings_of(layout, process).items() if name == "master_key_file"]
    settings = digest(layout.settings_file(process), *keys)
    return environment(layout, process) | {"OPENDSP_MADE_OF": f"{_code(process)}-{settings}"}


def _examiner(layout: Layout, process: str, number: int) -> Part:
    return Part(
        name=process if number == 1 else f"{process}-{number}",
        command=[sys.executable, "-m", "services.documents.examine"],
        directory=REPOSITORY,
        environment=_started(layout, process),
    )


def _notary(layout: Layout) -> Part:
    return Part(
        name=NOTARY,
        command=[sys.executable, "-m", "services.audit.notarise"],
        directory=REPOSITORY,
        environment=_started(layout, NOTARY),
    )


def _stream(layout: Layout) -> Part:
    return Part(
        name=STREAM,
        command=[sys.executable, "-m", "services.notifications.stream"],
        directory=REPOSITORY,
        environment=_started(layout, STREAM),
    )


def _service(layout: Layout, service: str, number: int) -> Part:
    return Part(
        name=service if number == 1 else f"{service}-{number}",
        command=[
            str(BIN / "nameko"),
            "run",
            "--config",
            str(REPOSITORY / "deploy" / "nameko.yaml"),
            f"services.{service}.service:{service.capitalize()}",
        ],
        directory=REPOSITORY,
        environment=_started(layout, service),
    )


def _gunicorn(layout: Layout, process: str, application: str) -> Part:
    return Part(
        name=process,
        command=[
            str(BIN / "gunicorn"),
            "--config",
            str(REPOSITORY / "deploy" / "gunicorn.py"),
            "--worker-tmp-dir",
            str(layout.temporary_folder(process)),
            application,
        ],
        directory=REPOSITORY,
        environment=_started(layout, process),
    )


def _toml(value: Value) -> str:
    # JSON's strings, numbers and booleans are TOML's too.
    return json.dumps(value)
