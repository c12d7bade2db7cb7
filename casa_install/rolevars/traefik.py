"""Variables of the role ``traefik``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return the router's image, the public address and the hub's certificate."""
    host = site.fqdn("hub")
    pair = credentials.certificate("hub", [host])
    return {
        "traefik_image": supply.image("traefik"),
        "traefik_crds": str(supply.place("traefik") / "crds.yml"),
        "traefik_address": str(site.settings.public_address),
        "traefik_hub_host": host,
        "traefik_certificate": pair.certificate,
        "traefik_key": pair.key,
        "traefik_api_addresses": [str(control.address) for control in site.group("kube_control")],
    }
