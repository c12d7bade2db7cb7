"""Writes what is known of a site: a page for people, the same as JSON, JUnit of the last proof, and an SBOM."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from casa_install.engine.history import read_history
from casa_install.report.facts import gather
from casa_install.report.junit import junit
from casa_install.report.page import page
from casa_install.report.sbom import bill
from casa_install.report.supplied import artifacts

if TYPE_CHECKING:
    from casa_install.facility import Facility


@dataclass(frozen=True)
class Written:
    """Files of a report, what an admin has to know at once, and whether something has expired."""

    files: tuple[Path, ...]
    warnings: tuple[str, ...]
    expired: bool


def write_report(facility: Facility, folder: Path) -> Written:
    """Write the report into a folder; a reader sees the old or the new files, never a part.

    :raises OSError: a file cannot be written.
    :raises VaultError: the vault does not open.
    """
    now = dt.datetime.now(dt.UTC)
    folder.mkdir(parents=True, exist_ok=True)
    history = read_history(facility.site.state / "journal.sqlite")
    supplied = artifacts(facility.supply)
    facts = gather(facility, history, supplied, now)
    name = facility.site.settings.site_name
    contents = {
        "report.html": page(facility.site, history, facts),
        "report.json": json.dumps(facts, indent=2) + "\n",
        "junit.xml": junit(name, facts["verifications"][-1] if facts["verifications"] else None),
        "sbom.cdx.json": json.dumps(bill(name, supplied, now), indent=1) + "\n",
    }
    for file, content in contents.items():
        fresh = folder / f".{file}.{secrets.token_hex(4)}"
        fresh.write_text(content)
        fresh.replace(folder / file)
    warnings = facts["warnings"]
    return Written(tuple(folder / file for file in contents), tuple(each["text"] for each in warnings),
                   any(each["level"] == "expired" for each in warnings))
