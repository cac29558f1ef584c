"""The bucket of the documents: versioned, with sealed bytes under version ids, and objects that come in parts.

This service itself hardly moves a byte: it signs short-lived URLs for the gateway, asks how much is stored, and
removes.
"""

from __future__ import annotations

import re
from datetime import timedelta
from html import escape
from itertools import islice

from services.object_store import Bucket, Listed, answering
from services.refusals import Unavailable

_SIGNED = 60  # seconds
_UPLOAD_ID = re.compile(rb"<UploadId>([^<>&]+)</UploadId>")


class Blobs(Bucket):
    """What a bucket does, and parts."""

    def begin_parts(self, name: str) -> str:
        """Begins an object that comes in parts; gives the store's name for them."""
        found = _UPLOAD_ID.search(self._signed("POST", name, {"uploads": ""}))
        if found is None:
            raise Unavailable(service="object_store")
        return found[1].decode()

    def part_url(self, name: str, multipart_id: str, number: int, lifetime: int) -> str:
        """A URL that takes the bytes of one part, if begun within `lifetime` seconds; the last put of a part counts."""
        wanted = {"uploadId": multipart_id, "partNumber": str(number)}
        return self._url("PUT", name, wanted, lifetime)

    def join_parts(self, name: str, multipart_id: str, etags: dict[int, str]) -> None:
        """Makes one object of the parts; parts that were joined or forgotten before are no error: `stored` tells."""
        each = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in sorted(etags.items())
        )
        body = f"<CompleteMultipartUpload>{each}</CompleteMultipartUpload>".encode()
        self._signed("POST", name, {"uploadId": multipart_id}, body, absent=True)

    def forget_parts(self, name: str, multipart_id: str) -> None:
        """Removes the parts of an object that was never put together; what is not there is no error."""
        self._signed("DELETE", name, {"uploadId": multipart_id}, absent=True)

    def _url(self, method: str, name: str, wanted: dict[str, str], lifetime: int) -> str:
        seconds = timedelta(seconds=lifetime)
        return str(
            self._client.get_presigned_url(method, self._bucket, name, expires=seconds, extra_query_params={**wanted})
        )

    def _signed(
        self, method: str, name: str, wanted: dict[str, str], body: bytes | None = None, *, absent: bool = False
    ) -> bytes:
        """The store's answer to a request for which the SDK has no public call. absent: 404 is an answer too."""
        with answering():
            answer = self._pool.request(method, self._url(method, name, wanted, _SIGNED), body=body, redirect=False)
        if answer.status >= 300 and not (absent and answer.status == 404):
            raise Unavailable(service="object_store")
        return bytes(answer.data)

    def listed(self, after: str | None, limit: int) -> list[Listed]:
        """Names in the store after one, in their order, at most `limit`; those alone of which something is left."""
        return list(islice(self.listing(after=after), limit))
