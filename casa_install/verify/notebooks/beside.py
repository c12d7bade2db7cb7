"""A result made by the worker beside the scheduler is fetched by a worker that is an HTCondor job.

``CASA`` must be assigned before: ``scheduler``, and ``beside``, the address of the worker beside it.
Prints ``CASA-RESULT <JSON>``: which worker made the result, which one fetched it, and whether it is equal.
"""

from __future__ import annotations

import json
import time
from typing import Any

from dask.distributed import Client, get_worker

PATIENCE = 180
"""Seconds for both workers to be there."""


def made() -> tuple[str, bytes]:
    """Address of the worker that this runs on, and a megabyte."""
    return get_worker().address, bytes(range(256)) * 4096


def fetched(result: tuple[str, bytes]) -> tuple[str, str, bool]:
    """Address of the worker that made the result, of the one that this runs on, and whether nothing was lost."""
    return result[0], get_worker().address, result[1] == bytes(range(256)) * 4096


def other_worker(client: Any, beside: str) -> str:
    """Address of another worker, once both are there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        known = set(client.scheduler_info(n_workers=-1)["workers"])
        if beside in known and known - {beside}:
            return str(min(known - {beside}))
        if time.monotonic() > deadline:
            raise TimeoutError(f"workers are {sorted(known)}, expected {beside} and another one")
        time.sleep(0.5)


def report(parameters: dict[str, Any]) -> dict[str, Any]:
    """Make on the one, fetch on the other."""
    beside = parameters["beside"]
    with Client(parameters["scheduler"]) as client:
        other = other_worker(client, beside)
        result = client.submit(made, workers=[beside], pure=False)
        maker, fetcher, equal = client.submit(fetched, result, workers=[other], pure=False).result()
    return {"made": maker, "fetched": fetcher, "equal": equal}


if __name__ == "__main__":
    print("CASA-RESULT " + json.dumps(report(globals()["CASA"])), flush=True)
