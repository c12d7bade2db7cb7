"""The phases that work on the installing machine: virtual hosts, builds, publishing."""

from __future__ import annotations

from casa_install.engine.converge import Step
from casa_install.engine.interrupt import Reporter
from casa_install.facility import Facility
from casa_install.phases import CLUSTER_IMAGES, PROGRAMS, USER_IMAGES
from casa_install.rehearsal.data import ensure_data
from casa_install.rehearsal.reference import ensure_reference
from casa_install.rolevars.registry import PUSHER
from casa_install.supply import cache_directory


def ensure_hosts(facility: Facility, report: Reporter) -> int:
    """Boot the rehearsal's virtual hosts."""
    ran = {host for host, state in facility.lab.status().items() if state == "up"}
    report(f"{len(facility.lab.hosts)} hosts on {facility.lab.network}")
    facility.lab.up()
    return len(set(facility.lab.hosts) - ran)


def ensure_data_made(facility: Facility, report: Reporter) -> int:
    """Make the events that the rehearsal's storage serves."""
    del facility  # one machine's rehearsals share the data
    return ensure_data(cache_directory(), report)


def ensure_reference_made(facility: Facility, report: Reporter) -> int:
    """Compute what an analysis of these events must give."""
    del facility
    return ensure_reference(cache_directory(), report)


def ensure_programs(facility: Facility, report: Reporter) -> int:
    """Build the programs that hosts run."""
    return len(facility.supply.ensure(PROGRAMS, report, report.pause))


def ensure_images(facility: Facility, report: Reporter) -> int:
    """Build the images of the cluster and of its users."""
    return len(facility.supply.ensure(CLUSTER_IMAGES + USER_IMAGES, report, report.pause))


def ensure_published(facility: Facility, report: Reporter) -> int:
    """Push the images that the site registry lacks."""
    registry = facility.site.one("registry")
    return len(facility.supply.push(
        CLUSTER_IMAGES + USER_IMAGES, f"{registry.address}:5000", facility.credentials.ca_certificate,
        (PUSHER, facility.credentials.secret("registry-push")), report, report.pause))


STEPS: dict[str, Step] = {
    "hosts": ensure_hosts,
    "data": ensure_data_made,
    "reference": ensure_reference_made,
    "programs": ensure_programs,
    "images": ensure_images,
    "publish": ensure_published,
}
