"""The job ad that HTCondor leaves beside a running job, as far as a worker needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

ATTRIBUTE = re.compile(r"^\s*(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(?P<value>.*?)\s*$")
MEBIBYTE = 1 << 20


class JobAdError(Exception):
    """The job ad doesn't describe a Dask worker; the text says what is missing."""


@dataclass(frozen=True)
class WorkerJob:
    """What the submitting side asked for."""

    scheduler: str
    """Dask address, ``tls://name:port``."""
    name: str
    """The worker's name in the cluster that submitted it."""
    cores: int
    memory: int
    """Bytes."""
    address: IPv4Address | IPv6Address | None
    """The execute point's own address, where the ad tells it."""
    shipped: tuple[str, ...] = ()
    """Files and directories of the sandbox that the user's code is imported from."""


def parse_ad(text: str) -> dict[str, str]:
    """Attributes of an ad in the long form; names in lower case, as they are case-insensitive.

    String literals lose their quotes; expressions stay as they are.
    """
    ad: dict[str, str] = {}
    for line in text.splitlines():
        match = ATTRIBUTE.match(line)
        if match:
            ad[match["name"].lower()] = unquoted(match["value"])
    return ad


def unquoted(value: str) -> str:
    """A ClassAd string literal's text."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def read_job(path: Path) -> WorkerJob:
    """The worker that a job ad file describes; raises JobAdError or OSError."""
    ad = parse_ad(path.read_text(encoding="utf-8", errors="replace"))
    scheduler = ad.get("daskscheduleraddress", "")
    if "://" not in scheduler:
        raise JobAdError(f"{path}: no DaskSchedulerAddress; submit workers by CoffeaCasaCluster")
    return WorkerJob(
        scheduler=scheduler,
        name=ad.get("jobbatchname") or f"htcondor-{ad.get('clusterid', '0')}.{ad.get('procid', '0')}",
        cores=whole_number(ad.get("daskworkercores"), 1),
        memory=memory_of(ad),
        address=sinful_address(ad.get("startdipaddr", "")),
        shipped=tuple(filter(None, ad.get("coffeacasashippedpaths", "").split(","))),
    )


def whole_number(value: str | None, default: int) -> int:
    """A positive literal, the default for anything else (an expression, nothing)."""
    return int(value) if value and value.isdecimal() and int(value) > 0 else default


def memory_of(ad: dict[str, str]) -> int:
    """Bytes the worker may use: what Dask asked for, else what the slot was given."""
    asked = whole_number(ad.get("daskworkermemory"), 0)
    if asked:
        return asked
    provisioned = whole_number(ad.get("memoryprovisioned"), 0) or whole_number(ad.get("requestmemory"), 2048)
    return provisioned * MEBIBYTE


def sinful_address(text: str) -> IPv4Address | IPv6Address | None:
    """The primary address in HTCondor's ``<host:port?…>`` form."""
    match = re.match(r"^<(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+)):\d+", text)
    if not match:
        return None
    try:
        return ip_address(match["six"] or match["four"])
    except ValueError:
        return None
