"""Static files: hashed and compressed once they were collected, straight from their folders until then."""

from __future__ import annotations

from typing import Any

from servestatic.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """A page never fails for a file that `collectstatic` has not seen: its plain address serves it too."""

    def stored_name(self, name: str) -> str:
        files: dict[str, Any] = self.hashed_files
        if self.hash_key(self.clean_name(name)) not in files:
            return name
        return str(super().stored_name(name))
