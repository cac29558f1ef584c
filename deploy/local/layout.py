"""Where everything of one stack lies: folders, ports, secrets. Chosen once, kept in the state folder."""

import base64
import hashlib
import json
import os
import pwd
import secrets
import stat
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.local.failure import StackFailure
from deploy.local.ports import KEPT_IN, free_ports, known_to_others, private_folder
from deploy.local.seal import seal

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")
DATABASE_ADMIN = "opendsp_admin"

PORTS = (
    "gateway",
    "broker_auth",
    "stream",
    "monitor",
    "postgres",
    "rabbitmq",
    "rabbitmq_dist",
    "epmd",
    "smtp",
    "luxtrust",
    "s3",
    "s3_grpc",
    "weed_master",
    "weed_master_grpc",
    "weed_filer",
    "weed_filer_grpc",
    "weed_volume",
    "weed_volume_grpc",
    "weed_admin",
    "weed_admin_grpc",
)

SOCKET_PATH_LIMIT = 107
RELOCATED = Path("/var/lib/opendsp")


class Layout:
    """The paths, ports and secrets of the stack whose state lies in the given folder."""

    def __init__(self, state: Path) -> None:
        self.state = resolve_state(state)
        self.settings = self.state / "settings"
        self.logs = self.state / "logs"
        self.mail = self.state / "mail"
        self.letters = self.state / "letters"
        self.sms = self.state / "sms"
        self.witness = self.state / "witness"
        self.postgres = self.state / "postgres"
        self.rabbitmq = self.state / "rabbitmq"
        self.seaweed = self.state / "seaweed"
        self.supervisor = self.state / "supervisor"
        self.temporary = self.state / "tmp"

    def create(self) -> None:
        """Make every folder that is missing; only PostgreSQL's own account may pass through the top one.

        Whoever starts a stack begins with this, so it is here that others are told of its ports once more: what they
        know of each other lies in /tmp, and that is emptied with every start of the machine.
        """
        self.state.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.state.chmod(0o711 if os.geteuid() == 0 else 0o700)
        parts = (self.rabbitmq, self.seaweed, self.supervisor)
        for folder in (self.settings, self.logs, self.letters, self.sms, self.witness, *parts):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.temporary.mkdir(mode=0o711, exist_ok=True)
        self._keep_ports()

    def settings_file(self, process: str) -> Path:
        """The TOML file that `OPENDSP_SETTINGS` of this process names."""
        return self.settings / f"{process}.toml"

    @property
    def master_key_file(self) -> Path:
        """The keys that wrap the records' keys; whoever loses it loses every document."""
        return self.settings / "master_keys.json"

    @property
    def thread_key_file(self) -> Path:
        """The keys that wrap those of secure messages; whoever loses it loses every message."""
        return self.settings / "thread_keys.json"

    def log(self, part: str) -> Path:
        """The log file of a supervised part."""
        return self.logs / f"{part}.log"

    def temporary_folder(self, process: str) -> Path:
        """TMPDIR of one process, made on demand."""
        folder = self.temporary / process
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @cached_property
    def sockets(self) -> Path:
        """A folder short enough for unix sockets (the kernel cuts their paths at 107 bytes)."""
        near = self.state / "sock"
        if len(os.fsencode(near / "supervisor.sock.1234567")) <= SOCKET_PATH_LIMIT:
            near.mkdir(mode=0o700, exist_ok=True)
            return near
        far = Path("/tmp") / f"opendsp-{short_hash(self.state)}"  # noqa: S108 (looked at below before it is trusted)
        return private_folder(far, "it is where the control sockets go because the state folder's path is too long")

    @cached_property
    def ports(self) -> dict[str, int]:
        """The port of each listener, chosen among the free ones at the first start and kept."""
        ports: dict[str, int] = read_kept(self.state / KEPT_IN)
        return ports if ports.keys() >= set(PORTS) else self._keep_ports()

    def _keep_ports(self) -> dict[str, int]:
        """Has all other stacks leave this one its ports, and chooses those that it has not."""
        kept_in = self.state / KEPT_IN
        with known_to_others(self.state, short_hash(self.state)):
            ports: dict[str, int] = read_kept(kept_in)
            missing = [name for name in PORTS if name not in ports]
            if missing:
                ports |= dict(zip(missing, free_ports(len(missing), taken=ports.values()), strict=True))
                write_private(kept_in, json.dumps(ports, indent=1))
        return ports

    def has_ports(self) -> bool:
        """Whether this stack was ever started."""
        return (self.state / KEPT_IN).exists()

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Every password and key of this stack, made at the first start, readable by its owner only."""
        kept_in = self.state / "secrets.json"
        kept: dict[str, str] = read_kept(kept_in)
        wanted = {
            "database_admin": password,
            **{f"database_{service}": password for service in SERVICES},
            **{f"broker_{kind}": password for kind in ("gateway", "operator", *SERVICES)},
            "erlang_cookie": password,
            "s3_access_key": lambda: secrets.token_hex(10),
            "s3_secret_key": password,
            "s3_audit_access_key": lambda: secrets.token_hex(10),
            "s3_audit_secret_key": password,
            "archive_key": key,
            "s3_notifications_access_key": lambda: secrets.token_hex(10),
            "s3_notifications_secret_key": password,
            "thread_key": key,
            "identity_key": key,
            "master_key": key,
            "notary_key": key,
            "vapid_key": key,
            "webhook_key": key,
            "seal": seal,
            "luxtrust_client_secret": password,
        }
        missing = {name: make() for name, make in wanted.items() if name not in kept}
        if missing:
            kept |= missing
            write_private(kept_in, json.dumps(kept, indent=1))
        return kept

    @property
    def public_url(self) -> str:
        """The gateway's address: a host name, because passkeys need one."""
        return f"http://localhost:{self.ports['gateway']}"

    def database_url(self, service: str) -> str:
        """The SQLAlchemy URL with which a service reaches its own database."""
        role = database_of(service)
        return self.database_url_of(role, role, self.secrets[f"database_{service}"])

    def database_url_of(self, database: str, role: str, role_password: str) -> str:
        """The SQLAlchemy URL of any database of this stack; the driver is named, see trap 3 of the architecture."""
        return f"postgresql+psycopg2://{role}:{role_password}@127.0.0.1:{self.ports['postgres']}/{database}"


def database_of(service: str) -> str:
    """The name of a service's database, which is its role's name too."""
    return f"opendsp_{service}"


def resolve_state(wanted: Path) -> Path:
    """The folder that really holds the state: elsewhere when PostgreSQL's account could not enter the wanted one.

    PostgreSQL refuses to run as root, and a clone in root's home cannot be entered by anyone else. The wanted
    path then becomes a link, so that `.run/logs` is right in every case.
    """
    if wanted.is_symlink():
        return wanted.resolve()
    wanted = wanted.absolute()
    if os.geteuid() != 0 or _may_be_entered_by_others(wanted.parent):
        return wanted
    if wanted.exists() and any(wanted.iterdir()):
        raise StackFailure(
            f"the account of PostgreSQL cannot enter {wanted}, and the folder is not empty",
            advice="move it away, or make its parents enterable (chmod o+x)",
        )
    RELOCATED.mkdir(mode=0o711, parents=True, exist_ok=True)
    RELOCATED.chmod(0o711)
    real = RELOCATED / short_hash(wanted)
    real.mkdir(mode=0o711, exist_ok=True)
    if wanted.exists():
        wanted.rmdir()
    wanted.parent.mkdir(parents=True, exist_ok=True)
    wanted.symlink_to(real)
    return real


def _may_be_entered_by_others(folder: Path) -> bool:
    existing = [parent for parent in (folder, *folder.parents) if parent.exists()]
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in existing)


def short_hash(path: Path) -> str:
    """Twelve characters that tell one folder's stack from another's."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def write_private(path: Path, text: str) -> None:
    """Replace a file at once with one that only its owner may read."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def read_kept(path: Path) -> dict[str, Any]:
    """What a JSON file of the state folder holds; nothing when it was never written.

    Refuses: StackFailure when it can no longer be read as what it was.
    """
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise StackFailure(
            f"{path} is damaged",
            advice="put a copy of it back; all but secrets.json, without which the data stays shut, may be removed",
        )
    return kept


def password() -> str:
    """A password of 256 bits that needs no quoting anywhere."""
    return secrets.token_urlsafe(32).replace("-", "x").replace("_", "y")


def key() -> str:
    """A key of 32 bytes in base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def postgres_account() -> pwd.struct_passwd | None:
    """The account PostgreSQL runs as: `postgres` for root, our own (None) otherwise."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None
