"""Judges software that somebody else installed."""

from __future__ import annotations

from collections.abc import Iterator

from casa_install.preflight import components
from casa_install.preflight.facts import Facts
from casa_install.preflight.findings import Finding, refusal, warning
from casa_install.site.model import Host, Site

DOCKER = "dockerd"


def software(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """Programs of a component on a host where the component has never begun."""
    for part in components.of(host):
        if facts.begun(part.phases):
            continue
        for each in part.software:
            if place := facts.programs.get(each.program):
                if each.harmless:
                    yield warning(host, "software", f"{place} is not of this site: {each.why}", "nothing need be done")
                else:
                    yield refusal(host, "software", f"{place} is not of this site, and {each.why}",
                                  "remove it as it was installed, or use another host")
    docker = facts.programs.get(DOCKER) if "condor_execute" in host.groups else None
    if docker and site.settings.job_containers == "docker" and not facts.docker_is_ours:
        yield refusal(host, "software", f"{docker} is not of this site, and its containers would lose their network",
                      "remove that docker, or write casa_job_containers=apptainer")


def programs(host: Host) -> list[str]:
    """Programs to look for on a host."""
    named = [each.program for part in components.of(host) for each in part.software]
    return sorted({*named, DOCKER})
