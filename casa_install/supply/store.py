"""The cache of results on the installing machine: one directory for each artifact and key."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from casa_install.supply.catalog import Entry

RESULT = "result.json"
"""Written last into a result: what it is and how long it took."""

_POLL = 0.2
"""Seconds between two tries to get the lock."""


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def cache_directory() -> Path:
    """Return where casa-install keeps what can be made again: ``$CASA_CACHE`` or the user's cache directory."""
    if chosen := os.environ.get("CASA_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "casa-install"


class Store:
    """Results below ``<cache>/supply/<id>/<key>/``; what has that name is complete."""

    def __init__(self, cache: Path) -> None:
        self.root = cache / "supply"
        self.scratch = self.root / ".building"
        self.logs = cache / "logs"
        self.containers = cache / "containers"
        self.shared = cache / "downloads"
        """What builds keep for each other: package managers' caches."""

    def directory(self, entry: Entry, key: str) -> Path:
        """Return where the result is or will be."""
        return self.root / entry.id / key

    def holds(self, entry: Entry, key: str) -> bool:
        """Whether the result is there."""
        return (self.directory(entry, key) / RESULT).is_file()

    @contextmanager
    def lock(self, purpose: str, report: Callable[[str], None]) -> Iterator[None]:
        """Hold the only right to build on this machine; it ends with the process, however that ends.

        :param purpose: what others read while they wait.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a+") as file:
            told = ""
            while not _locked(file):
                file.seek(0)
                if (holder := file.read().strip()) != told:
                    report(f"waiting for {holder or 'another build'}")
                    told = holder
                time.sleep(_POLL)
            file.seek(0)
            file.truncate()
            file.write(f"{purpose}, which process {os.getpid()} builds")
            file.flush()
            # whatever is here belongs to a build that was killed
            shutil.rmtree(self.scratch, ignore_errors=True)
            yield

    @contextmanager
    def building(self, entry: Entry, key: str) -> Iterator[Path]:
        """Yield an empty directory that becomes the result when the block ends without error."""
        work = self.scratch / entry.name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        began = time.monotonic()
        try:
            yield work
            seconds = round(time.monotonic() - began, 1)
            about = {"name": entry.name, "version": entry.version, "key": key, "seconds": seconds}
            (work / RESULT).write_text(json.dumps(about) + "\n")
            # the rename must not reach the disk before the content does
            subprocess.run(["sync", "-f", str(work)], check=True)
            final = self.directory(entry, key)
            final.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(final, ignore_errors=True)
            work.rename(final)
            self._remember(entry, seconds)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def about(self, entry: Entry, key: str) -> dict[str, Any]:
        """Return what was recorded with a result."""
        data: dict[str, Any] = json.loads((self.directory(entry, key) / RESULT).read_text())
        return data

    def expected(self, entry: Entry) -> float:
        """Return how many seconds a build is expected to take: as the last one here did, or as the catalog says."""
        return float(self._timings().get(entry.id, entry.seconds))

    def _timings(self) -> dict[str, float]:
        try:
            timings: dict[str, float] = json.loads((self.root / "timings.json").read_text())
        except (OSError, ValueError):
            return {}
        return timings

    def _remember(self, entry: Entry, seconds: float) -> None:
        timings = self._timings() | {entry.id: seconds}
        path = self.root / "timings.json"
        path.with_suffix(".new").write_text(json.dumps(timings, indent=1, sort_keys=True) + "\n")
        path.with_suffix(".new").rename(path)

    def prune(self, keep: dict[str, str]) -> list[Path]:
        """Remove results whose id is in ``keep`` with another key, and those of unknown ids; return them."""
        removed = []
        for result in sorted(self.root.glob("**/" + RESULT)):
            directory = result.parent
            identity = str(directory.parent.relative_to(self.root))
            if keep.get(identity) != directory.name and self.scratch not in directory.parents:
                # the marker goes first: a half removed result is no result
                result.unlink()
                shutil.rmtree(directory)
                removed.append(directory)
        return removed
