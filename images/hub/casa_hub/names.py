"""Names of a user's objects: one slug for label, selector, host name and Secret, so that they cannot disagree."""

from __future__ import annotations

from kubespawner.slugs import safe_slug

SLUG_LENGTH = 48  # what KubeSpawner gives {username}; "dask-" before it still fits a DNS label
MANAGER_LABEL = "app.kubernetes.io/managed-by"
USER_LABEL = "jhub_user"
USER_ANNOTATION = "casa/user"
POD_USER_ANNOTATION = "hub.jupyter.org/username"
POD_LABELS = {"component": "singleuser-server"}
HUB = "casa-hub"
CREDENTIALS = "casa-credentials"


def slug(user: str) -> str:
    """The user's name as a DNS label, by KubeSpawner's own scheme."""
    return str(safe_slug(user, max_length=SLUG_LENGTH))


def dask_name(user: str) -> str:
    """Name of the user's Services and route."""
    return f"dask-{slug(user)}"


def secret_name(user: str) -> str:
    """Name of the Secret that the user's pod mounts."""
    return f"jupyter-{slug(user)}"


def dask_host(user: str, domain: str) -> str:
    """Where the user's scheduler is reached from anywhere."""
    return f"{slug(user)}.dask.{domain}"


def worker_host(user: str, domain: str) -> str:
    """Where the worker beside the user's scheduler is reached from anywhere."""
    return f"{slug(user)}.dask-worker.{domain}"
