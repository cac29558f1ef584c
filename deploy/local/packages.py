"""The Debian packages of the stack: RabbitMQ and PostgreSQL, installed without any system service starting.

`python -m deploy.local.packages` installs what the tests need besides: a virus scanner.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.local import postgres, rabbitmq
from deploy.local.failure import StackFailure

POLICY = Path("/usr/sbin/policy-rc.d")
KEEP_SERVICES_DOWN = "#!/bin/sh\n# No service starts while OpenDSP installs packages.\nexit 101\n"
UNITS = {
    "rabbitmq-server": ("rabbitmq-server.service", "epmd.socket", "epmd.service"),
    "clamav-daemon": ("clamav-daemon.service", "clamav-daemon.socket", "clamav-freshclam.service"),
}
CLAMD = Path("/usr/sbin/clamd")
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/opendsp.conf")


def missing() -> list[str]:
    """The packages of the stack that have to be installed."""
    return [
        *(["rabbitmq-server"] if not rabbitmq.installed() else []),
        *(["postgresql"] if not postgres.programs() else []),
    ]


def missing_for_tests() -> list[str]:
    """The packages that the tests want besides."""
    return [] if CLAMD.exists() else ["clamav-daemon"]


def ensure(*, tests: bool = False) -> list[str]:
    """Install what is missing, for the tests too or for the stack alone; names it.

    Refuses: StackFailure when something is missing and this account may not install it, or apt fails.
    """
    packages = [*missing(), *(missing_for_tests() if tests else [])]
    if not packages:
        return []
    wanted = " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise StackFailure(
            f"missing on this machine: {wanted}",
            advice=f"run `make up` once as root, or `apt-get install --no-install-recommends {wanted}`",
        )
    with services_kept_down():
        with contextlib.suppress(StackFailure):
            _apt("update")  # a source that fails may be one nobody needs: the installation tells
        if "postgresql" in packages:
            # First the tools alone: their folder is where the server package is told to make no cluster.
            _apt("install", "postgresql-common")
            _without_cluster()
        try:
            _apt("install", *packages)
        finally:
            NO_CLUSTER.unlink(missing_ok=True)
    _keep_down_at_boot(packages)
    if still := [*missing(), *(missing_for_tests() if tests else [])]:
        raise StackFailure(
            f"installed, but of no use here: {' '.join(still)}",
            advice=f"PostgreSQL {postgres.OLDEST} or newer and Debian's broker are needed: Debian 12 has both",
        )
    return packages


@contextlib.contextmanager
def services_kept_down() -> Iterator[None]:
    """While this lasts, installing a package starts no service; an administrator's own policy is put back after."""
    aside = POLICY.with_name("policy-rc.d.before-opendsp")
    if POLICY.exists() and not aside.exists():
        POLICY.rename(aside)
    POLICY.write_text(KEEP_SERVICES_DOWN)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if aside.exists():
            aside.rename(POLICY)


def _without_cluster() -> None:
    NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_CLUSTER.write_text("create_main_cluster = false\n")


def _keep_down_at_boot(packages: list[str]) -> None:
    # Installed for this stack only: the next boot shall not start a broker that nobody asked for.
    if shutil.which("systemctl"):
        for unit in (unit for package in packages for unit in UNITS.get(package, ())):
            subprocess.run(["systemctl", "disable", "--quiet", unit], stdin=subprocess.DEVNULL, capture_output=True)


def _apt(verb: str, *packages: str) -> None:
    command = ["apt-get", "--quiet", "--quiet", "--option", "DPkg::Lock::Timeout=300", verb]
    if packages:
        command += ["--yes", "--no-install-recommends", *packages]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode:
        raise StackFailure(
            f"apt-get {verb} {' '.join(packages)} failed",
            lines="\n".join(done.stdout.splitlines()[-15:]),
            advice="see that the Debian package sources can be reached, then run it again",
        )


if __name__ == "__main__":
    try:
        ensure(tests=True)
    except StackFailure as failure:
        sys.exit(f"failed: {failure}")
