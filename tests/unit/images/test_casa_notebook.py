"""images/notebook: a user's server is made ready."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from casa_notebook import dask_defaults, requirements, tokens
from casa_notebook.settings import Settings, SettingsError, read_settings

HUB = {
    "HOST_IP": "alice.dask.casa.test",
    "CASA_DOMAIN": "casa.test",
    "CASA_WORKER_IMAGE": "/var/lib/casa/worker/",
    "CASA_CONDOR_HOST": "cm.casa.test",
    "CASA_SCHEDD_NAME": "ap.casa.test",
    "CASA_SCHEDD_ADDRESS": "<10.0.0.2:9618?sock=schedd>",
}


def test_what_the_hub_must_say_is_enough() -> None:
    assert read_settings(HUB) == Settings(
        scheduler_name="alice.dask.casa.test",
        domain="casa.test",
        schedd_address="<10.0.0.2:9618?sock=schedd>",
        worker_image="/var/lib/casa/worker/",
        cores=1,
        memory="2GiB",
        disk="1GiB",
        minimum=1,
        maximum=50,
        cluster="adaptive",
    )


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"CASA_WORKER_MEMORY": "lots", "CASA_WORKERS_MIN": "-1", "CASA_CLUSTER": "yes"})
    text = str(refused.value)
    for variable in (*HUB, "CASA_WORKER_MEMORY", "CASA_WORKERS_MIN", "CASA_CLUSTER"):
        assert f"{variable}=" in text


def test_minimum_above_maximum() -> None:
    with pytest.raises(SettingsError, match="more than"):
        read_settings(HUB | {"CASA_WORKERS_MIN": "3", "CASA_WORKERS_MAX": "2"})


def test_dask_defaults_are_read_back(tmp_path: Path) -> None:
    dask_defaults.write_defaults(read_settings(HUB), tmp_path / "dask")
    read = yaml.safe_load((tmp_path / "dask/casa.yaml").read_text())
    job = read["jobqueue"]["coffea-casa"]["job-extra-directives"]
    assert job["universe"] == "container"
    assert job["container_image"] == "/var/lib/casa/worker/"
    assert read["jobqueue"]["coffea-casa"]["job-script-prologue"] == ["exec /usr/local/bin/casa-worker"]
    assert read["labextension"]["initial"][0]["adapt"]["maximum"] == 50


def test_an_image_with_a_name_runs_in_docker() -> None:
    image = "registry.casa.test:5000/casa/worker:1"
    defaults = dask_defaults.defaults(read_settings(HUB | {"CASA_WORKER_IMAGE": image}))["jobqueue"]["coffea-casa"]
    directives = defaults["job-extra-directives"]
    assert (directives["universe"], directives["docker_image"]) == ("docker", image)
    # the worker and its nanny listen on the execute point itself: no port is mapped
    assert (directives["docker_network_type"], directives["container_service_names"]) == ("host", "")
    assert "container_image" not in directives


@pytest.mark.parametrize("image", ["", "worker", "worker:1", "/var/lib/casa/worker", "docker://worker:1", "a/b:1;x"])
def test_an_image_that_no_execute_point_finds(image: str) -> None:
    with pytest.raises(SettingsError, match="CASA_WORKER_IMAGE="):
        read_settings(HUB | {"CASA_WORKER_IMAGE": image})


def test_no_initial_cluster_where_the_user_makes_it() -> None:
    assert dask_defaults.defaults(read_settings(HUB | {"CASA_CLUSTER": "none"}))["labextension"]["initial"] == []


def test_copies_are_private_and_follow(tmp_path: Path) -> None:
    source, target = tmp_path / "secret", tmp_path / "home/tokens.d/token"
    assert not tokens.copy_private(source, target)
    source.write_text("one")
    source.chmod(0o440)
    assert tokens.copy_private(source, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not tokens.copy_private(source, target)
    source.chmod(0o640)
    source.write_text("two")
    assert tokens.copy_private(source, target)
    assert target.read_text() == "two"


def test_a_secret_in_flux_keeps_the_token(tmp_path: Path) -> None:
    source, target = tmp_path / "secret", tmp_path / "token"
    target.write_text("old")
    source.write_text("")
    assert not tokens.copy_private(source, target)
    assert target.read_text() == "old"


def test_a_token_readable_by_others_is_mended(tmp_path: Path) -> None:
    source, target = tmp_path / "secret", tmp_path / "token"
    source.write_text("one")
    target.write_text("one")
    target.chmod(0o644)
    assert tokens.copy_private(source, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


FOLLOWER = """
import os, sys, time
from pathlib import Path
from casa_notebook import tokens
tokens.INTERVAL = 0.05
print(tokens.follow_in_background({Path(sys.argv[1]): Path(sys.argv[2])}), flush=True)
sys.stdin.read()
"""


def test_the_follower_renews_and_ends_with_its_server(tmp_path: Path) -> None:
    source, target = tmp_path / "secret", tmp_path / "token"
    server = subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, str(source), str(target)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(tokens.__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    follower = int(server.stdout.readline())
    source.write_text("renewed")
    wait_for(lambda: target.is_file() and target.read_text() == "renewed")
    server.stdin.close()
    server.wait(timeout=10)
    wait_for(lambda: not Path(f"/proc/{follower}").exists() or "zombie" in Path(f"/proc/{follower}/status").read_text())


def wait_for(condition: object) -> None:
    """Give the other process five seconds."""
    assert callable(condition)
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_defaults_are_json(tmp_path: Path) -> None:
    dask_defaults.write_defaults(read_settings(HUB), tmp_path)
    assert json.loads((tmp_path / "casa.yaml").read_text())["labextension"]["factory"]["class"] == "CoffeaCasaCluster"


PIP = """#!/bin/sh
# Stands for pip: notes its call and makes the prefix, or fails where the file says so.
prefix=${12} wanted=${14}
grep -q broken "$wanted" && exit 1
mkdir -p "$prefix/lib" && echo "$@" >> "$prefix/lib/calls"
"""


def test_requirements_are_installed_when_they_change(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(PIP)
    python.chmod(0o755)
    packages, wanted = tmp_path / requirements.PACKAGES, tmp_path / "requirements.txt"
    assert not requirements.ensure_requirements(tmp_path, str(python))
    wanted.write_text("tabulate\n")
    assert requirements.ensure_requirements(tmp_path, str(python))
    assert (packages / "lib/calls").is_file()
    assert not requirements.ensure_requirements(tmp_path, str(python))
    wanted.write_text("broken\n")
    with pytest.raises(subprocess.CalledProcessError):
        requirements.ensure_requirements(tmp_path, str(python))
    assert (packages / "lib/calls").is_file()
    wanted.unlink()
    assert not requirements.ensure_requirements(tmp_path, str(python))
    assert not packages.exists()


def test_kernels_find_the_packages() -> None:
    kernel = json.loads((Path(tokens.__file__).parents[1] / "kernel.json").read_text())
    assert kernel["env"]["PYTHONPATH"].startswith("${HOME}/" + str(requirements.PACKAGES))
