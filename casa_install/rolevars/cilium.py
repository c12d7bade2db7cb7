"""Variables of the role ``cilium``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply

UNIFIED = Path("/sys/fs/cgroup")


def cgroup_root(*, rehearsal: bool, unified: Path = UNIFIED) -> str:
    """Return where the hosts have cgroup v2: virtual hosts share this machine's kernel, which may have v1 beside it."""
    hybrid = unified / "unified"
    return str(hybrid if rehearsal and (hybrid / "cgroup.controllers").exists() else UNIFIED)


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return what is rendered, and the addresses that pods and users reach."""
    settings = site.settings
    control = site.one("kube_control")
    return {
        "cilium_helm": str(supply.place("helm") / "helm"),
        "cilium_chart": str(supply.place("cilium") / "chart"),
        "cilium_agent_image": supply.image("cilium"),
        "cilium_operator_image": supply.image("cilium-operator"),
        "cilium_kubernetes_version": supply.version("kubernetes"),
        "cilium_control": control.name,
        "cilium_api_address": str(control.address),
        "cilium_pod_network": str(settings.pod_network),
        "cilium_public_address": str(settings.public_address),
        "cilium_gateway_label": "casa/gateway",
        "cilium_virtual": settings.rehearsal,
        "cilium_gateways": len(site.group("gateway")),
        "cilium_cgroup_root": cgroup_root(rehearsal=settings.rehearsal),
    }
