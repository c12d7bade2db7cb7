"""What is known on disk of each lab.

A record is written before anything is done for it, so that whatever a killed run
left behind is found and cleared by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from casa_install.machine import locks_soon
from casa_install.rehearsal import names
from casa_install.rehearsal.commands import RehearsalError


def home() -> Path:
    """The folder of everything that rehearsals keep on this machine, readable by its owner only."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "casa-install" / "rehearsal"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def bases() -> Path:
    """The folder of base file systems."""
    return home() / "bases"


def lab_folder(lab: str) -> Path:
    """The folder of one lab."""
    return home() / "labs" / lab


class HostRecord(BaseModel):
    """One virtual host as it was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: IPv4Address
    base: str
    """Key of the base file system below the host's own files."""
    memory: int | None = None
    """Limit of its memory in MiB."""


class LabRecord(BaseModel):
    """One lab as it was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    network: IPv4Network
    domain: str
    resolvers: tuple[IPv4Address, ...]
    hosts: dict[str, HostRecord]

    def save(self) -> None:
        """Write the record, whole or not at all."""
        folder = lab_folder(self.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(folder / "lab.json", self.model_dump_json(indent=2) + "\n")


def load(lab: str) -> LabRecord | None:
    """The record of a lab, or None when there is no such lab (or none whose record was ever written)."""
    path = lab_folder(lab) / "lab.json"
    try:
        return LabRecord.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RehearsalError(f"{path} is not a lab's record: {error}") from None


def labs() -> list[LabRecord]:
    """Every lab of this machine's user, by name."""
    folder = home() / "labs"
    found = [load(path.name) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    return [record for record in found if record is not None]


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file's content in one step, so that a reader or a crash never sees half of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(path)


@contextlib.contextmanager
def machine_lock() -> Iterator[None]:
    """Held while something is changed that all labs of the machine share; it is short, so others wait for it."""
    with Path("/run/lock/casa-install").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def base_lock() -> Iterator[None]:
    """Held while a base file system is made or cleared away; others wait and then find it made."""
    with (home() / "lock-bases").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def lab_lock(lab: str) -> Iterator[None]:
    """Held while a lab is changed.

    :raises RehearsalError: another process is changing the lab.
    """
    names.check_lab_name(lab)
    folder = lab_folder(lab)
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        if not locks_soon(descriptor):
            os.close(descriptor)
            raise RehearsalError(f"lab {lab} is being changed by another process: wait for it or end it")
        # `down` removes the folder itself: a lock on a folder that is gone protects nothing
        if folder.exists() and os.fstat(descriptor).st_ino == folder.stat().st_ino:
            break
        os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


def forget(lab: str) -> None:
    """Remove the lab's folder, the record last."""
    folder = lab_folder(lab)
    for path in folder.iterdir():
        if path.name != "lab.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(folder)
