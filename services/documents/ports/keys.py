"""The keys of the documents: one per record, and under it a data key per version of a document."""

from __future__ import annotations

from services import keys


class Keys(keys.Keys):
    """Makes, wraps and hands over keys."""

    owner = "record"
    thing = "version"
