"""One archive for an expert: what the installing machine and every host know of a site, without secrets.

Hosts are asked side by side (``playbooks/diagnose.yml``); one that does not answer is named, and stops nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import shutil
import tarfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from casa_install import preflight
from casa_install.credentials.expiry import secret_values
from casa_install.credentials.redaction import Redactor
from casa_install.credentials.vault import write_private
from casa_install.diagnose import here
from casa_install.diagnose.actions.casa_diagnose import SECRETS
from casa_install.diagnose.readme import readme
from casa_install.engine import playbook
from casa_install.engine.playbook import Listener, Play
from casa_install.facility import Facility
from casa_install.phases import PLAYBOOKS
from casa_install.preflight.delegation import ask

_TASK = "Logs and states are read"


@dataclass
class Diagnosis:
    """What was found: hosts that were not asked with the reason, and what was taken out of the texts."""

    missing: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    """Refusals and warnings of the preflight."""
    replaced: dict[str, dict[str, int]] = field(default_factory=dict)
    """Host, or ``installing machine`` -> name of a secret -> how often it was replaced."""


def pack(facility: Facility, archive: Path, work: Path) -> Diagnosis:
    """Ask all hosts and write the archive, readable by its owner alone.

    :param work: a folder of this call alone, which exists and is empty.
    :raises OSError: the archive cannot be written.
    :raises VaultError: the vault does not open.
    """
    now = dt.datetime.now().astimezone()
    folder = work / f"{facility.site.settings.site_name}-{now:%Y%m%d-%H%M%S}"
    diagnosis = Diagnosis()
    known = secret_values(facility.site, facility.credentials)
    redactor = Redactor(known)
    if _running(facility):
        told = _ask(facility, known, folder / "hosts", work, diagnosis)
        write_private(folder / "preflight.json", redactor.text(json.dumps(told, indent=1)).encode())
    else:
        diagnosis.missing = {host.name: "the virtual hosts are not all up" for host in facility.site.hosts}
    here.write(facility, folder, redactor)
    diagnosis.replaced["installing machine"] = dict(redactor.replaced)
    write_private(folder / "README.txt", redactor.text(readme(facility.site, diagnosis, now)).encode())
    _archive(folder, archive)
    return diagnosis


def _running(facility: Facility) -> bool:
    """Virtual hosts that are down have no address that could be asked; real hosts answer for themselves."""
    return not facility.site.settings.rehearsal or set(facility.lab.status().values()) == {"up"}


def _ask(facility: Facility, known: dict[str, str], hosts: Path, work: Path, diagnosis: Diagnosis) -> dict[str, Any]:
    """Ask every host for the preflight's facts, which are returned, and, where that went well, for everything else."""
    site = facility.site
    variables, log = work / "variables.vault", work / "ask.log"
    facility.write_variables(set(), variables, {SECRETS: known, "diagnose_folder": str(hosts)})
    outcome = playbook.run(facility.target, [preflight.question(site), Play(PLAYBOOKS / "diagnose.yml")], variables,
                           work / "ask", log, Listener(), (*preflight.TASKS, _TASK))
    later = [failure for failure in outcome.failures if failure.task == _TASK]
    outcome.failures = [failure for failure in outcome.failures if failure.task != _TASK]
    findings = preflight.judge(site, outcome, dt.datetime.now(dt.UTC), ask(site))
    diagnosis.findings = [f"{'refused' if found.refusal else 'warning'}: {found}" for found in findings.found]
    answered = {host: result for (host, task), result in outcome.results.items() if task == _TASK}
    for host in site.hosts:
        if host.name in answered:
            diagnosis.replaced[host.name] = Counter(answered[host.name]["replaced"])
        else:
            said = [failure.message for failure in later + outcome.failures if failure.host in (host.name, "")]
            diagnosis.missing[host.name] = " ".join((said or ["it was not asked"])[0].split())
    facts = {host: json.loads(result["stdout"]) for (host, task), result in outcome.results.items()
             if task == preflight.TASKS[1]}
    return {"findings": [asdict(found) for found in findings.found], "facts": facts}


def _archive(folder: Path, archive: Path) -> None:
    """Pack a folder; a reader sees the whole archive or none."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    fresh = archive.with_name(f".{archive.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as tar:
            tar.add(folder, arcname=folder.name)
        fresh.replace(archive)
    finally:
        fresh.unlink(missing_ok=True)
        shutil.rmtree(folder)
