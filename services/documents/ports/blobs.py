"""The object store: one versioned bucket that holds sealed bytes under version ids, spoken to in S3.

This service itself never moves a byte: it signs short-lived URLs for the gateway, asks how much is stored, and
removes. Signing is computing only; the other calls are network and belong outside every transaction.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import islice

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED
from minio.error import MinioException, S3Error
from minio.versioningconfig import VersioningConfig
from urllib3.exceptions import HTTPError

from services.refusals import Unavailable
from services.settings import Settings

_CONNECT = 1.0  # seconds; together within the deadline of a call, so that a dead store becomes a refusal in time
_READ = 2.5
_BLOCK = 256 * 1024
_SIGNED = 60  # seconds
_UPLOAD_ID = re.compile(rb"<UploadId>([^<>&]+)</UploadId>")
_ABSENT = ("NoSuchKey", "NoSuchObject", "NoSuchVersion", "MethodNotAllowed")  # the last: a delete marker


@dataclass(frozen=True)
class Stored:
    """What the store holds under one name: how many bytes, and its own name for exactly those bytes."""

    size: int
    version: str | None


@dataclass(frozen=True)
class Listed:
    """A name in the store, and when its last bytes came."""

    name: str
    since: datetime | None


class Blobs:
    """The bucket of the documents.

    All network calls raise Unavailable(service="object_store") when the store does not answer.
    """

    def __init__(self, client: Minio, bucket: str, pool: urllib3.PoolManager) -> None:
        self._client = client
        self._bucket = bucket
        self._pool = pool

    @classmethod
    def of(cls, settings: Settings) -> Blobs:
        """The bucket that the settings name; opens no connection yet.

        The region is given, because the SDK would otherwise ask the store for it before signing.
        """
        pool = urllib3.PoolManager(
            maxsize=16,
            timeout=urllib3.Timeout(connect=_CONNECT, read=_READ),
            retries=urllib3.Retry(total=1, read=0, backoff_factor=0.1, status_forcelist=(502, 503, 504)),
        )
        client = Minio(
            settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            region=settings.s3_region,
            secure=settings.s3_secure,
            http_client=pool,
        )
        return cls(client, settings.s3_bucket, pool)

    def ensure(self) -> None:
        """Makes the bucket if it is missing, and sees to it that it keeps versions."""
        try:
            if not self._client.bucket_exists(self._bucket):
                self._make_bucket()
            if self._client.get_bucket_versioning(self._bucket).status != ENABLED:
                self._client.set_bucket_versioning(self._bucket, VersioningConfig(ENABLED))
        except (MinioException, HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._bucket)
        except S3Error as refused:
            if refused.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):  # a sister process was first
                raise

    def put_url(self, name: str, lifetime: int) -> str:
        """A URL that takes the bytes of `name` once, if begun within `lifetime` seconds."""
        return str(self._client.presigned_put_object(self._bucket, name, expires=timedelta(seconds=lifetime)))

    def get_url(self, name: str, version: str | None, lifetime: int) -> str:
        """A URL that gives exactly the bytes of one stored version, if begun within `lifetime` seconds."""
        return str(
            self._client.presigned_get_object(
                self._bucket, name, expires=timedelta(seconds=lifetime), version_id=version
            )
        )

    # --- in parts -----------------------------------------------------------------------------------------------------

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
            self._client.get_presigned_url(method, self._bucket, name, expires=seconds, extra_query_params=wanted)
        )

    def _signed(
        self, method: str, name: str, wanted: dict[str, str], body: bytes | None = None, *, absent: bool = False
    ) -> bytes:
        """The store's answer to a request for which the SDK has no public call. absent: 404 is an answer too."""
        try:
            answer = self._pool.request(method, self._url(method, name, wanted, _SIGNED), body=body, redirect=False)
        except (HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause
        if answer.status >= 300 and not (absent and answer.status == 404):
            raise Unavailable(service="object_store")
        return bytes(answer.data)

    def stored(self, name: str, version: str | None = None) -> Stored | None:
        """What the store durably holds under `name` now, or as one of its versions; None where there is nothing."""
        try:
            found = self._client.stat_object(self._bucket, name, version_id=version)
        except S3Error as refused:
            if refused.code in _ABSENT:
                return None
            raise Unavailable(service="object_store") from refused
        except (MinioException, HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause
        version = found.version_id
        return Stored(found.size or 0, None if version in (None, "", "null") else version)

    def read(self, name: str, version: str | None, start: int = 0, length: int = 0) -> Iterator[bytes]:
        """The stored bytes of one version as they come: all of them, or `length` from `start` on.

        Refuses: Unavailable, also where there are none: what a row tells of may come back from a copy.
        """
        try:
            answer = self._client.get_object(self._bucket, name, offset=start, length=length, version_id=version)
            try:
                yield from answer.stream(_BLOCK)
            finally:
                answer.close()
                answer.release_conn()
        except (MinioException, HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause

    def put(self, name: str, data: bytes) -> str | None:
        """Stores sealed bytes this service made itself; gives the store's name for exactly those."""
        try:
            made = self._client.put_object(self._bucket, name, io.BytesIO(data), len(data))
        except (MinioException, HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause
        return None if made.version_id in (None, "", "null") else str(made.version_id)

    def remove(self, name: str) -> None:
        """Removes every stored version of `name`; removing what is not there is no error."""
        try:
            for found in self._client.list_objects(self._bucket, prefix=name, recursive=True, include_version=True):
                if found.object_name == name:
                    self._client.remove_object(self._bucket, name, version_id=found.version_id)
        except (MinioException, HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause

    def listed(self, after: str | None, limit: int) -> list[Listed]:
        """Names in the store after one, in their order, at most `limit`; those alone of which something is left."""
        try:
            found = self._client.list_objects(self._bucket, recursive=True, start_after=after)
            return [Listed(str(each.object_name), each.last_modified) for each in islice(found, limit)]
        except (MinioException, HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause
