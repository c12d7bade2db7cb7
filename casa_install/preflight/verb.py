"""The verb ``check``: a preflight by itself."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict

from rich.console import Console

from casa_install.engine.lock import hold
from casa_install.facility import Facility
from casa_install.preflight import NAME, look
from casa_install.preflight.findings import Finding

FREE, REFUSED = 0, 2


def check(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Ask every host and say what was found; 2 when something has to be refused."""
    site = facility.site
    with hold(site.state / "lock"):
        if site.settings.rehearsal and (off := [h for h, state in facility.lab.status().items() if state != "up"]):
            console.print(f"{len(off)} virtual host(s) do not run and cannot be asked ({', '.join(off)}): "
                          "an apply boots them, and checks them then", markup=False, soft_wrap=True)
            return REFUSED
        log = facility.new_logs() / f"{NAME}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        work = site.state / "work"
        shutil.rmtree(work, ignore_errors=True)
        try:
            findings = look(facility, work, log)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    if options.json:
        console.print_json(json.dumps({"refusals": list(map(_row, findings.refusals)),
                                       "warnings": list(map(_row, findings.warnings)), "log": str(log)}))
        return REFUSED if findings.refusals else FREE
    for finding in findings.found:
        console.print(f"{'refused' if finding.refusal else 'warning'}: {finding}", markup=False, soft_wrap=True)
    console.print(f"{len(site.hosts)} hosts: {len(findings.refusals)} refusal(s), {len(findings.warnings)} warning(s). "
                  "Nothing was changed.", markup=False)
    if findings.refusals:
        console.print(f"  log:  {log}", markup=False, soft_wrap=True)
    return REFUSED if findings.refusals else FREE


def _row(finding: Finding) -> dict[str, str]:
    return {name: value for name, value in asdict(finding).items() if name != "refusal"}
