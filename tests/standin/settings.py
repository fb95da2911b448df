"""Writes down what a client of the stand-in needs: its address, its CA, the credentials, and settings for the door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Notes:
    """Where everything is; `ca_file` is None without TLS."""

    COLLECTION: ClassVar[str] = "smileaccess"

    url: str
    region: str
    ca_file: Path | None
    credentials: Path

    def snippet(self, collection: str = COLLECTION) -> str:
        """Return the settings of a door that uses the stand-in, in TOML."""
        ca_bundle = "" if self.ca_file is None else f'ca_bundle = "{self.ca_file}"\n'
        return (
            "[recognition]\n"
            'recognizers = ["rekognition", "embedded"]\n\n'
            "[rekognition]\n"
            f'region = "{self.region}"\n'
            f'collection = "{collection}"\n'
            f'endpoint = "{self.url}"\n'
            f"{ca_bundle}"
            f'credentials = "{self.credentials}"\n'
            'profile = "door"\n'
            'enroller_profile = "enroller"\n'
        )

    def write(self, folder: Path) -> Path:
        """Write `url` and `settings.toml` into the folder; return the settings' path."""
        (folder / "url").write_text(f"{self.url}\n", encoding="utf-8")
        path = folder / "settings.toml"
        path.write_text(self.snippet(), encoding="utf-8")
        return path
