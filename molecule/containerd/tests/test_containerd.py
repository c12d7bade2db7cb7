"""The runtime's promises, asked of the real thing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

VARIABLES = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "variables.json").read_text())
IMAGE = VARIABLES["scenario_image"]
CTR = "ctr --namespace k8s.io"
PULL = f"{CTR} images pull --hosts-dir /etc/containerd/certs.d {IMAGE}"

testinfra_hosts = ["node-1"]


@pytest.fixture
def running(host: Any) -> Iterator[str]:
    """A container that sleeps."""
    host.check_output(PULL)
    host.check_output(f"{CTR} run --detach {IMAGE} sleeper sleep 600")
    yield "sleeper"
    host.run(f"{CTR} tasks kill --signal SIGKILL sleeper")
    host.run(f"{CTR} tasks delete --force sleeper; {CTR} containers delete sleeper")


def test_version_and_runtime(host: Any) -> None:
    """It is the site's own build, with Debian's runc."""
    assert "2.4.2" in host.check_output("containerd --version")
    assert host.service("containerd").is_running
    assert host.service("containerd").is_enabled
    assert host.package("runc").is_installed


def test_images_come_from_the_site(host: Any) -> None:
    """The site's certificate is what makes the registry trusted."""
    host.check_output(PULL)
    assert IMAGE in host.check_output(f"{CTR} images list --quiet")
    stranger = host.run(f"{CTR} images pull {IMAGE}")
    assert stranger.rc != 0
    assert "unknown authority" in stranger.stderr


def test_containers_outlive_the_daemon(host: Any, running: str) -> None:
    """A restart of containerd is nothing that users notice."""
    before = host.check_output(f"{CTR} tasks list | grep {running}")
    host.check_output("systemctl restart containerd")
    assert host.check_output(f"{CTR} tasks list | grep {running}") == before
    assert "RUNNING" in before
    answer = f"{CTR} tasks exec --exec-id probe {running} echo alive"
    assert host.check_output(answer) == "alive"


def test_pods_start_with_the_sites_image(host: Any) -> None:
    """What kubelet asks for is answered by the plugin with the settings of this site."""
    settings = host.check_output("containerd config dump")
    assert VARIABLES["containerd_sandbox_image"] in settings
    assert "/etc/containerd/certs.d" in settings
    assert "SystemdCgroup = false" in settings
    plugins = host.check_output("ctr plugins list | grep -E 'io.containerd.grpc.v1 +cri |cri.v1.(images|runtime)'")
    assert plugins.count(" ok") == plugins.count("\n") + 1
