"""What people may set of their notices, how it is kept and shown, and what the law does not let them switch off.

No I/O, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time
from typing import Any, Final

from services.notifications.contract_settings import DIGEST_CHANNELS, TIME_ZONE, ShownOccasion, ShownSettings
from services.notifications.rules_occasions import AWAY, CHANNELS, Occasion, of_setting, settings_of
from services.notifications.rules_ways import Digest, PersonSettings, QuietHours, channels_of, is_quiet

FIRST_VERSION: Final = 1
"""The version of what somebody has who has set nothing."""
MOST_CHOSEN: Final = 200
"""How many types or authors somebody may choose."""

_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")
_SLUG: Final = re.compile(r"[a-z][a-z_]{0,63}\Z")

Errors = list[dict[str, str]]


def person_of(capacity: str, account_id: str, patient_id: str | None, professional_id: str | None) -> tuple[str, str]:
    """Whose settings somebody has in the capacity they logged in with: kind and id, as a `Reader` has them."""
    if capacity == "patient" and patient_id is not None:
        return "patient", patient_id
    if capacity == "professional" and professional_id is not None:
        return "professional", professional_id
    return "account", account_id


def settings_from(row: Mapping[str, Any]) -> PersonSettings:
    """What a row says."""
    quiet, digest = (row["quiet_begin"], row["quiet_end"]), (row["digest_at"], row["digest_channel"])
    types, authors = row["document_types"], row["authors"]
    return PersonSettings(
        channels={setting: tuple(chosen) for setting, chosen in row["channels"].items()},
        quiet=None if quiet[0] is None else QuietHours(*quiet),
        digest=None if digest[0] is None else Digest(*digest),
        types=None if types is None else frozenset(types),
        authors=None if authors is None else frozenset(str(author) for author in authors),
    )


# --- what is wished ---------------------------------------------------------------------------------------------------


def wrong_settings(kind: str, wanted: Mapping[str, Any], is_id: Callable[[object], bool]) -> Errors:
    """The errors of a wish, as JSON pointers."""
    errors = _wrong_occasions(kind, wanted["occasions"])
    quiet, digest = wanted["quiet_hours"], wanted["digest"]
    for part, given, names in (("quiet_hours", quiet, ("begin", "end")), ("digest", digest, ("at",))):
        if given is not None:
            errors += [_error(f"/{part}/{name}", "time") for name in names if not _is_time(given.get(name))]
    if digest is not None and digest.get("channel") not in DIGEST_CHANNELS:
        errors.append(_error("/digest/channel", "choice"))
    if not errors and quiet is not None:
        hours = QuietHours(time.fromisoformat(quiet["begin"]), time.fromisoformat(quiet["end"]))
        if hours.begin == hours.end:
            errors.append(_error("/quiet_hours/end", "same_time"))
        elif digest is not None and is_quiet(hours, time.fromisoformat(digest["at"])):
            errors.append(_error("/digest/at", "quiet_hours"))
    chosen = wanted["new_documents"]
    errors += _wrong_choice("types", chosen.get("types"), lambda one: isinstance(one, str) and bool(_SLUG.match(one)))
    return errors + _wrong_choice("authors", chosen.get("authors"), is_id)


def _wrong_occasions(kind: str, occasions: Iterable[Mapping[str, Any]]) -> Errors:
    known, seen, errors = settings_of(kind), set(), []
    for place, one in enumerate(occasions):
        name, channels = one.get("name"), one.get("channels", [])
        if name not in known:
            errors.append(_error(f"/occasions/{place}/name", "choice"))
        elif name in seen:
            errors.append(_error(f"/occasions/{place}/name", "twice"))
        elif not set(channels) <= set(choices(of_setting(name, kind)[0])) or len(set(channels)) < len(channels):
            errors.append(_error(f"/occasions/{place}/channels", "choice"))
        seen.add(name)
    return errors


def _wrong_choice(name: str, chosen: Any, is_one: Callable[[Any], bool]) -> Errors:
    if chosen is None:
        return []
    if len(chosen) > MOST_CHOSEN:
        return [_error(f"/new_documents/{name}", "too_many")]
    message = "uuid" if name == "authors" else "choice"
    return [
        _error(f"/new_documents/{name}/{place}", message) for place, one in enumerate(chosen) if not is_one(one)
    ]  # fmt: skip


def _is_time(given: object) -> bool:
    return isinstance(given, str) and _TIME.match(given) is not None


def _error(pointer: str, message: str) -> dict[str, str]:
    return {"pointer": pointer, "message": message}


def choices(occasion: Occasion) -> tuple[str, ...]:
    """The channels somebody may choose for an occasion; what goes to every address of an account goes there alone."""
    return AWAY if occasion.channels == AWAY else CHANNELS


def switched_off(kind: str, wanted: Mapping[str, Any]) -> Occasion | None:
    """The first occasion that is fixed and that this wish, without errors otherwise, would take a channel from."""
    for one in wanted["occasions"]:
        occasion = of_setting(one["name"], kind)[0]
        if occasion.fixed is not None and not set(occasion.channels) <= set(one["channels"]):
            return occasion
    return None


def row_of(kind: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a wish is kept as; what is the default anyway is not kept, so that it follows a default that changes."""
    quiet, digest, chosen = wanted["quiet_hours"] or {}, wanted["digest"] or {}, wanted["new_documents"]
    channels = {one["name"]: [name for name in CHANNELS if name in one["channels"]] for one in wanted["occasions"]}
    types, authors = chosen.get("types"), chosen.get("authors")
    return {
        "channels": {
            name: given for name, given in channels.items() if set(given) != set(of_setting(name, kind)[0].channels)
        },
        "quiet_begin": _time(quiet.get("begin")),
        "quiet_end": _time(quiet.get("end")),
        "digest_at": _time(digest.get("at")),
        "digest_channel": digest.get("channel"),
        "document_types": None if types is None else sorted(set(types)),
        "authors": None if authors is None else sorted(set(authors)),
    }  # fmt: skip


def _time(text: str | None) -> time | None:
    return None if text is None else time.fromisoformat(text)


# --- what is shown ----------------------------------------------------------------------------------------------------


def shown_settings(
    kind: str, row: Mapping[str, Any] | None, *, title: Callable[[str], str], reason: Callable[[str], str],
    text_of: Callable[[datetime], str],
) -> ShownSettings:  # fmt: skip
    """Settings as a page shows them, every occasion of this kind of person among them.

    row: None where nothing was set. title, reason: the words for a setting, and for why it is fixed by this rule.
    """
    settings = PersonSettings() if row is None else settings_from(row)
    quiet, digest = settings.quiet, settings.digest
    return {
        "version": FIRST_VERSION if row is None else row["version"],
        "occasions": [_shown(name, kind, settings, title, reason) for name in settings_of(kind)],
        "quiet_hours": None if quiet is None else {"begin": _text(quiet.begin), "end": _text(quiet.end)},
        "digest": None if digest is None else {"at": _text(digest.at), "channel": digest.channel},
        "new_documents": {
            "types": None if settings.types is None else sorted(settings.types),
            "authors": None if settings.authors is None else sorted(settings.authors),
        },
        "time_zone": TIME_ZONE,
        "changed_at": None if row is None else text_of(row["changed_at"]),
    }  # fmt: skip


def _shown(
    name: str, kind: str, settings: PersonSettings, title: Callable[[str], str], reason: Callable[[str], str]
) -> ShownOccasion:
    occasions = of_setting(name, kind)
    first = occasions[0]
    return {
        "name": name,
        "title": title(name),
        "channels": [channel for channel in CHANNELS if channel in channels_of(first, settings)],
        "default": [channel for channel in CHANNELS if channel in first.channels],
        "choices": list(choices(first)),
        "fixed": first.fixed is not None,
        "source": first.fixed,
        "reason": None if first.fixed is None else reason(first.fixed),
        "at_once": first.fixed is not None or all(one.urgent for one in occasions),
    }


def _text(moment: time) -> str:
    return moment.strftime("%H:%M")
