"""The queries of merging for what holders have set: words go along with the contents of a record, and go back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier import store_settings
from services.dossier.models_desk import Setting


def copy_words(session: Session, words: Iterable[Any], into: str, at: datetime) -> None:
    """Says these words of a merged record in the one it leads to, each once: what was said since is not said over."""
    copied = set(session.scalars(sa.select(Setting.copied_from).where(Setting.record_id == into)))
    for word in words:
        if word.setting_id not in copied:
            _say(session, into, word, at, copied_from=word.setting_id)


def say_again(session: Session, words: Iterable[Any], record_id: str, at: datetime) -> None:
    """Says words of another record in this one, as its own."""
    for word in words:
        _say(session, record_id, word, at, copied_from=None)


# As of the grants: copies of copies lie further up, in this person's records alone.
_GONE = sa.text(
    """
    with recursive gone as (
        select c.setting_id from record_settings c join record_settings o on o.setting_id = c.copied_from
         where c.record_id = :into and o.record_id = :merged
        union all
        select c.setting_id from gone join record_settings c on c.copied_from = gone.setting_id
         where c.record_id = any (cast(:of_person as uuid[]))
    )
    select cast(s.setting_id as text) as setting_id, cast(s.record_id as text) as record_id, s.name, s.until
      from record_settings s join gone using (setting_id)
    """
)


def words_gone(session: Session, merged: str, into: str, of_person: Collection[str]) -> Sequence[Any]:
    """What a record has of the one that was merged into it, and what others have of that; ended ones too."""
    return session.execute(_GONE, {"merged": merged, "into": into, "of_person": list(of_person)}).all()


def take_back(session: Session, words: Sequence[Any], defaults: dict[str, str], at: datetime) -> None:
    """Ends these words where they stand, and says again what they had ended; no history tells them any more.

    defaults: what holds where nobody had said anything, by setting.
    """
    gone = [word.setting_id for word in words]
    if not gone:
        return
    own = Setting.setting_id.in_(gone)
    session.execute(
        sa.update(Setting).where(own, Setting.until.is_(None)).values(until=sa.func.greatest(Setting.since, at))
    )
    for word in words:
        if word.until is None:
            before = _before(session, word, gone)
            if before is None:
                store_settings.repeat(session, word.record_id, word.name, defaults.get(word.name, "inherited"))
            else:
                _say(session, word.record_id, before, at, copied_from=before.copied_from)
    # No copies any more: merged once more, the words go along once more.
    session.execute(sa.update(Setting).where(own).values(copied_from=None, taken_back=True))


def _before(session: Session, word: Any, gone: Sequence[str]) -> Setting | None:
    theirs = sa.select(Setting).where(
        Setting.record_id == word.record_id, Setting.name == word.name, Setting.setting_id.not_in(gone),
        Setting.setting_id < word.setting_id, ~Setting.taken_back,
    )  # fmt: skip
    return session.scalars(theirs.order_by(Setting.setting_id.desc()).limit(1)).first()


def _say(session: Session, record_id: str, word: Any, at: datetime, *, copied_from: str | None) -> None:
    store_settings.put(
        session, record_id, word.name, word.value, account_id=word.account_id, at=at, declared_on=word.declared_on,
        note=word.note, risk_version=word.risk_version, copied_from=copied_from,
    )  # fmt: skip
