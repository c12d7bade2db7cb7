"""Whatever stops the program is told in words, with what to do; a traceback goes to a file."""

from __future__ import annotations

import errno
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from casa_install import cli, mishaps, verbs
from casa_install.engine.journal import Journal
from casa_install.phases import ROOT

AGAIN = f"  next:  {mishaps.AGAIN}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory with a folder of its own; so have key and cache."""
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    shutil.copy(ROOT / "inventory" / "rehearsal" / "site.ini", tmp_path / "site.ini")
    return tmp_path


def file_in_place_of_the_folder(folder: Path) -> None:
    (folder / ".casa").write_text("")


def folder_in_place_of_the_lock(folder: Path) -> None:
    (folder / ".casa" / "lock").mkdir(parents=True)


def strange_journal(folder: Path) -> None:
    (folder / ".casa").mkdir()
    (folder / ".casa" / "journal.sqlite").write_text("no database, but longer than its head would be: " * 20)


def damaged_journal(folder: Path) -> None:
    Journal(folder / ".casa" / "journal.sqlite").close()
    path = folder / ".casa" / "journal.sqlite"
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)


@pytest.mark.parametrize(("verb", "break_it", "happened", "mend"), [
    ("status", file_in_place_of_the_folder, "{}/.casa: File exists", mishaps.OF_FILES[errno.EEXIST]),
    ("apply", file_in_place_of_the_folder, "{}/.casa: File exists", mishaps.OF_FILES[errno.EEXIST]),
    ("apply", folder_in_place_of_the_lock, "{}/.casa/lock: Is a directory", mishaps.OF_FILES[errno.EISDIR]),
    ("status", strange_journal, "{}/.casa/journal.sqlite: file is not a database",
     mishaps.OF_JOURNALS["SQLITE_NOTADB"]),
    ("remove", strange_journal, "{}/.casa/journal.sqlite: file is not a database",
     mishaps.OF_JOURNALS["SQLITE_NOTADB"]),
    ("report", damaged_journal, "{}/.casa/journal.sqlite: database disk image is malformed",
     mishaps.OF_JOURNALS["SQLITE_CORRUPT"]),
])
def test_state_that_cannot_be_used(site: Path, capsys: pytest.CaptureFixture[str], verb: str,
                                   break_it: Callable[[Path], None], happened: str, mend: str) -> None:
    break_it(site)
    assert cli.main([verb, "--inventory", str(site / "site.ini")]) == verbs.FAILED
    assert capsys.readouterr().err.splitlines() == [happened.format(site), f"  mend:  {mend}", AGAIN]


@pytest.mark.parametrize(("name", "remedy"), mishaps.OF_JOURNALS.items())
def test_words_of_the_journal(name: str, remedy: str) -> None:
    error = sqlite3.OperationalError("in SQLite's words")
    error.sqlite_errorname = f"{name}_IN_DETAIL"
    assert mishaps.told(error, Path("/s/j")) == ["/s/j: in SQLite's words", f"  mend:  {remedy}", AGAIN]


def test_a_full_disk_is_told_without_a_file_too() -> None:
    assert mishaps.told(OSError(errno.ENOSPC, "No space left on device"), Path("/j"))[:2] == [
        "No space left on device", "  mend:  free space there"]


def test_what_nobody_has_thought_of(site: Path, capsys: pytest.CaptureFixture[str],
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(verbs._TABLE, "status", lambda *_: int({"a": 1}["nothing"]))
    assert cli.main(["status", "--inventory", str(site / "site.ini")]) == verbs.FAILED
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    first, mend, again = said.err.splitlines()
    assert (first, again) == ("casa-install cannot go on: KeyError: 'nothing'", AGAIN)
    written = re.fullmatch(r"  mend:  .* report it with (\S+)", mend)
    assert written
    log = Path(written[1])
    assert "KeyError: 'nothing'" in log.read_text()
    log.unlink()
