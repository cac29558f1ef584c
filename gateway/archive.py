"""The export of a record as one ZIP, made while it is sent: nothing of it is ever whole in memory, nothing on a disk.

First the access history, then every file as it is opened, and last the index, which by then knows what was damaged.
Entries are stored, not squeezed: documents are so already. Each entry is ready for more than 4 GiB (Zip64).
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError
from zipstream import ZIP_DEFLATED, ZipStream

from gateway.archive_index import index_page
from gateway.clients import clients
from gateway.spreadsheet import csv_rows
from gateway.streams import BLOCK, REASK, BrokenOff
from services.documents.contract import MEDIA_TYPES
from services.sealing import BytesTampered, open_range, segments_for

HISTORY = (
    "at", "action", "outcome", "name", "capacity", "profession", "establishment_name", "ground", "rule", "reason",
    "object_type", "object_id", "professional_id", "patient_id", "establishment_id", "account_id", "software", "count",
    "entry_id",
)  # fmt: skip
"""The columns of access-history.csv."""

log = logging.getLogger(__name__)

Page = Callable[[str | None], dict[str, Any]]


class Archive:
    """The body of the answer.

    page: documents' next page after a cursor, with names. file: what opens one version now, None where it has gone;
    both refuse once the right has. history: audit's next page, None where there is to be none.
    """

    def __init__(
        self, begun: dict[str, Any], locale: str, *, page: Page, file: Callable[[str], dict[str, Any] | None],
        history: Page | None,
    ) -> None:  # fmt: skip
        self._begun, self._locale = begun, locale
        self._page, self._file, self._history = page, file, history
        self._zip = ZipStream()
        self._documents: list[dict[str, Any]] = []
        self._open: urllib3.BaseHTTPResponse | None = None
        self._parts = self._made()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return bytes(next(self._parts))

    def close(self) -> None:
        """Called by the server at the end, whatever the end was."""
        self._parts.close()
        self._let_go()

    def _made(self) -> Generator[bytes, None, None]:
        if self._history is not None:
            yield from self._history_files(self._history)
        cursor: str | None = None
        while True:
            page = self._page(cursor)
            for document in page["documents"]:
                yield from self._files(document)
            cursor = page["next_cursor"]
            if cursor is None:
                break
        index = {**_index(self._begun), "documents": self._documents}
        yield from self._entry("index.json", [json.dumps(index, ensure_ascii=False, indent=1).encode()], squeeze=True)
        yield from self._entry("index.html", index_page(index, self._locale), squeeze=True)
        yield from self._zip.footer()

    def _entry(self, name: str, data: Iterable[bytes], *, squeeze: bool = False) -> Iterator[bytes]:
        self._zip.add(iter(data), name, compress_type=ZIP_DEFLATED if squeeze else None)
        yield from self._zip.file()

    # --- files --------------------------------------------------------------------------------------------------------

    def _files(self, document: dict[str, Any]) -> Iterator[bytes]:
        told = {**document, "versions": []}
        folder = f"documents/{document['deposited_at'][:10]}_{document['type']}_{document['document_id']}"
        for version in document["versions"]:
            name = f"{folder}/v{version['number']}.{MEDIA_TYPES.get(version['media_type'], 'bin')}"
            shown = {**version, "file": None, "damaged": None}
            first = self._begin(version, shown)
            if first is not None:
                shown["file"] = name
                yield from self._entry(name, self._plain(version, first, shown))
            if shown["damaged"] != "gone":  # removed or hidden since the page was read: it is in this export no more
                told["versions"].append(shown)
        if told["versions"]:
            self._documents.append(told)

    def _begin(self, version: dict[str, Any], shown: dict[str, Any]) -> tuple[bytes, Iterator[memoryview]] | None:
        """The first block of a file and those that follow; None, and `damaged` said, where it cannot be opened."""
        opened = self._file(version["version_id"])
        if opened is None:
            shown["damaged"] = "gone"
            return None
        key = clients().keys.receive(opened["sealed_key"], opened["content_id"].encode())
        part = segments_for(0, opened["size"] - 1, opened["size"])
        answer = clients().store.request(
            "GET", opened["get_url"], headers={"Accept-Encoding": "identity"}, preload_content=False, retries=False,
            redirect=False,
        )  # fmt: skip
        self._open = answer
        if answer.status == 404:
            self._damaged(shown, "missing")
            return None
        if answer.status != 200:
            log.warning("object store refused a get", extra={"status": answer.status})
            raise BrokenOff
        blocks = open_range(answer.stream(BLOCK), key, opened["content_id"], part)
        try:
            return bytes(next(blocks)), blocks
        except BytesTampered:
            self._damaged(shown, "changed")
            return None

    def _plain(
        self, version: dict[str, Any], first: tuple[bytes, Iterator[memoryview]], shown: dict[str, Any]
    ) -> Iterator[bytes]:
        """A file's bytes; asks every 30 s whether it may go on. What breaks in its seal ends short, and is said so."""
        digest, ask_at = hashlib.sha256(first[0]), time.monotonic() + REASK
        yield first[0]
        try:
            for block in first[1]:
                if time.monotonic() > ask_at:
                    if self._file(version["version_id"]) is None:
                        raise BrokenOff
                    ask_at = time.monotonic() + REASK
                digest.update(block)
                yield bytes(block)
            if digest.hexdigest() != version["sha256"]:
                self._damaged(shown, "changed")
        except BytesTampered:
            self._damaged(shown, "changed")
        except HTTPError:
            log.warning("object store unreachable", extra={"kind": "export"})
            raise BrokenOff from None
        self._let_go()

    def _damaged(self, shown: dict[str, Any], how: str) -> None:
        shown["damaged"] = how
        log.error("exported file damaged", extra={"code": how, "object_id": shown["version_id"]})
        self._let_go()

    def _let_go(self) -> None:
        answer, self._open = self._open, None
        if answer is None:
            return
        if answer.length_remaining:
            answer.close()  # unread bytes: the connection is of no further use
        else:
            answer.release_conn()

    # --- the access history -------------------------------------------------------------------------------------------

    def _history_files(self, history: Page) -> Iterator[bytes]:
        """Both forms from one reading: while the one is sent, the other waits, squeezed."""
        squeezed, waiting = zlib.compressobj(), [b""]

        def rows() -> Iterator[bytes]:
            yield csv_rows([HISTORY])
            cursor: str | None = None
            joint = "["
            while True:
                page = history(cursor)
                for entry in page["entries"]:
                    text = joint + json.dumps(entry, ensure_ascii=False)
                    waiting.append(squeezed.compress(text.encode()))
                    joint = ",\n"
                if page["entries"]:
                    yield csv_rows([[entry.get(column) for column in HISTORY] for entry in page["entries"]])
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            waiting.append(squeezed.compress(b"[]" if joint == "[" else b"]"))
            waiting.append(squeezed.flush())

        yield from self._entry("access-history.csv", rows(), squeeze=True)
        opening = zlib.decompressobj()
        yield from self._entry("access-history.json", (opening.decompress(part) for part in waiting), squeeze=True)


def _index(begun: dict[str, Any]) -> dict[str, Any]:
    return {"record_id": begun["record_id"], "exported_at": begun["begun_at"], "access_history": begun["history"]}
