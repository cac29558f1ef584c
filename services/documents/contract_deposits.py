"""What documents tells the house of deposits: the refusals and the shapes of these calls, and how big a file may be."""

from __future__ import annotations

from typing import Final, NotRequired, TypedDict

from services.refusals import Refusal

MIB: Final = 1024 * 1024

MOST_AT_ONCE: Final = 20
"""How many files one submission may have."""

NOTE_LENGTH: Final = 20_000
"""How many characters a typed note may have."""

PART: Final = 8 * MIB
"""Plain bytes of every part of an upload in parts, the last one's excepted: whole segments, as they are sealed."""

PART_SEGMENTS: Final = 128
"""How many sealed segments such a part has."""

MATRICULE_ROOT: Final = "1.3.182.4.4"
"""The object identifier under which documents of this country name a person's matricule (HL7 CDA, `patientRole/id`)."""

# --- refusals ---------------------------------------------------------------------------------------------------------


class AuthorUnknown(Refusal):
    """No such professional works at the establishment of this software with a valid licence; or nobody was named."""

    code = "author_unknown"


class WrongPatient(Refusal):
    """The document names another patient than the record's, or none."""

    code = "wrong_patient"


class TypeCodeUnknown(Refusal):
    """The document's code stands for none of our types."""

    code = "type_code_unknown"


class PartChanged(Refusal):
    """These are other bytes than those this part began with: it is repeated as it was, or the upload begins anew."""

    code = "part_changed"


class PartsMissing(Refusal):
    """Not every part is there yet; `missing` lists the first numbers that are not."""

    code = "parts_missing"


# --- shapes of the calls ----------------------------------------------------------------------------------------------


class PreparedDeposit(TypedDict):
    """Answer of `prepare_deposit`; the last three only when the gateway's key came along."""

    upload_id: str
    expires_at: str
    max_size: int
    version_id: NotRequired[str]
    put_url: NotRequired[str]
    sealed_key: NotRequired[str]


class PreparedSubmission(TypedDict):
    """Answer of `prepare_submission`: one upload for each document, in the order in which they were described."""

    upload_ids: list[str]


class StartedUpload(TypedDict):
    """Answer of `start_upload`: where to put the sealed bytes of this one try, and the key to seal them with."""

    version_id: str
    put_url: str
    sealed_key: str
    max_size: int


class Put(TypedDict):
    """What the gateway put into the store for one upload: the try, and the plain bytes as it saw them pass.

    store_version: the store's receipt for exactly these bytes; without it the store is asked what it holds.
    """

    upload_id: str
    version_id: str
    sha256: str
    size: int
    media_type: str
    store_version: NotRequired[str | None]


class CommittedDeposit(TypedDict):
    """Answer of `commit_deposit`, the same at every repeat but for `slot`.

    duplicate_of: a document of this record with the same bytes, where there is one that the depositor may read; else
    null, and nothing tells which. slot: where the next file of the same person may be put ahead of `deposit`, only
    when the gateway's key came along.
    """

    document_id: str
    version_id: str
    record_id: str
    duplicate_of: str | None
    slot: NotRequired[StartedUpload]


class Deposited(CommittedDeposit):
    """Answer of `deposit`: that of `commit_deposit`, and the upload it was."""

    upload_id: str


class Submitted(TypedDict):
    """Answer of `commit_submission`, in the order of the files."""

    submission_id: str
    documents: list[CommittedDeposit]


class PartOfUpload(TypedDict):
    """A part that is there, as its plain bytes are."""

    number: int
    size: int
    sha256: str


class UploadInParts(TypedDict):
    """Answer of `read_upload`: parts counts all there will be, `stored` lists those that are there, in order."""

    upload_id: str
    expires_at: str
    size: int
    part_size: int
    parts: int
    stored: list[PartOfUpload]
    document_id: str | None


class StartedPart(TypedDict):
    """Answer of `start_part`: where to put this part, and the key of the whole object.

    put_url: None where the parts are joined already, this one among them: there is nothing to put.
    """

    version_id: str
    put_url: str | None
    sealed_key: str
    first_segment: int
    last: bool


class JoinedUpload(TypedDict):
    """Answer of `join_parts`: the object as the gateway has to read it once more before it is committed."""

    version_id: str
    content_id: str
    get_url: str
    sealed_key: str
    size: int
