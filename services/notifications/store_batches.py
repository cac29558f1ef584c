"""The queries of print batches: made of the letters that lie printed, confirmed, and their files worked off."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.notifications.models import Letter
from services.notifications.models_batches import LetterBatch


def unbatched_letters(session: Session, most: int) -> Sequence[Letter]:
    """Letters that lie printed and in no batch, the one due first in front, locked for us."""
    return session.scalars(
        sa.select(Letter)
        .where(Letter.state == "printed", Letter.batch_id.is_(None), Letter.digest.is_not(None))
        .order_by(Letter.due_by, Letter.letter_id).limit(most).with_for_update(skip_locked=True)
    ).all()  # fmt: skip


def batch(session: Session, batch_id: str, *, locked: bool = False) -> LetterBatch | None:
    """One batch."""
    return session.get(LetterBatch, batch_id, with_for_update=locked)


def letters_of_batch(session: Session, batch_id: str) -> Sequence[Letter]:
    """The letters of a batch in their order; one that was printed again since is not among them."""
    return session.scalars(sa.select(Letter).where(Letter.batch_id == batch_id).order_by(Letter.place)).all()


def post_letters(session: Session, batch_id: str) -> None:
    """All letters of a batch are in the post."""
    session.execute(sa.update(Letter).where(Letter.batch_id == batch_id).values(state="posted"))


def batches_page(session: Session, after: str | None, limit: int) -> Sequence[LetterBatch]:
    """Batches, newest first, after the one named by the cursor."""
    key = sa.tuple_(LetterBatch.made_at, LetterBatch.batch_id)
    query = sa.select(LetterBatch)
    if after is not None:
        query = query.where(key < sa.select(*key.clauses).where(LetterBatch.batch_id == after).scalar_subquery())
    return session.scalars(query.order_by(LetterBatch.made_at.desc(), LetterBatch.batch_id.desc()).limit(limit)).all()


def claim_files_due(session: Session) -> LetterBatch | None:
    """A batch whose files have to be worked off, locked for us."""
    return session.scalars(
        sa.select(LetterBatch).where(LetterBatch.files_due)
        .order_by(LetterBatch.made_at).limit(1).with_for_update(skip_locked=True)
    ).first()  # fmt: skip


def letter(session: Session, letter_id: str) -> Letter | None:
    """One letter, locked for us."""
    return session.get(Letter, letter_id, with_for_update=True)
