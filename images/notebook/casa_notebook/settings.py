"""What the hub tells a user's server, read from the environment and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NAME = r"[a-z0-9-]+(\.[a-z0-9-]+)+"
REQUIRED = {
    "HOST_IP": (NAME, "the DNS name of this server's scheduler, <user>.dask.<domain>"),
    "CASA_DOMAIN": (NAME, "the site's domain, which is also the pool's trust domain"),
    "CASA_WORKER_IMAGE": (
        r"/([A-Za-z0-9._-]+/)+|[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+:[A-Za-z0-9._-]+",
        "the workers' image, /a/directory/ of execute points or registry:port/name:tag",
    ),
    "CASA_CONDOR_HOST": (NAME, "the central manager's full name"),
    "CASA_SCHEDD_NAME": (NAME, "the access point's full name"),
    "CASA_SCHEDD_ADDRESS": (
        r"<[0-9.]+:\d+\?sock=[a-z0-9_]+>",
        "the access point's fixed address, <192.0.2.1:9618?sock=schedd>",
    ),
}
SIZE = r"[1-9][0-9]*(\.[0-9]+)?\s*([kMGT]i?)?B"


class SettingsError(Exception):
    """Environment variables are missing or wrong; one line for each."""


@dataclass(frozen=True)
class Settings:
    """The site's side of a user's server."""

    scheduler_name: str
    domain: str
    schedd_address: str
    worker_image: str
    """A directory of the execute points, for apptainer, or an image's full name, for docker."""
    cores: int
    memory: str
    disk: str
    minimum: int
    maximum: int
    cluster: Literal["adaptive", "none"]


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings; raises SettingsError with every fault at once."""
    faults = [
        f"{variable}={environ.get(variable, '')!r}: {meaning}"
        for variable, (pattern, meaning) in REQUIRED.items()
        if not re.fullmatch(pattern, environ.get(variable, ""))
    ]

    def number(variable: str, default: int, least: int) -> int:
        text = environ.get(variable, str(default))
        if text.isdecimal() and int(text) >= least:
            return int(text)
        faults.append(f"{variable}={text!r}: a whole number, at least {least}")
        return default

    def size(variable: str, default: str) -> str:
        text = environ.get(variable, default)
        if not re.fullmatch(SIZE, text):
            faults.append(f"{variable}={text!r}: a size such as {default}")
        return text

    cluster = environ.get("CASA_CLUSTER", "adaptive")
    if cluster not in ("adaptive", "none"):
        faults.append(f"CASA_CLUSTER={cluster!r}: adaptive or none")
    result = Settings(
        scheduler_name=environ.get("HOST_IP", ""),
        domain=environ.get("CASA_DOMAIN", ""),
        schedd_address=environ.get("CASA_SCHEDD_ADDRESS", ""),
        worker_image=environ.get("CASA_WORKER_IMAGE", ""),
        cores=number("CASA_WORKER_CORES", 1, 1),
        memory=size("CASA_WORKER_MEMORY", "2GiB"),
        disk=size("CASA_WORKER_DISK", "1GiB"),
        minimum=number("CASA_WORKERS_MIN", 1, 0),
        maximum=number("CASA_WORKERS_MAX", 50, 1),
        cluster="none" if cluster == "none" else "adaptive",
    )
    if result.minimum > result.maximum:
        faults.append(f"CASA_WORKERS_MIN={result.minimum} is more than CASA_WORKERS_MAX={result.maximum}")
    if faults:
        raise SettingsError("\n".join(faults))
    return result
