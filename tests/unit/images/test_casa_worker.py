"""images/worker: what a job ad and a sandbox turn into."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
from casa_worker import job as starter
from casa_worker import sidecar
from casa_worker.jobad import JobAdError, WorkerJob, parse_ad, read_job, sinful_address

AD = """
Args = "-c exec"
ClusterId = 7
CoffeaCasaShippedPaths = "mine.py,helpers"
DaskSchedulerAddress = "tls://alice.dask.casa.test:8786"
DaskWorkerCores = 2
daskworkermemory = 2147483648
DaskWorkerName = "htcondor--7.0--"
JobBatchName = "CoffeaCasaCluster-3"
ProcId = 0
RequestMemory = floor(MY.DaskWorkerMemory / 1048576)
StartdIpAddr = "<127.0.0.1:9618?addrs=127.0.0.1-9618&alias=ep.casa.test&sock=startd_1_2>"
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """A job's directory as the submitting side fills it."""
    (tmp_path / ".job.ad").write_text(AD)
    for name in ("ca.pem", "hostcert.pem", "access_token"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o644)
    return tmp_path


def test_job_ad_names_the_worker_like_its_cluster(sandbox: Path) -> None:
    job = read_job(sandbox / ".job.ad")
    assert job == WorkerJob(
        scheduler="tls://alice.dask.casa.test:8786",
        name="CoffeaCasaCluster-3",
        cores=2,
        memory=2 << 30,
        address=ip_address("127.0.0.1"),
        shipped=("mine.py", "helpers"),
    )


def test_string_literals_lose_quotes_and_escapes() -> None:
    assert parse_ad(r'A = "say \"hi\""') == {"a": 'say "hi"'}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("<10.0.0.1:9618?sock=x>", "10.0.0.1"),
        ("<[2001:db8::1]:9618>", "2001:db8::1"),
        ("<300.0.0.1:1>", None),
        ("slot1@host", None),
        ("", None),
    ],
)
def test_primary_address(text: str, address: str | None) -> None:
    assert sinful_address(text) == (ip_address(address) if address else None)


def test_missing_numbers_have_defaults(tmp_path: Path) -> None:
    ad = tmp_path / "ad"
    ad.write_text('DaskSchedulerAddress = "tls://a.b:8786"\nClusterId = 4\nProcId = 1\nMemoryProvisioned = 512\n')
    job = read_job(ad)
    assert (job.cores, job.memory, job.name, job.address) == (1, 512 << 20, "htcondor-4.1", None)


def test_an_ad_of_another_job_is_refused(tmp_path: Path) -> None:
    ad = tmp_path / "ad"
    ad.write_text("ClusterId = 4\n")
    with pytest.raises(JobAdError, match="no DaskSchedulerAddress"):
        read_job(ad)


def test_command_uses_the_sandbox_certificates(sandbox: Path) -> None:
    job = read_job(sandbox / ".job.ad")
    arguments = starter.command(job, sandbox, "127.0.0.1")
    text = " ".join(arguments)
    assert f"--tls-cert {sandbox}/hostcert.pem" in text
    assert "--name CoffeaCasaCluster-3" in text
    assert "--host 127.0.0.1" in text
    assert "--death-timeout 60" in text
    assert stat.S_IMODE((sandbox / "hostcert.pem").stat().st_mode) == 0o600


def test_without_certificates_a_tls_worker_does_not_start(sandbox: Path) -> None:
    (sandbox / "hostcert.pem").unlink()
    with pytest.raises(starter.SandboxError, match=r"hostcert\.pem is missing"):
        starter.tls_options("tls://a.b:8786", sandbox)
    assert starter.tls_options("tcp://a.b:8786", sandbox) == []


def test_the_token_becomes_private(sandbox: Path) -> None:
    token = starter.token_file(sandbox)
    assert token == sandbox / "access_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_environment_is_complete_and_not_the_jobs(sandbox: Path) -> None:
    job = read_job(sandbox / ".job.ad")
    environ = starter.environment(job, sandbox, {"PYTHONPATH": "/evil", "_CONDOR_SLOT": "1", "HOME": "/nowhere"})
    assert environ["PYTHONPATH"] == str(sandbox)  # the user's shipped modules, nothing else
    assert environ["HOME"] == str(sandbox)
    assert environ["X509_CERT_FILE"] == "/etc/casa/ca.crt"
    assert environ["BEARER_TOKEN_FILE"] == str(sandbox / "access_token")
    assert environ["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"
    assert environ["_CONDOR_SLOT"] == "1"


def test_requirements_come_before_the_image(sandbox: Path) -> None:
    (sandbox / "requirements.txt").write_text("")
    environ = starter.environment(read_job(sandbox / ".job.ad"), sandbox, {})
    assert environ["PYTHONPATH"].split(":") == [str(sandbox / starter.PACKAGES), str(sandbox)]


def test_a_foreign_startd_address_is_not_listened_on(sandbox: Path) -> None:
    job = read_job(sandbox / ".job.ad")
    assert starter.listening_address(job) == "127.0.0.1"
    elsewhere = WorkerJob("tls://127.0.0.1:8786", "w", 1, 1, ip_address("192.0.2.1"))
    assert starter.listening_address(elsewhere) == "127.0.0.1"


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "_CONDOR_JOB_AD is not set"),
        ({"_CONDOR_JOB_AD": "/nonexistent"}, "neither _CONDOR_JOB_IWD nor"),
        ({"_CONDOR_JOB_AD": "/nonexistent", "_CONDOR_SCRATCH_DIR": "/"}, "No such file"),
    ],
)
def test_the_program_says_what_is_wrong(environ: dict[str, str], reason: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "casa_worker.job"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(starter.__file__).parents[1]), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert reason in done.stderr


def test_sidecar_settings() -> None:
    found = sidecar.settings(
        {"WORKER_IP": "alice.dask-worker.casa.test", "CASA_SIDECAR_CORES": "4", "CASA_SIDECAR_MEMORY": "8Gi"}
    )
    assert found == sidecar.Sidecar("alice.dask-worker.casa.test", 4, 8 << 30)
    text = " ".join(sidecar.command(found))
    assert "--contact-address tls://alice.dask-worker.casa.test:8788" in text
    assert "--listen-address tls://0.0.0.0:8788" in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WORKER_IP", ""),
        ("WORKER_IP", "x; rm"),
        ("CASA_SIDECAR_CORES", "0"),
        ("CASA_SIDECAR_CORES", "two"),
        ("CASA_SIDECAR_MEMORY", "8"),
    ],
)
def test_bad_sidecar_settings_name_the_variable(variable: str, value: str) -> None:
    with pytest.raises(sidecar.SettingsError, match=variable):
        sidecar.settings({"WORKER_IP": "alice.dask-worker.casa.test", variable: value})


def test_a_listener_is_seen_without_connecting() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert not sidecar.listens(port)
        server.listen()
        assert sidecar.listens(port)


def test_sidecar_token_is_private(tmp_path: Path) -> None:
    (tmp_path / "xcache_token").write_text("token")
    copy = sidecar.access_token(tmp_path, tmp_path / "private")
    assert copy.read_text() == "token"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
