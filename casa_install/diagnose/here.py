"""What the installing machine knows of a site: its journal, the logs of runs, the report, and the machine itself."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from casa_install.credentials.redaction import Redactor
from casa_install.credentials.vault import write_private
from casa_install.facility import Facility
from casa_install.report import write_report

RUNS = 6
"""Newest runs whose logs are taken."""
LOG = 2_000_000
"""Characters of one log: its end."""


def write(facility: Facility, folder: Path, redactor: Redactor) -> None:
    """Write files of this machine into a folder, without secrets.

    :raises VaultError: the vault does not open.
    """
    state = facility.site.state
    texts = {"journal.json": json.dumps(journal(state / "journal.sqlite"), indent=1),
             "machine.json": json.dumps(_machine(state), indent=1)}
    logs = state / "logs"
    for run in sorted(logs.iterdir())[-RUNS:] if logs.is_dir() else ():
        for log in sorted(run.glob("*.log")):
            texts[f"logs/{run.name}/{log.name}"] = _end(log)
    for name, text in texts.items():
        write_private(folder / name, redactor.text(text).encode())
    write_report(facility, folder / "report")


def journal(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Table -> its rows, by column; nothing where there is no journal."""
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        names = [row["name"] for row in database.execute("select name from sqlite_master where type = 'table'")]
        return {name: [dict(row) for row in database.execute(f'select * from "{name}"')]  # noqa: S608 - our own names
                for name in names}


def _end(log: Path) -> str:
    """The end of a log, from the beginning of a line: half of a secret would not be known for one."""
    text = log.read_text(errors="replace")
    return text if len(text) <= LOG else text[-LOG:].partition("\n")[2]


def _machine(state: Path) -> dict[str, Any]:
    disk = shutil.disk_usage(state.parent)
    return {"system": platform.platform(), "python": sys.version, "ansible-core": version("ansible-core"),
            "load": Path("/proc/loadavg").read_text().strip(),
            "memory": Path("/proc/meminfo").read_text().splitlines()[:3],
            "disk": {"free": disk.free, "size": disk.total}}
