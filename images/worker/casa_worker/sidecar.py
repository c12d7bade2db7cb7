"""``casa-sidecar-worker``: a Dask worker beside the user's scheduler, in the same pod.

It is there before the scheduler and outlives it: whenever a scheduler listens on this pod's port
8786 the worker joins it, and when that scheduler ends the worker waits for the next one. Others
reach it by its name through the router of TLS connections.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PYTHON = "/opt/casa/bin/python"
SCHEDULER_PORT = 8786
WORKER_PORT = 8788
SECRETS = Path("/etc/cmsaf-secrets")
LISTEN = "0A"
"""State of a listening socket in the kernel's tables."""
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


class SettingsError(Exception):
    """An environment variable is missing or wrong; the text names it."""


@dataclass(frozen=True)
class Sidecar:
    """What the pod says of its worker."""

    name: str
    """DNS name that leads to this pod's port 8788."""
    threads: int
    memory: int
    """Bytes."""


def settings(environ: Mapping[str, str]) -> Sidecar:
    """The worker's settings; raises SettingsError."""
    name = environ.get("WORKER_IP", "")
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", name):
        raise SettingsError(f"WORKER_IP={name!r}: write this pod's name, <user>.dask-worker.<domain>")
    threads = environ.get("CASA_SIDECAR_CORES", "1")
    if not threads.isdecimal() or int(threads) < 1:
        raise SettingsError(f"CASA_SIDECAR_CORES={threads!r}: write a number of threads such as 4")
    return Sidecar(name, int(threads), quantity(environ.get("CASA_SIDECAR_MEMORY", "2Gi")))


def quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity such as ``8Gi``."""
    match = re.fullmatch(r"([1-9][0-9]*)(Ki|Mi|Gi|Ti)", text)
    if not match:
        raise SettingsError(f"CASA_SIDECAR_MEMORY={text!r}: write an amount such as 8Gi")
    return int(match[1]) * UNITS[match[2]]


def command(sidecar: Sidecar, certificates: Path = SECRETS) -> list[str]:
    """Program and arguments of the worker."""
    certificate = str(certificates / "hostcert.pem")
    return [
        PYTHON, "-m", "distributed.cli.dask_worker", f"tls://localhost:{SCHEDULER_PORT}",
        "--name", "sidecar",
        "--nthreads", str(sidecar.threads),
        "--memory-limit", str(sidecar.memory),
        "--listen-address", f"tls://0.0.0.0:{WORKER_PORT}",
        "--contact-address", f"tls://{sidecar.name}:{WORKER_PORT}",
        "--protocol", "tls",
        "--tls-ca-file", str(certificates / "ca.pem"),
        "--tls-cert", certificate,
        "--tls-key", certificate,
        "--nanny",
        "--no-dashboard",
        "--death-timeout", "60",
        "--local-directory", "/tmp/casa-sidecar",  # noqa: S108 - the pod's own /tmp
    ]  # fmt: skip


def listens(port: int, tables: tuple[Path, ...] = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))) -> bool:
    """Whether a process of this network listens on the port.

    Looked up, not tried: a connection without a handshake would be an error in the scheduler's log.
    """
    suffix = f":{port:04X}"
    for table in tables:
        if not table.is_file():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if local.endswith(suffix) and state == LISTEN:
                return True
    return False


def access_token(secrets: Path, private: Path) -> Path:
    """A copy of the user's storage token that only its owner reads, as XRootD's client insists."""
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = private / "access_token"
    fresh = private / "access_token.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write((secrets / "xcache_token").read_bytes())
    fresh.replace(copy)
    return copy


def serve(sidecar: Sidecar) -> None:
    """Join one scheduler after the other, for ever; ends by a signal."""
    environ = os.environ | {
        "HOME": "/tmp/casa-sidecar",  # noqa: S108
        "PYTHONNOUSERSITE": "1",
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
    }
    private = Path(environ["HOME"]) / "private"
    while True:
        while not listens(SCHEDULER_PORT):
            time.sleep(1)
        if (SECRETS / "xcache_token").is_file():
            environ["BEARER_TOKEN_FILE"] = str(access_token(SECRETS, private))
        code = subprocess.run(command(sidecar), env=environ, check=False).returncode
        print(f"casa-sidecar-worker: the worker ended with {code}; waiting for a scheduler", file=sys.stderr)
        time.sleep(2)


def main() -> int:
    """Exit 78: bad settings. Otherwise runs until it is told to stop."""
    try:
        sidecar = settings(os.environ)
    except SettingsError as problem:
        print(f"casa-sidecar-worker: {problem}", file=sys.stderr)
        return 78
    serve(sidecar)
    return 0


if __name__ == "__main__":
    sys.exit(main())
