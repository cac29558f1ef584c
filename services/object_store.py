"""The object store: a bucket of a service's own, spoken to in S3.

Signing is computing only; the other calls are network and belong outside every transaction.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

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
_ABSENT = ("NoSuchKey", "NoSuchObject", "NoSuchVersion", "MethodNotAllowed")  # the last: a delete marker


@dataclass(frozen=True)
class Stored:
    """What the store holds under one name: how many bytes, and its own name for exactly those, where it has one."""

    size: int
    version: str | None


@dataclass(frozen=True)
class Listed:
    """A name in the store, and when its last bytes came."""

    name: str
    since: datetime | None


class Bucket:
    """One bucket. All network calls raise Unavailable(service="object_store") when the store does not answer."""

    def __init__(self, client: Minio, bucket: str, pool: urllib3.PoolManager, *, versioned: bool = True) -> None:
        self._client = client
        self._bucket = bucket
        self._pool = pool
        self._versioned = versioned

    @classmethod
    def of(cls, settings: Settings, *, connections: int = 16, versioned: bool = True) -> Self:
        """The bucket that the settings name; opens no connection yet.

        The region is given, because the SDK would otherwise ask the store for it before signing.
        """
        pool = urllib3.PoolManager(
            maxsize=connections,
            timeout=urllib3.Timeout(connect=_CONNECT, read=_READ),
            retries=urllib3.Retry(total=1, read=0, backoff_factor=0.1, status_forcelist=(502, 503, 504)),
        )
        client = Minio(
            settings.s3_endpoint, access_key=settings.s3_access_key, secret_key=settings.s3_secret_key,
            region=settings.s3_region, secure=settings.s3_secure, http_client=pool,
        )  # fmt: skip
        return cls(client, settings.s3_bucket, pool, versioned=versioned)

    def ensure(self) -> None:
        """Makes the bucket if it is missing; a versioned one keeps versions from then on: nothing put is replaced."""
        with answering():
            if not self._client.bucket_exists(self._bucket):
                self._make_bucket()
            if self._versioned and self._client.get_bucket_versioning(self._bucket).status != ENABLED:
                self._client.set_bucket_versioning(self._bucket, VersioningConfig(ENABLED))

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
        seconds = timedelta(seconds=lifetime)
        return str(self._client.presigned_get_object(self._bucket, name, expires=seconds, version_id=version))

    def stored(self, name: str, version: str | None = None) -> Stored | None:
        """What the store durably holds under `name` now, or as one of its versions; None where there is nothing."""
        with answering():
            try:
                found = self._client.stat_object(self._bucket, name, version_id=version)
            except S3Error as refused:
                if refused.code in _ABSENT:
                    return None
                raise
        return Stored(found.size or 0, _named(found.version_id))

    def read(self, name: str, version: str | None = None, start: int = 0, length: int = 0) -> Iterator[bytes]:
        """The stored bytes of one version as they come: all of them, or `length` from `start` on.

        Refuses: Unavailable, also where there are none: what a row tells of may come back from a copy.
        """
        with answering():
            answer = self._client.get_object(self._bucket, name, offset=start, length=length, version_id=version)
            try:
                yield from answer.stream(_BLOCK)
            finally:
                answer.close()
                answer.release_conn()

    def put(self, name: str, data: bytes) -> str | None:
        """Stores bytes, durable when this returns; gives the store's name for exactly those, where it has one."""
        with answering():
            made = self._client.put_object(self._bucket, name, io.BytesIO(data), len(data))
        return _named(made.version_id)

    def remove(self, name: str) -> None:
        """Removes every stored version of `name`; removing what is not there is no error."""
        with answering():
            if not self._versioned:
                self._client.remove_object(self._bucket, name)
                return
            for found in self._client.list_objects(self._bucket, prefix=name, recursive=True, include_version=True):
                if found.object_name == name:
                    self._client.remove_object(self._bucket, name, version_id=found.version_id)

    def listing(self, *, prefix: str | None = None, after: str | None = None) -> Iterator[Listed]:
        """The names that begin so or come after one, in their order; those alone of which something is left."""
        with answering():
            for found in self._client.list_objects(self._bucket, prefix=prefix, recursive=True, start_after=after):
                yield Listed(str(found.object_name), found.last_modified)


@contextmanager
def answering() -> Iterator[None]:
    """Around what asks the store. Refuses: Unavailable(service="object_store"), whatever it did not answer, and why."""
    try:
        yield
    except (MinioException, HTTPError, OSError) as cause:
        raise Unavailable(service="object_store") from cause


def _named(version: str | None) -> str | None:
    return None if version in (None, "", "null") else version
