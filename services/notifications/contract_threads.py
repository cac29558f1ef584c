"""What notifications says of secure messages: their bounds, their refusals and the shapes of their calls."""

from __future__ import annotations

from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

SUBJECT_LENGTH: Final = 200
TEXT_LENGTH: Final = 10_000
FILE_NAME_LENGTH: Final = 120
"""The most characters of a thread's subject, of a message, of the name of a file."""

CORRESPONDENTS_MOST: Final = 50
"""The most professionals who take part in one thread."""

ATTACHMENTS_MOST: Final = 10
"""The most files that come with one message."""

ATTACHMENT_BYTES: Final = 25 * 1024**2
"""The most bytes of a file."""

LOOSE_MOST: Final = 50
"""The most files of one person in one thread that wait to be sent."""

THREADS_PAGE: Final = 100
"""The most threads, and the most messages, that one page holds."""

ATTACHMENT_KINDS: Final[dict[str, str]] = {
    "application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg", "text/plain": "txt", "application/dicom": "dcm",
    "application/xml": "xml", "text/xml": "xml",
}  # fmt: skip
"""The media types that a file may have, those of documents, and the ending of each."""

ATTACHMENT_STATES: Final = ("checking", "available", "rejected")
"""What may be said of a file: it is still being looked at, it may be opened, something harmful was found in it."""

URL_SECONDS: Final = 60
"""Within which a presigned URL must be used; an upload that has begun may take longer."""

WRITTEN: Final = "thread.message"
"""The occasion on which somebody is told that a message waits for them, and nothing of what it says."""


class ThreadNotFound(Refusal):
    """No thread of the caller's own has this id: unknown and other people's are one answer."""

    code: ClassVar[str] = "thread_not_found"


class WritingEnded(Refusal):
    """The caller may read what was written in this thread and write nothing any more, for whatever cause: no ground,
    blocked, licence, closed record, they left, or nobody is there to read it."""

    code: ClassVar[str] = "writing_ended"


class CorrespondentNotFound(Refusal):
    """Somebody whom the caller may not write to here: unknown, without a ground or a licence, blocked."""

    code: ClassVar[str] = "correspondent_not_found"


class TooManyCorrespondents(Refusal):
    """A thread takes no more professionals; `most` says how many."""

    code: ClassVar[str] = "too_many_correspondents"


class AttachmentNotFound(Refusal):
    """No file of this thread that the caller may see, or may send, has this id."""

    code: ClassVar[str] = "attachment_not_found"


class AttachmentUnchecked(Refusal):
    """The file is still being looked at for something harmful."""

    code: ClassVar[str] = "attachment_unchecked"


class AttachmentRejected(Refusal):
    """Something harmful was found in the file; it can neither be sent nor opened."""

    code: ClassVar[str] = "attachment_rejected"


class TooManyAttachments(Refusal):
    """Too many files of the caller's wait in this thread; `most` says how many."""

    code: ClassVar[str] = "too_many_attachments"


# --- shapes of the calls ----------------------------------------------------------------------------------------------


class Correspondent(TypedDict):
    """Somebody who takes part: a professional by `professional_id`; a person of the holder side by `patient_id`.

    role: of the holder side: holder or representative. read_number, read_at: up to which message they have read.
    left: they take part no more by their own wish.
    """

    professional_id: str | None
    patient_id: str | None
    role: str | None
    added_at: str | None
    left: bool
    read_number: int
    read_at: str | None


class AttachmentShown(TypedDict):
    """A file that came with a message, or waits to be sent; `media_type` and `size` are those of its plain bytes."""

    attachment_id: str
    name: str
    media_type: str
    size: int
    state: str


class MessageShown(TypedDict):
    """One message; `role`: as what somebody of the holder side wrote it. `mine`: the caller did."""

    message_id: str
    number: int
    professional_id: str | None
    patient_id: str | None
    role: str | None
    mine: bool
    text: str
    attachments: list[AttachmentShown]
    written_at: str


class ThreadShown(TypedDict):
    """One line of a list of threads. record_id: with whose holder side; null among professionals.

    last_number, last_at: of the last message that the caller hears; 0 where none was written yet.
    """

    thread_id: str
    record_id: str | None
    holder_only: bool
    subject: str
    begun_at: str
    last_number: int
    last_at: str
    unread: int
    archived: bool
    left: bool


class ThreadRead(ThreadShown):
    """Answer of `read_thread`, and of `begin_thread`: with who takes part, and whether the caller may write now."""

    may_write: bool
    correspondents: list[Correspondent]


class ThreadPage(TypedDict):
    """Answer of `list_threads`, where something was written last first; `next_cursor` is null on the last page."""

    threads: list[ThreadShown]
    next_cursor: str | None


class MessagePage(TypedDict):
    """Answer of `list_thread_messages`, newest first; `next_cursor` is null on the last page."""

    messages: list[MessageShown]
    next_cursor: str | None


class Receipts(TypedDict):
    """Answer of `read_receipts` and `note_read`: up to which message everybody has read."""

    correspondents: list[Correspondent]


class Unread(TypedDict):
    """Answer of `count_unread`: how many messages in how many threads the caller has not read; put aside or not."""

    threads: int
    messages: int


class Reachable(TypedDict):
    """One professional to whom the caller may write about a record, and on what ground."""

    professional_id: str
    ground: str


class ReachableList(TypedDict):
    """Answer of `list_correspondents`."""

    correspondents: list[Reachable]


class StartedAttachment(TypedDict):
    """Answer of `start_attachment`: what the gateway needs to seal and put the bytes. `version_id`: the object's name;
    sealed_key: its data key, for the one process that asked."""

    attachment_id: str
    version_id: str
    put_url: str
    sealed_key: str
    max_size: int


class OpenedAttachment(TypedDict):
    """Answer of `open_attachment`: what the gateway needs to stream the bytes."""

    version_id: str
    content_id: str
    get_url: str
    sealed_key: str
    size: int
    media_type: str
    filename: str
    sha256: str
