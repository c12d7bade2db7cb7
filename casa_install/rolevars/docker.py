"""Variables of the role ``docker``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return the registry that docker trusts and which image jobs run in."""
    return {
        "docker_registry": site.registry,
        "docker_ca": credentials.ca_certificate,
        "docker_image": supply.image("worker"),
    }
