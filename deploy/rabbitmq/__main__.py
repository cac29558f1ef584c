"""Prints a broker's definitions for a deployment: `python -m deploy.rabbitmq PASSWORDS.json [PART…] > rpc.json`.

PASSWORDS.json maps each kind of process (gateway, operator and the six services) to its broker password. A PART is what
that broker carries: rpc, events, subscribers; without one it carries all.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.rabbitmq import topology


def main(passwords_file: Path, parts: Sequence[str] = topology.PARTS) -> None:
    """Write the definitions to standard output.

    Refuses: exits when a kind of process has no password, a part is none, or a contract cannot be read.
    """
    strange = [part for part in parts if part not in topology.PARTS]
    if strange:
        sys.exit(f"a part is one of {', '.join(topology.PARTS)}, not {', '.join(strange)}")
    passwords = json.loads(passwords_file.read_text())
    missing = [kind for kind in topology.kinds(parts) if not passwords.get(kind)]
    if missing:
        sys.exit(f"no password for: {', '.join(missing)}")
    json.dump(topology.definitions(topology.contracts(), passwords, parts), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m deploy.rabbitmq PASSWORDS.json [PART…]")
    main(Path(sys.argv[1]), sys.argv[2:] or topology.PARTS)
