"""What stops the program itself, in words: files that cannot be used, a full disk, a mistake of its own."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
import traceback
from pathlib import Path

OF_FILES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there",
    errno.EROFS: "let it be written to, or move the inventory's folder to where one may write",
    errno.EACCES: "use an account that may do that, or give this one the right",
    errno.EPERM: "use an account that may do that, or give this one the right",
    errno.ENOTDIR: "a folder is needed there: move away what is in its place",
    errno.EEXIST: "a folder is needed there: move away what is in its place",
    errno.EISDIR: "a file is needed there: move the folder away",
    errno.EMFILE: "let this account open more files (ulimit -n)",
    errno.EIO: "look at the disk (dmesg)",
}
OF_JOURNALS = {
    "SQLITE_NOTADB": "move it away; hosts remember what was done on them, and the next run begins a new journal",
    "SQLITE_CORRUPT": "move it away; hosts remember what was done on them, and the next run begins a new journal",
    "SQLITE_FULL": "free space there",
    "SQLITE_CANTOPEN": "use an account that may write there",
    "SQLITE_READONLY": "use an account that may write there",
    "SQLITE_IOERR": "look at the disk (dmesg)",
}
AGAIN = "Then run the same command again; it goes on where this one stopped."


def told(error: Exception, journal: Path) -> list[str]:
    """What happened and what to do, a line each; a traceback is written to a file that the lines name.

    :param journal: the site's, whose errors do not name it.
    """
    if isinstance(error, sqlite3.Error):
        # a code with a detail has its own name: SQLITE_READONLY_DIRECTORY
        name = getattr(error, "sqlite_errorname", None) or ""
        remedy = next((what for start, what in OF_JOURNALS.items() if name.startswith(start)), None)
        happened = f"{journal}: {error}"
    elif isinstance(error, OSError) and error.strerror:
        remedy = OF_FILES.get(error.errno or 0)
        happened = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        remedy, happened = None, f"{type(error).__name__}: {error}"
    if remedy:
        return [happened, f"  mend:  {remedy}", f"  next:  {AGAIN}"]
    with tempfile.NamedTemporaryFile("w", prefix="casa-install-", suffix=".log", delete=False) as file:
        traceback.print_exception(error, file=file)
    return [f"casa-install cannot go on: {happened}",
            f"  mend:  should this not tell the cause, it is a mistake of casa-install: report it with {file.name}",
            f"  next:  {AGAIN}"]
