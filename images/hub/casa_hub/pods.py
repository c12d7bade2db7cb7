"""What a user's pod looks like: KubeSpawner's configuration of one site."""

from __future__ import annotations

from typing import Any

from casa_hub.manifests import WORKER_PORT
from casa_hub.settings import HubSettings, Profile, Resources

UID, GID = 6440, 11265  # users' code and the site's storage know these
HOME = "/home/cms-jovyan"
SECRETS = "/etc/cmsaf-secrets"
SITE_CA_CONFIG = "site-ca"
CONFINED = {"capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}

MOUNTS: dict[str, dict[str, Any]] = {
    "home": {"name": "home", "mountPath": HOME},
    "secrets": {"name": "cmsaf-secrets", "mountPath": SECRETS, "readOnly": True},
    "site-ca": {"name": "site-ca", "mountPath": "/etc/casa", "readOnly": True},
    "tmp": {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the container's own
}
VOLUMES: dict[str, dict[str, Any]] = {
    "home": {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}},
    # readable for the users' group without a copy; HTCondor's and XRootD's clients want 0600 and get one from the image
    "secrets": {"name": "cmsaf-secrets", "secret": {"secretName": "jupyter-{username}", "defaultMode": 0o440}},
    "site-ca": {"name": "site-ca", "configMap": {"name": SITE_CA_CONFIG}},
    "tmp": {"name": "tmp", "emptyDir": {}},
}


def environment(settings: HubSettings) -> dict[str, str]:
    """What every container of a user's pod finds in its environment."""
    return {
        "HOST_IP": f"{{username}}.dask.{settings.domain}",
        "WORKER_IP": f"{{username}}.dask-worker.{settings.domain}",
        "CASA_DOMAIN": settings.domain,
        **settings.environment,
    }


def kubernetes_resources(resources: Resources) -> dict[str, Any]:
    """Requests and limits as Kubernetes spells them."""
    return {
        "requests": {"cpu": f"{resources.cores_guarantee:g}", "memory": str(resources.memory_guarantee)},
        "limits": {"cpu": f"{resources.cores:g}", "memory": str(resources.memory)},
    }


def worker_container(settings: HubSettings, profile: Profile, resources: Resources) -> dict[str, Any]:
    """A Dask worker that waits for the pod's scheduler; other workers reach it by name through the router."""
    variables = {
        **environment(settings),
        "CASA_SIDECAR_CORES": str(profile.worker_threads),
        # Dask's own limit, by which it spills, stays below the one at which the kernel kills
        "CASA_SIDECAR_MEMORY": f"{resources.memory * 9 // 10 >> 20}Mi",
    }
    return {
        "name": "dask-worker",
        "image": settings.worker_image,
        "args": ["/usr/local/bin/casa-sidecar-worker"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"name": "daskworker", "containerPort": WORKER_PORT}],
        "volumeMounts": list(MOUNTS.values()),
        "resources": kubernetes_resources(resources),
        "securityContext": {**CONFINED, "runAsUser": UID, "runAsGroup": GID},
    }


def pod_extras(settings: HubSettings, with_worker: bool) -> dict[str, Any]:
    """Fields of the pod that KubeSpawner has no option for."""
    extras: dict[str, Any] = {
        "dnsConfig": {"searches": [settings.domain]},  # so that plain ``xcache`` resolves
        "enableServiceLinks": False,  # variables such as DASK_ALICE_PORT would become settings of Dask
    }
    if with_worker:
        # within the pod, the worker's public name is the pod itself: results need not go through the router
        extras["hostAliases"] = [
            {"ip": "127.0.0.1", "hostnames": [f"{{username}}.dask-worker.{settings.domain}"]}
        ]
    return extras


def profile_entry(settings: HubSettings, profile: Profile) -> dict[str, Any]:
    """A choice of the spawn page."""
    override: dict[str, Any] = {
        "cpu_limit": profile.notebook.cores,
        "cpu_guarantee": profile.notebook.cores_guarantee,
        "mem_limit": profile.notebook.memory,
        "mem_guarantee": profile.notebook.memory_guarantee,
    }
    if profile.worker is not None:
        override["extra_containers"] = [worker_container(settings, profile, profile.worker)]
        override["extra_pod_config"] = pod_extras(settings, with_worker=True)
    return {
        "slug": profile.slug,
        "display_name": profile.title,
        "description": profile.description,
        "default": profile == settings.profiles[0],
        "kubespawner_override": override,
    }


def kubespawner(settings: HubSettings) -> dict[str, Any]:
    """KubeSpawner's options."""
    return {
        "namespace": settings.users_namespace,
        "slug_scheme": "safe",
        "image": settings.user_image,
        "image_pull_policy": "IfNotPresent",
        "node_selector": settings.node_selector,
        "cmd": ["jupyterhub-singleuser"],
        "default_url": "/lab",
        "start_timeout": settings.start_seconds,
        "http_timeout": 120,
        "service_account": None,
        "automount_service_account_token": False,
        "uid": UID,
        "gid": GID,
        "fs_gid": GID,
        "container_security_context": CONFINED,
        "pod_security_context": {"fsGroupChangePolicy": "OnRootMismatch", "runAsNonRoot": True},
        "extra_labels": {"jhub_user": "{username}"},
        "environment": environment(settings),
        "working_dir": HOME,
        "storage_pvc_ensure": True,
        "pvc_name_template": "claim-{username}",
        "delete_pvc": False,
        "storage_class": settings.storage_class,
        "storage_capacity": settings.home_size,
        "storage_access_modes": ["ReadWriteOnce"],
        "volumes": VOLUMES,
        "volume_mounts": MOUNTS,
        "extra_pod_config": pod_extras(settings, with_worker=False),
        "profile_list": [profile_entry(settings, profile) for profile in settings.profiles],
    }
