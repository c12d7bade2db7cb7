"""A cluster of the user's own, as a user makes it: opened, scaled, used, closed; nothing stays.

``CASA`` may be assigned before: ``workers`` (2), ``timeout`` in seconds (180). The Dask panel's
cluster must not run: both want port 8786. Prints ``CASA-RESULT <JSON>``.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from coffea_casa import CoffeaCasaCluster
from dask.distributed import Client

UNFINISHED = "JobStatus =!= 3 && JobStatus =!= 4"
"""Neither removed nor completed: finished jobs stay in the queue for a while, for their logs."""
ATTRIBUTES = "ClusterId,ProcId,JobStatus,Owner,JobBatchName,RemoteHost,DaskSchedulerAddress"
JOBS = ["condor_q", "-json", "-constraint", UNFINISHED, "-attributes", ATTRIBUTES]


def jobs() -> list[dict[str, Any]]:
    """The user's unfinished jobs as HTCondor tells them."""
    listing = subprocess.run(JOBS, check=True, capture_output=True, text=True, timeout=60).stdout
    return list(json.loads(listing)) if listing.strip() else []


def square(number: int) -> int:
    """A task."""
    return number * number


def host() -> str:
    """Name of the host a worker runs on."""
    import socket

    return socket.gethostname()


def until_no_jobs(timeout: float) -> float:
    """Seconds until the user has no job left; raises TimeoutError with what is left."""
    started = time.monotonic()
    while left := jobs():
        if time.monotonic() - started > timeout:
            raise TimeoutError(f"jobs are left after {timeout:.0f} s: {left}")
        time.sleep(0.5)
    return time.monotonic() - started


def report(parameters: dict[str, Any]) -> dict[str, Any]:
    """Open, scale, compute, list, close."""
    workers, timeout = parameters.get("workers", 2), parameters.get("timeout", 180)
    started = time.monotonic()
    with CoffeaCasaCluster() as cluster:
        opened = time.monotonic() - started
        cluster.scale(workers)
        with Client(cluster) as client:
            client.wait_for_workers(workers, timeout=timeout)
            ready = time.monotonic() - started - opened
            total = sum(client.gather(client.map(square, range(1000))))
            found = {
                "scheduler": cluster.scheduler_address,
                "contact": cluster.scheduler.contact_address,
                "sum": total,
                "workers": client.run(host),
                "names": sorted(str(worker["name"]) for worker in cluster.scheduler_info["workers"].values()),
                "jobs": jobs(),
            }
    gone = until_no_jobs(timeout)
    return found | {"seconds": {"open": round(opened, 2), "workers": round(ready, 2), "gone": round(gone, 2)}}


if __name__ == "__main__":
    print("CASA-RESULT " + json.dumps(report(globals().get("CASA") or {})), flush=True)
