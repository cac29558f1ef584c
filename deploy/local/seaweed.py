"""SeaweedFS of the stack: an S3 store that keeps what it acknowledges, closed to everyone without a key.

Most of its defaults lose or expose something; each setting here says which. `python -m deploy.local.seaweed STATE` is
the supervised process: it repairs after an unclean stop, starts `weed mini`, sets the rule that makes the store sync
each object before acknowledging it, and notes a clean stop.
"""

import ctypes
import datetime
import ipaddress
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.failure import StackFailure
from deploy.local.layout import REPOSITORY, Layout, write_private
from deploy.local.part import Part

PARTS_THAT_SPEAK_GRPC = ("master", "volume", "filer", "s3", "admin", "worker", "client")
RULE = "fs.configure -locationPrefix=/buckets/ -fsync=true -volumeGrowthCount=1 -apply\n"
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
TRACES = "opendsp-traces"  # the one bucket in which audit may do anything
ATTACHMENTS = "opendsp-attachments"  # and the one of notifications: what comes with secure messages
VALID_YEARS = 20
PR_SET_PDEATHSIG = 1


def program() -> Path:
    """The `weed` binary of the wheel."""
    found = Path(sys.prefix) / "bin" / "weed"
    if not found.exists():
        raise StackFailure(
            "the object store (weed) is not installed", advice="`make up` installs it with requirements.lock"
        )
    return found


def prepare(layout: Layout) -> None:
    """Write keys, certificates and configuration; what exists is kept, the data depends on it."""
    home = layout.seaweed / "conf"
    for folder in (home, home / ".seaweedfs", home / "tls", layout.seaweed / "data"):
        folder.mkdir(mode=0o700, exist_ok=True)
    # Without identities S3 allows everything to everyone.
    identities = [
        _identity(layout, "documents", "s3", ACTIONS),
        _identity(layout, "audit", "s3_audit", [f"{action}:{TRACES}" for action in ACTIONS]),
        _identity(layout, "notifications", "s3_notifications", [f"{action}:{ATTACHMENTS}" for action in ACTIONS]),
    ]
    write_private(home / "s3.json", json.dumps({"identities": identities}))
    if not (home / "tls" / "node.crt").exists():
        _make_certificates(home / "tls")
    security = home / ".seaweedfs" / "security.toml"
    if not security.exists():
        write_private(security, _security(home / "tls"))
    write_private(home / ".seaweedfs" / "filer.toml", _filer(layout))
    # One volume per bucket; the default of seven uses the disk's slots up after some sixty buckets.
    growth = "\n".join(f"copy_{copies} = 1" for copies in ("1", "2", "3", "other"))
    write_private(home / ".seaweedfs" / "master.toml", f"[master.volume_growth]\n{growth}\n")


def _identity(layout: Layout, name: str, prefix: str, actions: list[str]) -> dict[str, object]:
    """Who a service is to the store, and what it may do there."""
    keys = {"accessKey": layout.secrets[f"{prefix}_access_key"], "secretKey": layout.secrets[f"{prefix}_secret_key"]}
    return {"name": name, "credentials": [keys], "actions": actions}


def part(layout: Layout) -> Part:
    """The supervised store."""
    return Part(
        name="weed",
        command=[sys.executable, "-m", "deploy.local.seaweed", str(layout.state)],
        directory=REPOSITORY,
        environment={"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
    )


def is_set_up(layout: Layout) -> bool:
    """Whether the rule that syncs each object holds since the last start: no bucket may be made before."""
    return _rule_mark(layout).exists()


def forget_readiness(layout: Layout) -> None:
    """Before a start: the store is not set up until its process says so again."""
    _rule_mark(layout).unlink(missing_ok=True)


def remove_sockets(layout: Layout) -> None:
    """Remove the sockets that a stopped store leaves behind; it puts them into this folder whatever it is told."""
    for name, port in layout.ports.items():
        if name.endswith("grpc"):
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):  # noqa: S108 (the store chose it)
                left.unlink(missing_ok=True)


def run(layout: Layout) -> int:
    """Be the store until told to stop; gives back the exit status."""
    data = layout.seaweed / "data"
    unclean = layout.seaweed / "unclean"
    forget_readiness(layout)
    if unclean.exists() and any(data.glob("*.dat")):
        # The index is never synced, the data is: rebuild the one from the other (about 0.4 s per GB).
        print("the last stop was not clean: rebuilding the index", flush=True)
        subprocess.run([program(), "fix", str(data)], env=_environment(layout), stdin=subprocess.DEVNULL, check=True)
    unclean.touch()
    os.sync()
    (data / "mini.options").unlink(missing_ok=True)  # otherwise the flags of the last start stick
    for left in layout.sockets.glob("weed-*.sock"):
        left.unlink()
    server = subprocess.Popen(
        _command(layout),
        cwd=layout.seaweed / "conf",
        env=_environment(layout),
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,
    )
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        server.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while server.poll() is None and not stopping:
        if _apply_rule(layout):
            _rule_mark(layout).touch()
            break
        time.sleep(0.2)
    status = server.wait()
    _rule_mark(layout).unlink(missing_ok=True)
    if stopping and status == 0:
        unclean.unlink()
    return status


def _apply_rule(layout: Layout) -> bool:
    # Without it an acknowledged object is only in the page cache. The filer keeps the rule; setting it again is free.
    ports = layout.ports
    try:
        done = subprocess.run(
            [
                program(),
                "shell",
                f"-master=127.0.0.1:{ports['weed_master']}.{ports['weed_master_grpc']}",
                f"-filer=127.0.0.1:{ports['weed_filer']}.{ports['weed_filer_grpc']}",
            ],
            input=RULE,
            env=_environment(layout),
            capture_output=True,
            text=True,
            timeout=10,
        )
    except subprocess.TimeoutExpired:
        return False
    return '"fsync":true' in done.stdout.replace(" ", "")


def _command(layout: Layout) -> list[str]:
    ports = layout.ports
    sockets = layout.sockets
    return [
        str(program()),
        "-logtostderr=true",
        "mini",
        f"-dir={layout.seaweed / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",  # the default binds every internal port to all addresses
        "-disableHttp",  # master and filer answer gRPC only, with a certificate
        f"-master.port={ports['weed_master']}",
        f"-master.port.grpc={ports['weed_master_grpc']}",
        "-master.telemetry=false",  # the default posts statistics to the makers
        "-master.volumeSizeLimitMB=1024",
        f"-volume.port={ports['weed_volume']}",
        f"-volume.port.grpc={ports['weed_volume_grpc']}",
        "-volume.max=5000",
        f"-filer.port={ports['weed_filer']}",
        f"-filer.port.grpc={ports['weed_filer_grpc']}",
        f"-filer.localSocket={sockets / 'weed-filer.sock'}",
        "-filer.disableDirListing",
        "-filer.exposeDirectoryData=false",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={ports['s3_grpc']}",
        f"-s3.localSocket={sockets / 'weed-s3.sock'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={layout.seaweed / 'conf' / 's3.json'}",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-webdav=false",
        "-admin.ui=false",
        f"-admin.port={ports['weed_admin']}",
        f"-admin.port.grpc={ports['weed_admin_grpc']}",
    ]


def _environment(layout: Layout) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(layout.seaweed / "conf"),
        "GOMEMLIMIT": "400MiB",  # the heap stays at what the largest transfer took otherwise
        "TMPDIR": str(layout.temporary_folder("weed")),
        # The mark by which the sweep after a stop knows the stack's processes.
        "OPENDSP_STATE": str(layout.state),
    }


def _rule_mark(layout: Layout) -> Path:
    return layout.seaweed / "ready"


def _die_with_parent() -> None:
    # Killed with -9, this wrapper must not leave the server holding its ports: its successor could not start.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _filer(layout: Layout) -> str:
    # The default store of the filer does not sync; SQLite with FULL does, and the wheel has it built in.
    pragmas = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)"
    database = layout.seaweed / "data" / "filer.db"
    return f'[leveldb2]\nenabled = false\n[sqlite]\nenabled = true\ndbFile = "file:{database}?{pragmas}"\n'


def _security(tls: Path) -> str:
    # Without keys any local caller may read, assign and delete on the inner HTTP ports; without mTLS on the gRPC ones.
    sections = [
        f'[{name}]\nkey = "{secrets.token_hex(32)}"'
        for name in ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    ]
    sections.append("[filer.expose_directory_metadata]\nenabled = false")
    sections.append(f'[s3.sse]\nkek = "{secrets.token_hex(32)}"')
    sections.append(f'[grpc]\nca = "{tls}/ca.crt"')
    sections += [f'[grpc.{part}]\ncert = "{tls}/node.crt"\nkey = "{tls}/node.key"' for part in PARTS_THAT_SPEAK_GRPC]
    return "\n".join(sections) + "\n"


def _make_certificates(folder: Path) -> None:
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    until = since + datetime.timedelta(days=365 * VALID_YEARS)
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "opendsp-local-store")])
    authority_key = ec.generate_private_key(ec.SECP256R1())

    def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(
            issuer_name=authority,
            subject_name=subject,
            public_key=public,
            serial_number=x509.random_serial_number(),
            not_valid_before=since,
            not_valid_after=until,
        )

    root = (
        certificate(authority, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    node_key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    node = (
        certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weed")]), node_key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    # The authority's key is not kept: nothing else shall ever be signed with it.
    pem = serialization.Encoding.PEM
    private = node_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(folder / "ca.crt", root.public_bytes(pem).decode())
    write_private(folder / "node.key", private.decode())
    write_private(folder / "node.crt", node.public_bytes(pem).decode())


if __name__ == "__main__":
    sys.exit(run(Layout(Path(sys.argv[1]))))
