"""The site's defaults for Dask, below whatever a user writes into ~/.config/dask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from casa_notebook.settings import Settings

CLUSTER_NAME = "Coffea-casa cluster"
START_WORKER = "exec /usr/local/bin/casa-worker"


def universe(image: str) -> dict[str, str]:
    """In what a worker's job runs: apptainer for a directory of the execute points, docker for an image's name.

    Docker's containers share the execute point's network as apptainer's do. With the two mapped ports of the client
    library's own defaults, a restart of a cluster's workers never ends.
    """
    if image.startswith("/"):
        return {"universe": "container", "container_image": image, "transfer_container": "False", "docker_image": ""}
    return {"universe": "docker", "docker_image": image, "docker_network_type": "host"}


def jobqueue(settings: Settings) -> dict[str, Any]:
    """Workers' size and how their jobs run."""
    return {
        "cores": settings.cores,
        "memory": settings.memory,
        "disk": settings.disk,
        "worker-image": settings.worker_image,
        "python": "/opt/casa/bin/python",
        "job-script-prologue": [START_WORKER],
        "job-extra-directives": {
            **universe(settings.worker_image),
            "container_service_names": "",
            # A worker that ended by itself would stay in the queue for ten days.
            "leave_in_queue": "False",
        },
    }


def labextension(settings: Settings) -> dict[str, Any]:
    """What the Dask panel makes, and the cluster that is there after login."""
    adapt = {"minimum": settings.minimum, "maximum": settings.maximum, "interval": "2s", "wait_count": 3}
    return {
        "factory": {"module": "coffea_casa", "class": "CoffeaCasaCluster", "args": [], "kwargs": {}},
        "default": {"workers": None, "adapt": adapt},
        "initial": [{"name": CLUSTER_NAME, "adapt": adapt}] if settings.cluster == "adaptive" else [],
    }


def defaults(settings: Settings) -> dict[str, Any]:
    """The whole configuration of this site."""
    return {
        # A worker's name is used again after scaling down and up: the late farewell of the old
        # worker would remove the new one's job.
        "distributed": {"deploy": {"lost-worker-timeout": "1s"}},
        "jobqueue": {"coffea-casa": jobqueue(settings)},
        "labextension": labextension(settings),
    }


def write_defaults(settings: Settings, directory: Path) -> None:
    """Write the configuration where DASK_ROOT_CONFIG points. JSON is YAML."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "casa.yaml").write_text(json.dumps(defaults(settings), indent=1) + "\n", encoding="utf-8")
