"""What the hash of a secret costs in a service, seen from a process of its own: within the tests' one it is cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("made", "cost"),
    [
        ("from services.dossier.presence_code import hash_of as made, _NO_CODE as nobodys", "m=47104,t=1,p=1"),
        (
            "from services.identity.ports.hashing import hashed as made, nobodys_hash; nobodys = nobodys_hash()",
            "m=47104,t=2,p=1",
        ),
    ],
)
def test_a_hash_costs_what_a_guesser_has_to_pay_and_so_does_a_try_against_nobody(made: str, cost: str) -> None:
    code = f"{made}; print(made('34679ACD')); print(nobodys)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert [line.split("$")[1:4] for line in printed.split()] == [["argon2id", "v=19", cost]] * 2
