"""What a holder has set goes along when records turn out to be one person's, and goes back when they were not."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from services.dossier import rules_settings, store_merges_settings, store_settings
from services.dossier.tables import tables_at


def bring_along(session: Session, merged: str, into: str, at: datetime) -> None:
    """Has the words of a merged record hold in the one it leads to: those that guard better, or stand alone there."""
    theirs, ours = store_settings.all_current(session, merged), store_settings.all_current(session, into)
    store_merges_settings.copy_words(session, rules_settings.going_along(tables_at(at), theirs, ours), into, at)


def bring_down(session: Session, merged: str, into: str, merged_at: datetime, at: datetime) -> None:
    """Has what was said since in the record it led to, and guards better, hold in a merged record too."""
    said = store_settings.all_current(session, into)
    since = {name: word for name, word in said.items() if word.since >= merged_at and word.copied_from is None}
    before = store_settings.all_current(session, merged)
    store_merges_settings.say_again(session, rules_settings.guarding(tables_at(at), since, before), merged, at)


def take_away(session: Session, merged: str, into: str, of_person: Collection[str], at: datetime) -> None:
    """Ends what a record has from the one that was merged into it; what it had before holds again."""
    gone = store_merges_settings.words_gone(session, merged, into, of_person)
    # Taken away, a folder's or the overall default level is none; every other setting has its default.
    defaults = {row.setting: row.default for row in tables_at(at).settings.values() if row.setting != "default_level"}
    store_merges_settings.take_back(session, gone, defaults, at)
