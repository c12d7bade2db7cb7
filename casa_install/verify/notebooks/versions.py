"""Versions of the analysis environment in the kernel and on every worker.

``CASA`` may be assigned before: ``scheduler`` (``tls://localhost:8786``), ``workers`` to wait for (1),
``timeout`` in seconds (180). Prints ``CASA-RESULT <JSON>``: kernel, workers by address, equal.
"""

from __future__ import annotations

import json
from typing import Any

from casa_runtime.versions import differing_files, environment
from dask.distributed import Client


def report(parameters: dict[str, Any]) -> dict[str, Any]:
    """Kernel and workers beside each other."""
    with Client(parameters.get("scheduler", "tls://localhost:8786")) as client:
        client.wait_for_workers(parameters.get("workers", 1), timeout=parameters.get("timeout", 180))
        workers = client.run(environment)
    kernel = environment()
    return {
        "kernel": kernel,
        "workers": workers,
        "equal": all(worker == kernel for worker in workers.values()),
        "modified": differing_files("coffea-casa"),
    }


if __name__ == "__main__":
    print("CASA-RESULT " + json.dumps(report(globals().get("CASA") or {})), flush=True)
