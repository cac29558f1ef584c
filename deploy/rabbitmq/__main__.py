"""Prints the broker's definitions for a deployment: `python -m deploy.rabbitmq PASSWORDS.json > definitions.json`.

PASSWORDS.json maps each kind of process (gateway, operator and the six services) to its broker password.
"""

import json
import sys
from pathlib import Path

from deploy.rabbitmq import topology


def main(passwords_file: Path) -> None:
    """Write the definitions to standard output.

    Refuses: exits when a kind of process has no password, or a contract cannot be read.
    """
    passwords = json.loads(passwords_file.read_text())
    missing = [kind for kind in topology.KINDS if not passwords.get(kind)]
    if missing:
        sys.exit(f"no password for: {', '.join(missing)}")
    json.dump(topology.definitions(topology.contracts(), passwords), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m deploy.rabbitmq PASSWORDS.json")
    main(Path(sys.argv[1]))
