"""The worker image on an execute point: what jobs see, and what happens when the image changes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from on_hosts import converge, wait
from testinfra.utils.ansible_runner import AnsibleRunner

IMAGES = "/var/lib/casa/images"
RUNNER = AnsibleRunner(os.environ["MOLECULE_INVENTORY_FILE"])

JOB = """universe = container
container_image = /var/lib/casa/worker/
transfer_container = False
executable = /bin/sh
transfer_executable = False
arguments = "-c 'cat /tag; sleep {seconds}'"
output = /dev/null
should_transfer_files = YES
request_memory = 100
queue
"""


@pytest.fixture(scope="module")
def host() -> Any:
    """The execute point."""
    return RUNNER.get_host("exec-1")


def converge_worker(tag: str) -> None:
    """Run the phase for the worker image as if the image's tag were this."""
    converge("exec-1", "apptainer", "worker", apptainer_image=f"registry.casa.test:5000/casa/worker:{tag}")
    converge("exec-1", "condor", "worker", condor_worker_image=tag)


def start_job(host: Any, seconds: int) -> str:
    """Start a job of a user in the worker image; returns its cluster."""
    host.check_output("printf '%%s' %s > /srv/job.sub", JOB.format(seconds=seconds))
    done = host.check_output("cd /srv && runuser -u alice -- condor_submit -spool -terse /srv/job.sub")
    return str(done).split(".", maxsplit=1)[0]


def test_image_comes_from_the_registry(host: Any) -> None:
    """The fixed path leads to the unpacked image, which jobs cannot change."""
    assert host.check_output("readlink /var/lib/casa/worker") == f"{IMAGES}/worker-one"
    assert host.file("/var/lib/casa/worker/tag").content_string == "one"
    assert host.file("/var/lib/casa/worker/").user == "casa-image"
    assert host.run("runuser -u casa-slot1 -- touch /var/lib/casa/worker/bin/x").rc != 0


def test_nothing_is_half_made(host: Any) -> None:
    """What apptainer needed on the way is gone."""
    assert host.check_output(f"ls -A {IMAGES} | grep -v -x '[.]apptainer'") == "worker-one"


def test_execute_point_tells_its_image(host: Any) -> None:
    """The pool knows which image an execute point has, and that it runs containers."""
    wait(host, "condor_status -autoformat CasaWorkerImage HasSIF", "one true", 60)


def test_only_apptainer_comes_from_sid(host: Any) -> None:
    """HTCondor's version is the one of Debian's stable release."""
    assert host.package("condor").version.startswith("23.")
    newer = host.check_output("apt-get --simulate --quiet upgrade | grep '^Inst.*sid' || true")
    assert newer == ""


def test_registry_is_checked(host: Any) -> None:
    """An image is not taken from a registry whose certificate the host does not trust."""
    place = "cd / && runuser -u casa-image -- env HOME=/nonexistent SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/nonexistent"
    refused = host.run(f"{place} apptainer build --disable-cache --sandbox /tmp/x "
                       "docker://registry.casa.test:5000/casa/worker:one || exit 1")
    assert refused.rc != 0
    assert "x509" in refused.stderr


def test_image_changes_under_running_jobs(host: Any) -> None:
    """A running job keeps its image until it ends; new jobs have the new one; then the old one goes."""
    cluster = start_job(host, 300)
    wait(host, f"condor_q {cluster} -autoformat JobStatus", "2", 60)
    wait(host, "pgrep --count --exact sleep || true", "1", 60)
    converge_worker("two")
    wait(host, "condor_status -constraint 'PartitionableSlot' -autoformat CasaWorkerImage", "two", 60)
    assert host.file(f"{IMAGES}/worker-one/tag").exists
    assert host.file("/var/lib/casa/worker/tag").content_string == "two"
    host.check_output(f"condor_rm {cluster}")
    wait(host, "pgrep --count --exact sleep || true", "0", 60)
    converge_worker("two")
    assert not host.file(f"{IMAGES}/worker-one").exists
    converge_worker("one")
