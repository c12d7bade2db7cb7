"""What the hosts say of themselves before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from casa_install.engine.playbook import Failure
from casa_install.site.model import Host

FACTS = "Facts are read"
MARKS = "Phase marks are read"
WANTED = (FACTS, MARKS)
SUPPORTED = {"Debian": (13,)}


@dataclass
class Survey:
    """Refusals (nothing may be changed while there is one) and the marks of phases on each host."""

    refusals: list[str] = field(default_factory=list)
    marks: dict[str, dict[str, str]] = field(default_factory=dict)


def _refusal(failure: Failure, address: str) -> str:
    if failure.unreachable:
        return (f"{failure.host} ({address}): not reachable by ssh: {failure.message.splitlines()[0]}; "
                "check the address, the key and that sshd runs")
    if "password" in failure.message or "sudo" in failure.message:
        return (f"{failure.host} ({address}): no root rights: {failure.message.splitlines()[0]}; "
                "let ansible_user use sudo without a password, or set ansible_become_password")
    return f"{failure.host} ({address}): {failure.message}"


def judge(hosts: Sequence[Host], failures: Sequence[Failure],
          results: Mapping[tuple[str, str], Mapping[str, Any]]) -> Survey:
    """Turn the survey's results into refusals and marks."""
    survey = Survey()
    addresses = {h.name: str(h.address) for h in hosts}
    survey.refusals += [_refusal(f, addresses.get(f.host, "?")) for f in failures]
    for host in hosts:
        facts = results.get((host.name, FACTS), {}).get("ansible_facts", {})
        if facts:
            system = str(facts.get("ansible_distribution"))
            version = str(facts.get("ansible_distribution_major_version"))
            if not version.isdigit() or int(version) not in SUPPORTED.get(system, ()):
                survey.refusals.append(f"{host.name} ({host.address}): runs {system} {version}; "
                                       "casa-install needs Debian 13 (trixie) on every host")
        marks = {}
        for line in str(results.get((host.name, MARKS), {}).get("stdout", "")).splitlines():
            path, _, fingerprint = line.partition(":")
            marks[path.rpartition("/")[2]] = fingerprint
        survey.marks[host.name] = marks
    return survey
