"""Variables of the role ``containerd``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return where programs and images come from, and what the hosts' kernel interfaces allow."""
    return {
        "containerd_programs": str(supply.place("containerd")),
        "containerd_registry": site.registry,
        "containerd_ca": credentials.ca_certificate,
        "containerd_sandbox_image": supply.image("pause"),
        "containerd_systemd_cgroup": not site.settings.rehearsal,
        "containerd_unprivileged": site.settings.rehearsal,
    }
