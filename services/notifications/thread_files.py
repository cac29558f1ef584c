"""The files that come with secure messages: put before they are sent, sealed by the gateway on the way, looked at
before anybody opens them. Here each has a name in the store and a key that no other has."""

from __future__ import annotations

from services.bus import rpc
from services.db import new_id, now, once, remember
from services.notifications import rules_threads as rules
from services.notifications import store_thread_files as store
from services.notifications.contract_threads import (
    ATTACHMENT_BYTES,
    LOOSE_MOST,
    URL_SECONDS,
    AttachmentNotFound,
    AttachmentRejected,
    AttachmentShown,
    AttachmentUnchecked,
    OpenedAttachment,
    StartedAttachment,
    TooManyAttachments,
)
from services.notifications.thread_desk import NOBODY, Held, ThreadDesk, file_shown
from services.refusals import InvalidInput, Refusal
from services.sealing import sealed_size
from services.tokens import Caller


class ThreadFiles(ThreadDesk):
    """Put, commit, open."""

    @rpc
    def start_attachment(
        self, caller: Caller, *, thread_id: str, name: str, gateway_key: str
    ) -> StartedAttachment | Refusal:
        """Gives the gateway what it needs to put a file of a thread: a name, a key and a URL that no other has.

        name: 1 to 120 characters. gateway_key: X25519 public key (base64) of the process that has the bytes at hand.
        `commit_attachment` leaves the trace.

        Refuses: NotAllowed to agents; ThreadNotFound, as `read_thread`; WritingEnded; TooManyAttachments; InvalidInput.
        """
        said = rules.require_name(name)
        attachment_id = new_id()
        with self._seat(caller, "thread.attached", thread_id, everybody=True) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            others = [one for one in look.allowed if one != person.person_id]
            refusal = rules.refused_writing(person, held.part, look.side, look.allowed, others)
            if refusal is None and store.count_loose(session, held.thread_id, caller.account_id) >= LOOSE_MOST:
                refusal = TooManyAttachments(most=LOOSE_MOST)
            if refusal is not None:
                return self._thread_refused(session, caller, "thread.attached", refusal, held=held)
            wrapped = self.thread_keys.new_data_key(held.thread_id, held.key, attachment_id)
            sealed_key = self._sealed_key(held, attachment_id, wrapped, gateway_key)
            store.start(
                session, attachment_id=attachment_id, thread_id=held.thread_id, account_id=caller.account_id,
                person_id=person.person_id, wrapped_key=wrapped, started_at=now(),
                name=self.thread_keys.seal(held.thread_id, held.key, attachment_id, said),
            )  # fmt: skip
        return {
            "attachment_id": attachment_id,
            "version_id": attachment_id,
            "put_url": self.attachments.put_url(attachment_id, URL_SECONDS),
            "sealed_key": sealed_key,
            "max_size": ATTACHMENT_BYTES,
        }

    @rpc
    def commit_attachment(
        self, caller: Caller, *, attachment_id: str, sha256: str, size: int, media_type: str
    ) -> AttachmentShown | Refusal:
        """Makes what the store holds of a file ready to be sent; nobody but the caller sees it until then.

        sha256 (hexadecimal), size and media_type are those of the plain bytes as the gateway saw them pass. A repeat
        under the same Idempotency-Key gets the first answer, and what it put is swept.

        Refuses: NotAllowed to agents; AttachmentNotFound where the caller put no such file, or a day ago, or the store
        does not hold exactly its sealed bytes; Unavailable when the store does not answer; InvalidInput.
        """
        digest = rules.require_put(sha256, size, media_type)
        person = self._writer(caller, "thread.attached")
        if isinstance(person, Refusal):
            return person
        asked = rules.id_of(attachment_id, NOBODY)
        with self.db.transaction() as session:
            thread_id = store.thread_of_file(session, asked, caller.account_id)
        look = self._reading(caller, person, thread_id or NOBODY)
        stored = self.attachments.stored(asked)
        at = now()
        with self.db.transaction(caller) as session:
            if thread_id is None:
                return self._thread_refused(session, caller, "thread.attached", AttachmentNotFound())
            held = self._held(session, caller, person, "thread.attached", thread_id, look)
            if isinstance(held, Refusal):
                return held
            body = {"thread_id": thread_id, "sha256": sha256, "size": size, "media_type": media_type}
            before: dict[str, str] | None = once(session, caller, "commit_attachment", body)
            kept = asked if before is None else before["attachment_id"]
            found = store.loose(session, thread_id, caller.account_id, (kept,))
            if before is None:
                late = not found or found[0].started_at <= at - rules.LOOSE_FOR
                if late or stored is None or stored.size != sealed_size(size):
                    return self._thread_refused(session, caller, "thread.attached", AttachmentNotFound(), held=held)
                store.note_stored(
                    session, asked, stored_at=at, store_version=stored.version, media_type=media_type, size=size,
                    sha256=digest, checked_at=at if self.virus_scan is None else None,
                )  # fmt: skip
                found = store.loose(session, thread_id, caller.account_id, (asked,))
                self._thread_allowed(session, caller, "thread.attached", held, look)
                remember(session, caller, "commit_attachment", body, {"attachment_id": asked})
            if not found:  # sent, or swept, since the first answer
                return self._thread_refused(session, caller, "thread.attached", AttachmentNotFound(), held=held)
            return self._file(held, found[0])

    @rpc
    def open_attachment(
        self, caller: Caller, *, thread_id: str, attachment_id: str, gateway_key: str, again: bool = False
    ) -> OpenedAttachment | Refusal:
        """Gives the gateway what it needs to stream a file: a URL for its sealed bytes and their key.

        again: in the middle of an answer, whether it may go on; that leaves no trace of its own.

        Refuses: NotAllowed to agents; ThreadNotFound, as `read_thread`; AttachmentNotFound, the same for unknown and
        for one that came with a message the caller does not hear; AttachmentUnchecked; AttachmentRejected;
        InvalidInput (gateway_key).
        """
        file_id = rules.id_of(attachment_id, NOBODY)
        with self._seat(caller, "thread.opened", thread_id) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            row = store.sent(session, held.thread_id, file_id, person, caller.account_id)
            refusal = _refused_opening(row)
            if row is None or refusal is not None:
                return self._thread_refused(
                    session, caller, "thread.opened", refusal or AttachmentNotFound(), held=held
                )
            if not again:
                self._thread_allowed(
                    session, caller, "thread.opened", held, look, object_id=file_id, object_type="attachment"
                )
            name = self.thread_keys.open(held.thread_id, held.key, {file_id: bytes(row.name)})[file_id]
            return {
                "version_id": file_id,
                "content_id": file_id,
                "get_url": self.attachments.get_url(file_id, row.store_version, URL_SECONDS),
                "sealed_key": self._sealed_key(held, file_id, bytes(row.wrapped_key), gateway_key),
                "size": row.size,
                "media_type": row.media_type,
                "filename": rules.file_name(name, row.media_type),
                "sha256": bytes(row.sha256).hex(),
            }

    def _file(self, held: Held, row: store.Row) -> AttachmentShown:
        opened = self.thread_keys.open(held.thread_id, held.key, {row.attachment_id: bytes(row.name)})
        return file_shown(row, opened[row.attachment_id])

    def _sealed_key(self, held: Held, attachment_id: str, wrapped: bytes, gateway_key: str) -> str:
        try:
            return self.thread_keys.hand_over(held.thread_id, held.key, attachment_id, wrapped, str(gateway_key))
        except ValueError:
            raise InvalidInput(errors=[{"pointer": "/gateway_key", "message": "invalid"}]) from None


def _refused_opening(row: store.Row | None) -> Refusal | None:
    if row is None:
        return AttachmentNotFound()
    if row.rejected:
        return AttachmentRejected()
    return AttachmentUnchecked() if row.checked_at is None else None
