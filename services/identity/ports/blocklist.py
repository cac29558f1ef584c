"""The shipped lists of what is guessed first: passwords, names and words that came with a package, and our own."""

from functools import cache
from importlib.resources import files

from zxcvbn.frequency_lists import FREQUENCY_LISTS

_LISTS = ("passwords", "english_wikipedia", "surnames", "female_names", "male_names")


@cache
def common_passwords() -> frozenset[str]:
    """Lower case. The package's lists hold what is common in the world; common_passwords.txt what is common here.

    One entry per line of the file, lines that start with # explain. A single word or name of either is refused as a
    whole password, with whatever digits and signs around it.
    """
    text = files("services.identity").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    here = {line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")}
    return frozenset(here.union(*(FREQUENCY_LISTS[name] for name in _LISTS)))
