"""Variables of the role ``kubernetes``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Host, Site
from casa_install.supply import Supply

USERS = "casa/users=true"
GATEWAY = "casa/gateway=true"
CONTROL_TAINT = {"key": "node-role.kubernetes.io/control-plane", "value": "", "effect": "NoSchedule"}
GATEWAY_TAINT = {"key": "casa/gateway", "value": "true", "effect": "NoSchedule"}


def labels(host: Host) -> list[str]:
    """Return the labels by which pods find this node, as key=value."""
    wanted = {"kube_workers": USERS, "gateway": GATEWAY}
    return [label for group, label in wanted.items() if group in host.groups]


def taints(host: Host) -> list[dict[str, str]]:
    """Return what keeps pods off this node: nothing where users' pods are wanted."""
    if "kube_workers" in host.groups:
        return []
    wanted = {"kube_control": CONTROL_TAINT, "gateway": GATEWAY_TAINT}
    return [taint for group, taint in wanted.items() if group in host.groups]


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return the cluster's settings and what each of its nodes is for."""
    settings = site.settings
    return {
        "kubernetes_program": str(supply.place("kubernetes") / "kube"),
        "kubernetes_version": supply.version("kubernetes"),
        "kubernetes_image_repository": supply.image("kube-apiserver").rpartition("/")[0],
        "kubernetes_etcd_tag": supply.image("etcd").rpartition(":")[2],
        "kubernetes_dns_tag": supply.image("coredns").rpartition(":")[2],
        "kubernetes_endpoint": f"api.{settings.domain}:6443",
        "kubernetes_control": site.one("kube_control").name,
        "kubernetes_hosts": {
            host.name: {"address": str(host.address), "labels": labels(host), "taints": taints(host)}
            for host in site.nodes
        },
        "kubernetes_pod_network": str(settings.pod_network),
        "kubernetes_service_network": str(settings.service_network),
        "kubernetes_encryption_key": credentials.secret_bytes("kube-encryption", 32),
        "kubernetes_kubeconfig_dest": str(site.state / "kubeconfig"),
        "kubernetes_virtual": settings.rehearsal,
    }
