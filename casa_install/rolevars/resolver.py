"""Variables of the role ``resolver``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return whom hosts ask for names."""
    return {
        "resolver_nameservers": [str(host.address) for host in site.group("dns")],
        "resolver_domain": site.settings.domain,
    }
