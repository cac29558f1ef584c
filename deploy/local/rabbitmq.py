"""RabbitMQ of the stack: a broker of its own node, port mapper, cookie and data, listening on loopback only.

Everything of the topology comes from deploy/rabbitmq/topology.py and is loaded at boot; when the contracts change
under a running broker, the new definitions are imported into it.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pika
import pika.exceptions

from deploy.local.failure import StackFailure
from deploy.local.layout import Layout, short_hash, write_private
from deploy.local.part import Part
from deploy.local.ports import free_ports
from deploy.rabbitmq import topology

INSTALLED = Path("/usr/lib/rabbitmq/bin")
EPMD = Path("/usr/bin/epmd")
CONTROL_TRIES = 3
NEVER_BEGAN = 78  # what rabbitmqctl ends with when its own node could not start: nothing was asked of the broker yet
LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
# Two cores: an idle scheduler that spins takes the time of its neighbours.
CALM = "+sbwt none +sbwtdcpu none +sbwtdio none"


def installed() -> bool:
    """Whether Debian's broker is on this machine."""
    return (INSTALLED / "rabbitmq-server").exists() and EPMD.exists()


def prepare(layout: Layout, carries: Sequence[str] = topology.PARTS) -> None:
    """Write the broker's configuration, cookie, plugin list and definitions, those of what it carries."""
    folder = layout.rabbitmq
    (folder / "home").mkdir(mode=0o700, exist_ok=True)
    cookie = folder / "home" / ".erlang.cookie"
    if not cookie.exists():
        write_private(cookie, layout.secrets["erlang_cookie"])
        cookie.chmod(0o400)
    write_private(folder / "rabbitmq.conf", _configuration(layout))
    write_private(folder / "enabled_plugins", "[rabbitmq_auth_backend_http].\n")
    write_private(
        folder / "rabbitmq-env.conf", "# Empty on purpose: /etc/rabbitmq/rabbitmq-env.conf is not ours to follow.\n"
    )
    write_private(_definitions_file(layout), json.dumps(_definitions(layout, carries), indent=1))


def parts(layout: Layout) -> list[Part]:
    """The port mapper and the broker.

    The mapper is a part of its own, started before the broker: one that the broker starts by itself would outlive it.
    """
    mapper = Part(
        name="epmd",
        command=[str(EPMD), "-port", str(layout.ports["epmd"]), "-address", "127.0.0.1"],
        directory=layout.rabbitmq,
        environment={"PATH": "/usr/bin:/bin", "HOME": str(layout.rabbitmq / "home")},
    )
    broker = Part(
        name="rabbitmq",
        command=[str(INSTALLED / "rabbitmq-server")],
        directory=layout.rabbitmq,
        # Told so, the script becomes the broker instead of standing before it: whoever is killed is who is supervised.
        environment=_environment(layout) | {"RUNNING_UNDER_SYSTEMD": "true"},
    )
    return [mapper, broker]


def answers(layout: Layout, carries: Sequence[str] = topology.PARTS) -> bool:
    """Whether the broker lets the operator in and has the last of its queues."""
    parameters = pika.ConnectionParameters(
        host="127.0.0.1",
        port=layout.ports["rabbitmq"],
        virtual_host=topology.VHOST,
        credentials=pika.PlainCredentials("operator", layout.secrets["broker_operator"]),
        socket_timeout=5,
        blocked_connection_timeout=5,
    )
    try:
        with pika.BlockingConnection(parameters) as connection:
            connection.channel().queue_declare(topology.queues(carries)[-1]["name"], passive=True)
    except (pika.exceptions.AMQPError, OSError):
        return False
    return True


def definitions_are_new(layout: Layout) -> bool:
    """Whether the broker has not yet been given the definitions that now hold."""
    mark = _imported_mark(layout)
    return not mark.exists() or mark.read_text() != _digest(layout)


def remember_definitions(layout: Layout) -> None:
    """Note that the broker has them (it loads the file at each boot)."""
    write_private(_imported_mark(layout), _digest(layout))


def import_definitions(layout: Layout) -> None:
    """Give a running broker the definitions that now hold. What they no longer name stays; nothing is lost by it.

    Refuses: StackFailure when the broker does not take them.
    """
    done = _asked(layout, "import_definitions", str(_definitions_file(layout)))
    if done.returncode:
        raise StackFailure(
            "the broker did not take the changed definitions",
            log=layout.log("rabbitmq"),
            lines=done.stdout + done.stderr,
            advice="an existing queue cannot change its arguments; all else is loaded by `make down`, `make up`",
        )
    remember_definitions(layout)


def control(layout: Layout, *arguments: str) -> str:
    """Run rabbitmqctl against this broker (for operators and tests) and give back what it prints."""
    done = _asked(layout, *arguments)
    done.check_returncode()
    return done.stdout


def _asked(layout: Layout, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What rabbitmqctl answers. It listens while it asks, at a port that is free at that moment: one that was kept for
    it could be anybody's by then, and it would never begin."""
    for _ in range(CONTROL_TRIES):
        [port] = map(str, free_ports(1, layout.ports.values()))
        done = subprocess.run(
            [str(INSTALLED / "rabbitmqctl"), "--quiet", *arguments],
            env=_environment(layout) | {"RABBITMQ_CTL_DIST_PORT_MIN": port, "RABBITMQ_CTL_DIST_PORT_MAX": port},
            cwd=layout.rabbitmq,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != NEVER_BEGAN:
            break
    return done


def _definitions(layout: Layout, carries: Sequence[str]) -> topology.Definitions:
    try:
        contracts = topology.contracts()
    except (ImportError, AttributeError, ValueError) as error:
        raise StackFailure(
            f"the broker's topology cannot be computed: {error}",
            advice="mend the contract; the broker's queues and permissions come from it",
        ) from error
    passwords = {kind: layout.secrets[f"broker_{kind}"] for kind in topology.kinds(carries)}
    return topology.definitions(contracts, passwords, carries)


def _definitions_file(layout: Layout) -> Path:
    return layout.rabbitmq / "definitions.json"


def _imported_mark(layout: Layout) -> Path:
    return layout.rabbitmq / "definitions.imported"


def _digest(layout: Layout) -> str:
    return hashlib.sha256(_definitions_file(layout).read_bytes()).hexdigest()


def _configuration(layout: Layout) -> str:
    asked = f"http://127.0.0.1:{layout.ports['broker_auth']}"
    # No default user is made when definitions are loaded. Our own processes are known to the broker itself; a foreign
    # subscriber is not, so notifications is asked about it, at each connection and for each resource.
    return f"""\
listeners.tcp.1 = 127.0.0.1:{layout.ports["rabbitmq"]}
load_definitions = {_definitions_file(layout)}
auth_backends.1 = internal
auth_backends.2 = http
auth_http.http_method = post
auth_http.user_path = {asked}/user
auth_http.vhost_path = {asked}/vhost
auth_http.resource_path = {asked}/resource
auth_http.topic_path = {asked}/topic
log.console = true
log.console.level = info
log.connection.level = warning
log.file = false
raft.wal_max_size_bytes = 67108864
disk_free_limit.absolute = 256MB
"""


def _environment(layout: Layout) -> dict[str, str]:
    folder = layout.rabbitmq
    node = f"opendsp-{short_hash(layout.state)}@localhost"
    return {
        "PATH": "/usr/lib/rabbitmq/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(layout.ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # A crash dump would hold messages in clear.
        "ERL_CRASH_DUMP_SECONDS": "0",
        "RABBITMQ_NODENAME": node,
        "RABBITMQ_DIST_PORT": str(layout.ports["rabbitmq_dist"]),
        "RABBITMQ_CTL_ERL_ARGS": LOOPBACK_ONLY,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{CALM} {LOOPBACK_ONLY} -start_epmd false",
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_MNESIA_DIR": str(folder / "mnesia" / "node"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "TMPDIR": os.fspath(layout.temporary_folder("rabbitmq")),
    }
