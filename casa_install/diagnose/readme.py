"""The first file of the archive: what is what, who is missing, what was taken out."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from casa_install.site.model import Site

if TYPE_CHECKING:
    from casa_install.diagnose import Diagnosis

_FILES = (
    ("report/", "the report: phases and their last outcome, verdicts, settings, versions and checksums, expiry"),
    ("journal.json", "the journal, table by table; times are seconds since the epoch"),
    ("logs/RUN/", "what Ansible said in the newest runs, a file for each phase"),
    ("preflight.json", "what each host said of itself just now, and what was found in it"),
    ("machine.json", "the installing machine"),
    ("hosts/HOST/*.txt", "system, kernel, disks, units, network, names, clock, firewall, packages"),
    ("hosts/HOST/journal/", "the last words of the site's units, and of those that have failed"),
    ("hosts/HOST/logs/", "the ends of log files of HTCondor, XRootD and nginx"),
    ("hosts/HOST/{condor,dns,containers}.txt", "what these systems say of themselves, where they are"),
    ("hosts/HOST/kubernetes/", "control plane: nodes, objects, events, Cilium, and the pods' last words"),
)


def readme(site: Site, diagnosis: Diagnosis, now: dt.datetime) -> str:
    """The text of the index."""
    settings = site.settings
    lines = [f"Diagnosis of the site {settings.site_name} ({settings.domain}), {now.isoformat(timespec='seconds')}", "",
             *(f"{name:<40} {meaning}" for name, meaning in _FILES), "",
             f"Hosts asked: {len(site.hosts) - len(diagnosis.missing)} of {len(site.hosts)}"]
    lines += [f"  not asked: {host}: {why}" for host, why in diagnosis.missing.items()]
    lines += ["", "Found by the preflight:", *(f"  {finding}" for finding in diagnosis.findings or ["nothing"])]
    lines += ["", "Each secret was replaced by [secret NAME]; what only looks like one has its kind for a name:"]
    found = [f"  {where}: {name}: {count} times" for where, counts in diagnosis.replaced.items()
             for name, count in sorted(counts.items())]
    return "\n".join([*lines, *(found or ["  there was none"])]) + "\n"
