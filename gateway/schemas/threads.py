"""Shapes of secure messages."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.notifications.contract import (
    ATTACHMENT_STATES,
    ATTACHMENTS_MOST,
    CORRESPONDENTS_MOST,
    FILE_NAME_LENGTH,
    SUBJECT_LENGTH,
    TEXT_LENGTH,
    THREADS_PAGE,
)

_FLAGS = ("true", "false")


class ThreadWanted(Shape):
    """Whom a thread is with: the holder side of a record, where one is named, and these professionals."""

    subject = Text(maximum=SUBJECT_LENGTH, required=True)
    text = Text("The first message; without it nobody hears of the thread yet.", maximum=TEXT_LENGTH, allow_none=True)
    professional_ids = Listed(Id(), maximum=CORRESPONDENTS_MOST, load_default=list)
    record_id = Id("A patient names one; a professional does who writes to a holder.", allow_none=True)
    example: ClassVar = {
        "subject": "Résultat du 20 novembre", "text": "Bonjour, puis-je reprendre le sport ?",
        "professional_ids": [OTHER_ID], "record_id": ID,
    }  # fmt: skip


class Correspondent(Shape):
    """A professional, or a person of the holder side."""

    professional_id = Id(allow_none=True)
    patient_id = Id(allow_none=True)
    name = Text(allow_none=True)
    profession = Text(allow_none=True)
    role = Text("Of the holder side: holder or representative.", allow_none=True)
    added_at = Moment(allow_none=True)
    left = Flag("They take part no more, by their own wish.")
    read_number = Number("Up to which message they have read; 0 for none.")
    read_at = Moment(allow_none=True)
    example: ClassVar = {
        "professional_id": OTHER_ID, "patient_id": None, "name": "Dr Muller", "profession": "physician", "role": None,
        "added_at": TIME, "left": False, "read_number": 3, "read_at": TIME,
    }  # fmt: skip


class ThreadShown(Shape):
    thread_id = Id()
    record_id = Id("With whose holder side; null among professionals.", allow_none=True)
    holder_only = Flag("Hidden from the holder's representatives.")
    subject = Text()
    begun_at = Moment()
    last_number = Number("Of the last message there is for the caller.")
    last_at = Moment()
    unread = Number("How many messages the caller has not read.")
    archived = Flag("Put aside by the caller, until something is written again.")
    left = Flag("The caller takes part no more.")
    example: ClassVar = {
        "thread_id": ID, "record_id": OTHER_ID, "holder_only": False, "subject": "Résultat du 20 novembre",
        "begun_at": TIME, "last_number": 3, "last_at": TIME, "unread": 1, "archived": False, "left": False,
    }  # fmt: skip


class Thread(ThreadShown):
    may_write = Flag("Whether the caller may write in it now.")
    correspondents = Listed(Part(Correspondent))
    example: ClassVar = {**ThreadShown.example, "may_write": True, "correspondents": [Correspondent.example]}


class ThreadQuery(Query):
    limit = Number(minimum=1, maximum=THREADS_PAGE, load_default=20)
    cursor = Text(maximum=120)
    record_id = Id("With the holder side of this record alone.")
    archived = Choice(_FLAGS, "What the caller has put aside.", load_default="false")


class Threads(Shape):
    threads = Listed(Part(ThreadShown), "Where something was written last first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"threads": [ThreadShown.example], "next_cursor": None}


class ThreadChange(Shape):
    archived = Flag("True puts it aside for the caller alone.", required=True)
    example: ClassVar = {"archived": True}


class UnreadMessages(Shape):
    threads = Number("In how many threads.")
    messages = Number("How many messages.")
    example: ClassVar = {"threads": 2, "messages": 5}


class AttachmentWanted(Shape):
    """The part `metadata` of a file."""

    name = Text("The file's name as the others see it.", maximum=FILE_NAME_LENGTH, required=True)
    example: ClassVar = {"name": "Ordonnance.pdf"}


class Attachment(Shape):
    attachment_id = Id()
    name = Text()
    media_type = Text("Of its bytes, whatever its name.")
    size = Number("Bytes.")
    state = Choice(ATTACHMENT_STATES, "Whether it may be opened.")
    example: ClassVar = {
        "attachment_id": ID, "name": "Ordonnance.pdf", "media_type": "application/pdf", "size": 48213,
        "state": "available",
    }  # fmt: skip


class MessageWanted(Shape):
    text = Text("Plain text, with line breaks.", maximum=TEXT_LENGTH, required=True)
    attachment_ids = Listed(
        Id(), "Files that the caller put into this thread before.", maximum=ATTACHMENTS_MOST, load_default=list
    )
    example: ClassVar = {"text": "Voici l’ordonnance.", "attachment_ids": [ID]}


class Message(Shape):
    message_id = Id()
    number = Number("Counted up in its thread.")
    professional_id = Id("Who wrote it.", allow_none=True)
    patient_id = Id("Who wrote it, for the holder side.", allow_none=True)
    name = Text(allow_none=True)
    profession = Text(allow_none=True)
    role = Text("As what somebody of the holder side wrote it.", allow_none=True)
    mine = Flag("The caller wrote it.")
    text = Text()
    attachments = Listed(Part(Attachment))
    written_at = Moment()
    example: ClassVar = {
        "message_id": ID, "number": 3, "professional_id": OTHER_ID, "patient_id": None, "name": "Dr Muller",
        "profession": "physician", "role": None, "mine": False, "text": "Voici l’ordonnance.",
        "attachments": [Attachment.example], "written_at": TIME,
    }  # fmt: skip


class MessageQuery(Query):
    limit = Number(minimum=1, maximum=THREADS_PAGE, load_default=50)
    cursor = Text(maximum=120)


class Messages(Shape):
    messages = Listed(Part(Message), "Newest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"messages": [Message.example], "next_cursor": None}


class CorrespondentAdded(Shape):
    professional_id = Id(required=True)
    example: ClassVar = {"professional_id": OTHER_ID}


class ReadUpToMessage(Shape):
    read_number = Number("The number of the last message read.", minimum=1, maximum=2**31 - 1, required=True)
    example: ClassVar = {"read_number": 3}


class Receipts(Shape):
    correspondents = Listed(Part(Correspondent))
    example: ClassVar = {"correspondents": [Correspondent.example]}


class CorrespondentQuery(Query):
    record_id = Id(required=True)


class Reachable(Shape):
    professional_id = Id()
    name = Text(allow_none=True)
    profession = Text(allow_none=True)
    ground = Text("Why: circle or referring_physician.")
    example: ClassVar = {
        "professional_id": OTHER_ID, "name": "Dr Muller", "profession": "physician", "ground": "circle",
    }  # fmt: skip


class ReachableList(Shape):
    correspondents = Listed(Part(Reachable))
    example: ClassVar = {"correspondents": [Reachable.example]}
