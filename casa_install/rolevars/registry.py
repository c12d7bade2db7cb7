"""Variables of the role ``registry``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply

PUSHER = "casa-push"
"""Who may write to the registry."""


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return the registry's certificate, and who may read and write."""
    host = site.one("registry")
    names = dict.fromkeys([site.fqdn("registry"), site.fqdn(host), str(host.address)])
    pair = credentials.certificate("registry", list(names))
    return {
        "registry_address": str(host.address),
        "registry_name": site.fqdn("registry"),
        "registry_certificate": pair.certificate,
        "registry_key": pair.key,
        "registry_readers": [str(site.settings.network), str(site.settings.pod_network)],
        "registry_pusher": PUSHER,
        "registry_password": credentials.secret("registry-push"),
    }
