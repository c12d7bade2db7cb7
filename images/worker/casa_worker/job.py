"""``casa-worker``: becomes the Dask worker of an HTCondor job.

The container, be it apptainer's or docker's, shares the execute point's network, so the worker and
its nanny take free ports on the execute point's address. Their names, sizes and the scheduler's
address come from the job ad, the certificates and the user's token from the job's sandbox.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import urlsplit

from casa_worker.jobad import JobAdError, WorkerJob, read_job

PYTHON = "/opt/casa/bin/python"
CERTIFICATES = ("ca.pem", "hostcert.pem")
TOKENS = ("access_token", "xcache_token")
DEATH_TIMEOUT = 60
"""Seconds without a scheduler after which a worker ends, and its job with it."""
LIFETIME = 7200
"""Seconds after which a worker hands its results over and ends: no job keeps a slot for ever."""
PREFIX = "packages"
PACKAGES = f"{PREFIX}/lib/python3.13/site-packages"
"""Where a user's requirements.txt is installed, in the sandbox."""
MISCONFIGURED = 78
"""Exit code of sysexits.h for a job that could not become a worker."""


class SandboxError(Exception):
    """The job's directory lacks something the worker needs; the text says what."""


def sandbox_of(environ: Mapping[str, str]) -> Path:
    """The job's directory; raises SandboxError where HTCondor's environment is missing."""
    for variable in ("_CONDOR_JOB_IWD", "_CONDOR_SCRATCH_DIR"):
        directory = environ.get(variable)
        if directory and Path(directory).is_dir():
            return Path(directory)
    raise SandboxError("neither _CONDOR_JOB_IWD nor _CONDOR_SCRATCH_DIR is a directory: not an HTCondor job")


def tls_options(scheduler: str, sandbox: Path) -> list[str]:
    """Certificate options for a ``tls://`` scheduler, none for another; raises SandboxError."""
    if urlsplit(scheduler).scheme != "tls":
        return []
    authority, certificate = (sandbox / name for name in CERTIFICATES)
    for path in (authority, certificate):
        if not path.is_file():
            raise SandboxError(f"{path} is missing: the submitting side transfers it from /etc/cmsaf-secrets")
    certificate.chmod(0o600)
    return [
        "--protocol", "tls",
        "--tls-ca-file", str(authority),
        "--tls-cert", str(certificate),
        "--tls-key", str(certificate),
    ]  # fmt: skip


def token_file(sandbox: Path) -> Path | None:
    """The user's storage token, private as XRootD's client insists; None if none was sent."""
    for name in (*TOKENS, *sorted(path.name for path in sandbox.glob("bt_u*"))):
        path = sandbox / name
        if path.is_file():
            path.chmod(0o600)
            return path
    return None


def is_own(address: IPv4Address | IPv6Address) -> bool:
    """Whether this host has the address."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def address_towards(scheduler: str) -> str:
    """This host's address on the way to the scheduler. Sends nothing; raises OSError if there is no way."""
    target = urlsplit(scheduler)
    family, _, _, _, peer = socket.getaddrinfo(target.hostname, target.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(peer)
        return str(probe.getsockname()[0])


def listening_address(job: WorkerJob) -> str:
    """Where others reach the worker: the startd's address if it is this host's, else by the routing table."""
    if job.address is not None and is_own(job.address):
        return str(job.address)
    return address_towards(job.scheduler)


def command(job: WorkerJob, sandbox: Path, host: str) -> list[str]:
    """Program and arguments of the worker."""
    return [
        PYTHON, "-m", "distributed.cli.dask_worker", job.scheduler,
        "--name", job.name,
        "--nthreads", str(job.cores),
        "--memory-limit", str(job.memory),
        "--host", host,
        *tls_options(job.scheduler, sandbox),
        "--nanny",
        "--no-dashboard",
        "--death-timeout", str(DEATH_TIMEOUT),
        "--lifetime", str(LIFETIME),
        "--lifetime-stagger", "300",
        "--local-directory", str(sandbox),
    ]  # fmt: skip


def environment(job: WorkerJob, sandbox: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment, complete: an image unpacked to a directory has lost its own.

    Everything that wants a home finds the sandbox, which the execute point removes with the job.
    """
    result = {name: value for name, value in environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    result.update(
        PATH="/opt/casa/bin:/usr/local/bin:/usr/bin:/bin",
        LANG="C.UTF-8",
        HOME=str(sandbox),
        X509_CERT_FILE="/etc/casa/ca.crt",
        PYTHONNOUSERSITE="1",
    )
    if urlsplit(job.scheduler).scheme == "tls":
        result["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] = "True"
    token = token_file(sandbox)
    if token is not None:
        result["BEARER_TOKEN_FILE"] = str(token)
    paths = [str(sandbox / PACKAGES)] if (sandbox / "requirements.txt").is_file() else []
    if job.shipped:
        paths.append(str(sandbox))
    if paths:
        result["PYTHONPATH"] = ":".join(paths)
    return result


def install_requirements(sandbox: Path, environ: Mapping[str, str]) -> None:
    """Install what the user's requirements.txt names beyond the image; raises after pip's own words.

    A prefix of its own, not a target: pip then leaves alone what the image has already.
    """
    requirements = sandbox / "requirements.txt"
    if requirements.is_file():
        subprocess.run(
            [PYTHON, "-m", "pip", "install", "--quiet", "--no-warn-script-location", "--disable-pip-version-check",
             "--prefix", str(sandbox / PREFIX), "-r", str(requirements)],
            env=dict(environ),
            check=True,
        )  # fmt: skip


def main() -> int:
    """Never returns when all is well: the process becomes the worker."""
    ad = os.environ.get("_CONDOR_JOB_AD")
    try:
        if not ad:
            raise SandboxError("_CONDOR_JOB_AD is not set: not an HTCondor job")
        sandbox = sandbox_of(os.environ)
        job = read_job(Path(ad))
        environ = environment(job, sandbox, os.environ)
        arguments = command(job, sandbox, listening_address(job))
        install_requirements(sandbox, environ)
    except (JobAdError, SandboxError, OSError, subprocess.CalledProcessError) as problem:
        print(f"casa-worker: {problem}", file=sys.stderr)
        return MISCONFIGURED
    os.execve(PYTHON, arguments, environ)  # noqa: S606 - becoming the worker keeps HTCondor's process tree short


if __name__ == "__main__":
    sys.exit(main())
