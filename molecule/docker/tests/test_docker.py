"""The docker universe: what notebooks' jobs see and may do, and what happens when the worker image changes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from casa_notebook.dask_defaults import universe
from on_hosts import converge, wait
from testinfra.utils.ansible_runner import AnsibleRunner

IMAGE = "registry.casa.test:5000/casa/worker"
HOME = "/srv/alice"
RUNNER = AnsibleRunner(os.environ["MOLECULE_INVENTORY_FILE"])


@pytest.fixture(scope="module")
def host() -> Any:
    """The execute point."""
    return RUNNER.get_host("exec-1")


def converge_worker(tag: str) -> None:
    """Run the phase for the worker image as if the image's tag were this."""
    converge("exec-1", "docker", "worker", docker_image=f"{IMAGE}:{tag}")
    converge("exec-1", "condor", "worker", condor_worker_image=tag)


def submit(host: Any, script: str, tag: str = "one") -> str:
    """Submit a job of a user in the worker image, as a notebook's job says it; returns its cluster."""
    directives = {
        **universe(f"{IMAGE}:{tag}"),
        "executable": "/bin/sh", "transfer_executable": "False", "arguments": f"\"-c '{script}'\"",
        "output": "job.out", "error": "job.err", "should_transfer_files": "YES",
        "when_to_transfer_output": "ON_EXIT", "request_memory": "100",
    }
    text = "".join(f"{name} = {value}\n" for name, value in directives.items()) + "queue\n"
    host.check_output(f"install -d -o alice {HOME} && printf '%%s' %s > {HOME}/job.sub", text)
    done = host.check_output(f"cd {HOME} && runuser -u alice -- condor_submit -spool -terse job.sub")
    return str(done).split(".", maxsplit=1)[0]


def output(host: Any, script: str) -> list[str]:
    """What a job's shell prints, line by line."""
    cluster = submit(host, script)
    wait(host, f"condor_q {cluster} -autoformat JobStatus", "4")
    host.check_output(f"cd {HOME} && runuser -u alice -- condor_transfer_data {cluster}")
    host.check_output(f"condor_rm {cluster}")
    return str(host.check_output(f"cat {HOME}/job.out {HOME}/job.err")).splitlines()


def container(host: Any, template: str) -> str:
    """A property of the one container that runs."""
    return str(host.check_output("docker inspect --format %s $(docker ps --quiet)", template))


def test_execute_point_tells_its_image(host: Any) -> None:
    """The pool knows which image an execute point has, and that HTCondor itself has run a container there."""
    wait(host, "condor_status -autoformat CasaWorkerImage HasDocker", "one true")


def test_only_daemons_use_docker(host: Any) -> None:
    """The account of HTCondor's daemons is let in, those of jobs are not."""
    assert "docker" in host.user("condor").groups
    assert host.run("runuser -u condor -- docker ps").rc == 0
    assert host.run("runuser -u casa-slot1 -- docker ps").rc != 0


def test_memory_is_limited(host: Any) -> None:
    """A job that takes more than it asked for is stopped and held."""
    cluster = submit(host, "exec /bin/busybox tail /dev/zero")
    wait(host, f"condor_q {cluster} -autoformat HoldReasonCode", "34")
    host.check_output(f"condor_rm {cluster}")


def test_network_of_the_host_is_left_alone(host: Any) -> None:
    """No bridge, no rule of docker, and the host forwards what it did before."""
    assert host.run("ip link show docker0").rc != 0
    assert "docker" not in host.check_output("iptables-save; nft list ruleset").lower()


def test_jobs_see_what_workers_need(host: Any) -> None:
    """A job runs as its slot's account in the image, knows the site CA, and has the execute point's network."""
    said = output(host, "id -u; cat /tag; echo; cat /etc/casa/ca.crt /proc/net/dev; cat $_CONDOR_JOB_AD; "
                        "echo written > $_CONDOR_SCRATCH_DIR/x; cat x; exec /bin/busybox rm x")
    assert 260001 <= int(said[0]) <= 260002
    assert said[1] == "one"
    assert "-----BEGIN CERTIFICATE-----" in said
    assert any(line.strip().startswith("host0:") for line in said)
    assert any(line.startswith("StartdIpAddr") and "10.91.11.21" in line for line in said)
    assert said[-1] == "written"


def test_jobs_have_no_privileges(host: Any) -> None:
    """A container has no capability and no way to one, and nothing of the host but the CA."""
    cluster = submit(host, "cat /proc/self/status > status; sleep 300")
    wait(host, "docker ps --quiet | wc --lines", "1")
    assert container(host, "{{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}") == (
        "false [all] [no-new-privileges]")
    assert container(host, "{{.HostConfig.Memory}}") == str(128 << 20)
    mounts = container(host, "{{range .Mounts}}{{.Source}} {{.RW}},{{end}}")
    assert "/etc/casa/ca.crt false," in mounts
    assert [place for place in mounts.split(",") if place and not place.startswith("/var/lib/condor/execute/")] == [
        "/etc/casa/ca.crt false"]
    status = host.check_output("cat $(find /var/lib/condor/execute -name status)")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["CapEff"].strip("0") == fields["CapPrm"].strip("0") == ""
    assert fields["NoNewPrivs"] == "1"
    host.check_output(f"condor_rm {cluster}")
    wait(host, "docker ps --all --quiet | wc --lines", "0")


def test_image_stays_when_jobs_end(host: Any) -> None:
    """HTCondor does not clean up: the next job would fetch everything again."""
    assert host.run(f"docker image inspect {IMAGE}:one").rc == 0


def test_registry_is_checked(host: Any) -> None:
    """An image is not taken from a registry that cannot prove its name."""
    host.check_output("echo 10.91.11.11 stranger.casa.test >> /etc/hosts")
    refused = host.run("docker pull stranger.casa.test:5000/casa/worker:one")
    assert refused.rc != 0
    assert "x509" in refused.stderr


def test_image_changes_under_running_jobs(host: Any) -> None:
    """A running job keeps its image until it ends; new jobs have the new one; then the old one goes."""
    cluster = submit(host, "sleep 300")
    wait(host, f"condor_q {cluster} -autoformat JobStatus DockerImage", f"2 {IMAGE}:one")
    wait(host, "pgrep --count --exact sleep || true", "1")
    converge_worker("two")
    wait(host, "condor_status -constraint PartitionableSlot -autoformat CasaWorkerImage", "two")
    images = "docker image ls --format '{{.Tag}}' %s | sort"
    assert host.check_output(images, IMAGE).split() == ["one", "two"]
    assert host.run("pgrep --count --exact sleep").stdout.strip() == "1"
    host.check_output(f"condor_rm {cluster}")
    wait(host, "docker ps --all --quiet | wc --lines", "0")
    converge_worker("two")
    assert host.check_output(images, IMAGE).split() == ["two"]
    converge_worker("one")


def test_slots_come_back(host: Any) -> None:
    """That of the job which took too much memory, too; HTCondor gives its starter a minute to end."""
    wait(host, "condor_status -constraint PartitionableSlot -autoformat Cpus", "2", 180)


def test_execute_point_starts_after_docker(host: Any) -> None:
    """After a boot the execute point finds docker, whose start takes longer than its own."""
    assert "docker.service" in host.check_output("systemctl show condor --property After --value").split()
    host.check_output("systemctl stop condor docker docker.socket && systemctl start condor")
    wait(host, "condor_status -autoformat HasDocker", "true")
