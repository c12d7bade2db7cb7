"""``casa-versions``: what this environment's analysis set is, as JSON; equal output, equal versions.

``casa-versions --unmodified NAME`` compares the installed files of a distribution with the sums in
its wheel's RECORD and fails if one differs.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

LOCK = Path(sys.prefix) / "share/casa/analysis.lock"


def locked_names(lock: str) -> list[str]:
    """Distribution names of a lock file with one ``name==version`` per line start, sorted."""
    return sorted(re.findall(r"^([A-Za-z0-9._-]+)==", lock, flags=re.MULTILINE))


def versions(names: Iterable[str]) -> dict[str, str | None]:
    """Installed version of each distribution, None where it is missing."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def environment(lock: Path = LOCK) -> dict[str, object]:
    """Python's version and those of the analysis set."""
    return {"python": sys.version.split()[0], "distributions": versions(locked_names(lock.read_text(encoding="utf-8")))}


def differing_files(name: str) -> list[str]:
    """Files of a distribution that are missing or not what its RECORD says.

    Raises importlib.metadata.PackageNotFoundError if it isn't installed, ValueError if its RECORD
    has no sums at all (then nothing could be said).
    """
    distribution = importlib.metadata.distribution(name)
    checked = 0
    differing: list[str] = []
    for file in distribution.files or ():
        if file.hash is None:
            continue
        checked += 1
        path = Path(str(distribution.locate_file(file)))
        expected = file.hash.value
        actual = sum_of(path, file.hash.mode) if path.is_file() else None
        if actual != expected:
            differing.append(str(file))
    if not checked:
        raise ValueError(f"{name}: RECORD holds no sums")
    return differing


def sum_of(path: Path, algorithm: str) -> str:
    """A file's sum in RECORD's form: URL-safe base64 without padding."""
    digest = hashlib.new(algorithm, path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def main(arguments: list[str] | None = None) -> int:
    """Exit 0: printed, or unmodified; 1: modified."""
    parser = argparse.ArgumentParser(prog="casa-versions", description="versions of the analysis environment as JSON")
    parser.add_argument("--unmodified", metavar="NAME", help="check a distribution's files against its RECORD")
    options = parser.parse_args(arguments)
    if options.unmodified is None:
        json.dump(environment(), sys.stdout, indent=1, sort_keys=True)
        print()
        return 0
    differing = differing_files(options.unmodified)
    for file in differing:
        print(f"{options.unmodified}: {file} differs from its RECORD", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
