"""The folder from which the print shop takes letters and manifests: files of nobody else, whole or not there at all."""

from __future__ import annotations

import json
from typing import Any

from services.notifications.ports.folder import Folder


class LetterFolder(Folder):
    """Files by name, durable when a method returns. Raises OSError when they cannot be written or removed."""

    def write_manifest(self, batch_id: str, manifest: dict[str, Any]) -> None:
        """Lays a batch's manifest beside its letters."""
        self.write(_manifest(batch_id), json.dumps(manifest, indent=1).encode() + b"\n")

    def remove(self, batch_id: str, names: list[str]) -> None:
        """Deletes the named files and the manifest of their batch; what is gone already is no error."""
        self.unlink(*names, _manifest(batch_id))


def _manifest(batch_id: str) -> str:
    return f"{batch_id}.manifest.json"
