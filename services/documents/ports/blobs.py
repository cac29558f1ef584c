"""The object store: one versioned bucket that holds sealed bytes under version ids, spoken to in S3.

This service itself never moves a byte: it signs short-lived URLs for the gateway, asks how much is stored, and
removes. Signing is computing only; the other calls are network and belong outside every transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

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
_ABSENT = ("NoSuchKey", "NoSuchObject", "NoSuchVersion", "MethodNotAllowed")  # the last: a delete marker


@dataclass(frozen=True)
class Stored:
    """What the store holds under one name: how many bytes, and its own name for exactly those bytes."""

    size: int
    version: str | None


class Blobs:
    """The bucket of the documents.

    All network calls raise Unavailable(service="object_store") when the store does not answer.
    """

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

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
        return cls(client, settings.s3_bucket)

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

    def stored(self, name: str) -> Stored | None:
        """What the store durably holds under `name` now, or None."""
        try:
            found = self._client.stat_object(self._bucket, name)
        except S3Error as refused:
            if refused.code in _ABSENT:
                return None
            raise Unavailable(service="object_store") from refused
        except (MinioException, HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause
        version = found.version_id
        return Stored(found.size or 0, None if version in (None, "", "null") else version)

    def remove(self, name: str) -> None:
        """Removes every stored version of `name`; removing what is not there is no error."""
        try:
            for found in self._client.list_objects(self._bucket, prefix=name, recursive=True, include_version=True):
                if found.object_name == name:
                    self._client.remove_object(self._bucket, name, version_id=found.version_id)
        except (MinioException, HTTPError, OSError) as cause:
            raise Unavailable(service="object_store") from cause
