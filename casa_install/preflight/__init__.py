"""The preflight: asks all hosts at once what may stand in an installation's way, and changes nothing.

Hosts give facts (``playbooks/preflight.yml``); what they mean for the Site is judged here.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from casa_install.engine import playbook
from casa_install.engine.playbook import Listener, Outcome, Play
from casa_install.facility import Facility
from casa_install.phases import PLAYBOOKS
from casa_install.preflight import access, components, kernel, network, resources
from casa_install.preflight.authorities import authorities
from casa_install.preflight.components import GIB
from casa_install.preflight.delegation import Answers, ask, delegation
from casa_install.preflight.facts import Facts
from casa_install.preflight.findings import Finding, Findings
from casa_install.preflight.software import programs, software
from casa_install.site.model import Host, Site

NAME = "preflight"
_SYSTEM, _FACTS = TASKS = "System is read", "Facts are read"


@dataclass(frozen=True)
class Check:
    """One thing that is looked at on each host by itself."""

    name: str
    meaning: str
    """What is looked at, and what it takes to be refused or warned of."""
    judge: Callable[[Site, Host, Facts], Iterator[Finding]] | None = None
    """None where the check needs more than one host's facts."""


CHECKS = (
    Check("access", "ssh, host key, root rights and Python; refused without"),
    Check("system", "Debian 13; others are refused"),
    Check("clock", "more than 30 s from the installing machine's or another host's is refused, more than 2 s is "
                   "a warning, and a daemon for it that does not run or has not set it yet", resources.keeping),
    Check("memory", "memory and cores for all components of the host together; refused below what programs need, "
                    "a warning below what they want and where execute points offer more than there is",
          resources.memory),
    Check("disk", "room and inodes on each file system where packages, programs and data go, for all its directories "
                  "together; refused below what an installation needs, a warning below the room that a facility wants "
                  "to live in; file systems mounted noexec where programs run are refused",
          resources.disks),
    Check("kernel", "version, options or modules, cgroup v2 and its controllers on Kubernetes nodes, namespaces of "
                    "users on execute points; refused without; SELinux that enforces and reboots after upgrades are "
                    "warnings",
          kernel.kernel),
    Check("names", "the host's own name, the site's names in `/etc/hosts`, the name of its address, and its full name "
                   "and the site's names by its name service; wrong ones in `/etc/hosts` are refused, an own name at a "
                   "loopback address and wrong answers of the name service are warnings", network.names),
    Check("ports", "ports of the site's daemons that another program holds are refused", network.ports),
    Check("ways", "the hosts that will talk reach each other; refused where there is no route or a router "
                  "between nodes, a warning where a port that is needed or a packet of the link's MTU does not come "
                  "through", network.ways),
    Check("firewall", "firewalld, ufw and chains of the packet filter that drop what comes in are warnings",
          network.firewalls),
    Check("software", "programs of a component that the site did not install: refused where a role would damage "
                      "them, a warning where they stay as they are", software),
    Check("authorities", "certificates of `casa_trusted_cas`; refused outside of their time, a warning in their last "
                         "30 days"),
    Check("delegation", "the installing machine's name service gives `hub` and the wildcards the public address; a "
                        "warning where it does not, with the records to ask for"),
)
"""Everything that a preflight looks at."""


def look(facility: Facility, workspace: Path, log: Path) -> Findings:
    """Ask every host of a facility and judge the answers; ssh tries for a minute before it gives a silent one up.

    :param workspace: a folder for files of this run alone.
    :param log: gets what ansible-playbook shows.
    """
    site = facility.site
    variables = workspace / f"{NAME}.vault"
    facility.write_variables(set(), variables)
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(ask, site)
        outcome = playbook.run(facility.target, [question(site)], variables, workspace / NAME, log, Listener(), TASKS)
    return judge(site, outcome, dt.datetime.now(dt.UTC), answers.result())


def question(site: Site) -> Play:
    """What asks every host for its facts; :func:`judge` needs the results of ``TASKS``."""
    return Play(PLAYBOOKS / "preflight.yml", {"preflight_asked": {host.name: asked(site, host) for host in site.hosts}})


def asked(site: Site, host: Host) -> dict[str, Any]:
    """What a host is asked for beyond what every host tells."""
    paths = {resources.PACKAGES, *(place.path for place, _ in resources.places(site, host))}
    return {"address": str(host.address), "paths": sorted(paths), "programs": programs(host),
            "features": kernel.asked(site, host), "names": network.asked(site, host),
            "peers": [[str(peer.address), ports] for peer, ports in components.peers(site, host).items()]}


def judge(site: Site, outcome: Outcome, now: dt.datetime, answers: Answers) -> Findings:
    """What the answers of all hosts mean."""
    told = {host: Facts.model_validate(json.loads(outcome.results[host.name, _FACTS]["stdout"]))
            for host in site.hosts if (host.name, _FACTS) in outcome.results}
    names = {host.name for host in site.hosts}
    found = [Finding("", "", "access", f"the hosts could not be asked: {' '.join(failure.message.split())}",
                     "mend what the log shows", refusal=True)
             for failure in outcome.failures if failure.host not in names]
    found += authorities(site, now)
    found += delegation(site, answers, serves=any("dns" in told[h].marks for h in site.group("dns") if h in told))
    clocks = list(resources.clocks({host: resources.ahead(facts, outcome.received[host.name, _FACTS])
                                    for host, facts in told.items()}))
    for host in site.hosts:
        system = str(outcome.results.get((host.name, _SYSTEM), {}).get("stdout", ""))
        found += access.judge(host, outcome.failures, system)
        found += [finding for finding in clocks if finding.host == host.name]
        if host in told:
            found += _of_host(site, host, told)
    kinds = {host.name: kind(str(outcome.results.get((host.name, _SYSTEM), {}).get("stdout", "")), facts)
             for host, facts in told.items()}
    marks = {host.name: dict(_counting(told[host].marks, kinds[host.name])) if host in told else {}
             for host in site.hosts}
    return Findings(found, marks, kinds)


def kind(system: str, facts: Facts) -> str:
    """What of a host itself decides what roles make there: where it is no longer so, its marks count no more.

    :param system: its os-release.
    """
    release = dict(line.split("=", 1) for line in system.splitlines() if "=" in line)
    name = " ".join(release.get(word, "").strip('"') for word in ("ID", "VERSION_ID"))
    return f"{name}, {facts.cores} cores, {round(facts.memory / GIB)} GiB, cgroup v{facts.cgroup}"


def _counting(marks: Mapping[str, str], here: str) -> Iterator[tuple[str, str]]:
    """Phase and fingerprint of each mark that was made on a host of this kind; that of a begun phase is empty."""
    for phase, mark in marks.items():
        fingerprint, _, made_on = mark.partition(" ")
        if fingerprint and made_on == here:
            yield phase, fingerprint


def _of_host(site: Site, host: Host, told: Mapping[Host, Facts]) -> Iterator[Finding]:
    """Findings of a host that answered; a peer that did not answer us is not its fault."""
    answered = {str(other.address) for other in told}
    facts = told[host]
    if facts.uid:
        # who is not root sees neither whose ports are taken nor the packet filter
        yield access.rightless(host, facts.uid)
        return
    facts = facts.model_copy(update={"peers": [peer for peer in facts.peers if peer.address in answered]})
    for check in CHECKS:
        if check.judge:
            yield from check.judge(site, host, facts)
