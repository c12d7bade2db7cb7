"""What lies at a path of a host: looked at, kept elsewhere, put back as it was."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Thing:
    """What lies at a path; two are equal when nobody who uses them could tell them apart."""

    kind: str
    """``file``, ``link``, ``folder`` or ``other``."""
    mode: int
    uid: int
    gid: int
    content: str = ""
    """SHA-256 of a file, target of a link."""
    stamp: str = dataclasses.field(default="", compare=False)
    """Tells that a file has not been written since it was read."""


def look(path: Path, known: Thing | None = None) -> Thing | None:
    """What lies at a path, None for nothing; a file that has the stamp of the known one is not read again."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "folder"}
    kind = kinds.get(stat.S_IFMT(found.st_mode), "other")
    stamp = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}" if kind == "file" else ""
    content = ""
    if kind == "link":
        content = str(path.readlink())
    elif kind == "file" and known and known.stamp == stamp:
        content = known.content
    elif kind == "file":
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    return Thing(kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, content, stamp)


def copy(path: Path, to: Path) -> None:
    """Copy what lies at a path, with owners, modes, times and extended attributes; what is there gives way."""
    remove(to)
    run("cp", "--archive", "--no-target-directory", str(path), str(to))


def keep(path: Path, under: Path, to: Path | None = None) -> None:
    """Copy what lies at a path to the same path in another folder, with the folders on the way as they are.

    :param under: a folder for root alone.
    :param to: another place, beside that one.
    """
    under.mkdir(mode=0o700, parents=True, exist_ok=True)
    to = to or under / path.relative_to("/")
    _folders(path.parent, to.parent, under)
    copy(path, to)


def put_back(path: Path, under: Path) -> None:
    """The reverse of keep: it appears whole, and takes the place of what is there."""
    kept = under / path.relative_to("/")
    _folders(kept.parent, path.parent, Path("/"))
    fresh = path.with_name(f".{path.name}.casa-install")
    copy(kept, fresh)
    now = look(path)
    if now and now.kind == "folder":
        remove(path)
    fresh.replace(path)


def _folders(like: Path, folder: Path, root: Path) -> None:
    """A folder and those above it, up to the root, are there; new ones are like those of another path."""
    if folder == root or folder.is_dir():
        return
    _folders(like.parent, folder.parent, root)
    folder.mkdir()
    if like.is_dir():
        found = like.stat()
        os.chown(folder, found.st_uid, found.st_gid)
        folder.chmod(stat.S_IMODE(found.st_mode))


def set_attributes(path: Path, thing: Thing) -> None:
    """Owner, group and mode are those of the thing."""
    os.chown(path, thing.uid, thing.gid)
    path.chmod(thing.mode)


def remove(path: Path) -> None:
    """Nothing lies at the path; what is mounted below it stays, and then the task fails."""
    now = look(path)
    if now and now.kind == "folder":
        run("rm", "--recursive", "--force", "--one-file-system", "--preserve-root=all", str(path))
    elif now:
        path.unlink()


def names(folder: Path) -> set[str]:
    """Names of what is in a folder."""
    return {entry.name for entry in folder.iterdir()}


def run(*command: str) -> None:
    """Run a program; RuntimeError with its message when it fails."""
    done = subprocess.run([str(shutil.which(command[0])), *command[1:]], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
