"""A user's objects in the cluster: a Service to the pod, and a route by TLS host name to that Service."""

from __future__ import annotations

from typing import Any

from casa_hub import names

SCHEDULER_PORT = 8786
WORKER_PORT = 8788
PORTS = [
    {"name": "dask", "port": SCHEDULER_PORT, "targetPort": SCHEDULER_PORT, "protocol": "TCP"},
    {"name": "daskworker", "port": WORKER_PORT, "targetPort": WORKER_PORT, "protocol": "TCP"},
]
ROUTE_GROUP, ROUTE_VERSION, ROUTE_PLURAL = "traefik.io", "v1alpha1", "ingressroutetcps"

Manifest = dict[str, Any]


def _metadata(user: str) -> Manifest:
    return {
        "name": names.dask_name(user),
        "labels": {names.MANAGER_LABEL: names.HUB, names.USER_LABEL: names.slug(user)},
        "annotations": {names.USER_ANNOTATION: user},
    }


def service(user: str) -> Manifest:
    """The Service that selects the user's pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(user),
        "spec": {"selector": {names.USER_LABEL: names.slug(user), **names.POD_LABELS}, "ports": PORTS},
    }


def alias(user: str, users_namespace: str) -> Manifest:
    """The router's name for that Service: it may read the routes' namespace only, never the users' keys."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(user),
        "spec": {
            "type": "ExternalName",
            "externalName": f"{names.dask_name(user)}.{users_namespace}.svc.cluster.local",
            "ports": PORTS,
        },
    }


def route(user: str, domain: str) -> Manifest:
    """The router's rules: the user's host names, TLS passed through untouched."""

    def rule(host: str, port: int) -> Manifest:
        return {"match": f"HostSNI(`{host}`)", "services": [{"name": names.dask_name(user), "port": port}]}

    return {
        "apiVersion": f"{ROUTE_GROUP}/{ROUTE_VERSION}",
        "kind": "IngressRouteTCP",
        "metadata": _metadata(user),
        "spec": {
            "entryPoints": ["dask", "daskworker"],
            "tls": {"passthrough": True},
            "routes": [
                rule(names.dask_host(user, domain), SCHEDULER_PORT),
                rule(names.worker_host(user, domain), WORKER_PORT),
            ],
        },
    }
