"""The shipped list of the passwords that are guessed first."""

from functools import cache
from importlib.resources import files


@cache
def common_passwords() -> frozenset[str]:
    """One entry per line of common_passwords.txt, lower case; lines that start with # explain."""
    text = files("services.identity").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
