"""Debian's packages in an image, as its own record of them says."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from casa_install.supply.images import digest

FOUND = "debian.json"
"""Kept beside an image's layout: to look through its layers takes long."""
_STATUS = "var/lib/dpkg/status"


def debian_packages(layout: Path) -> list[tuple[str, str]]:
    """Name and version of each package that is installed in an image, by name; none where Debian is not in it."""
    kept = layout.parent / FOUND
    if not kept.exists():
        fresh = kept.with_suffix(".new")
        fresh.write_text(json.dumps(sorted(_installed(_status(layout)))) + "\n")
        fresh.replace(kept)
    return [(name, version) for name, version in json.loads(kept.read_text())]


def _blob(layout: Path, name: str) -> Path:
    return layout / "blobs" / Path(*name.split(":"))


def _status(layout: Path) -> str:
    """The record as the image's highest layer that has one says it."""
    manifest: dict[str, Any] = json.loads(_blob(layout, digest(layout)).read_text())
    for layer in reversed(manifest["layers"]):
        with tarfile.open(_blob(layout, layer["digest"]), "r|*") as archive:
            for member in archive:
                if member.name.removeprefix("./") == _STATUS and (file := archive.extractfile(member)):
                    return file.read().decode()
    return ""


def _installed(status: str) -> Iterator[tuple[str, str]]:
    for paragraph in status.split("\n\n"):
        fields = HeaderParser().parsestr(paragraph.lstrip())
        if str(fields["Status"]).endswith(" installed"):
            yield fields["Package"], fields["Version"]
