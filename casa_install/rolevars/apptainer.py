"""Variables of the role ``apptainer``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return where apptainer comes from and which image jobs run in."""
    return {
        "apptainer_debian_mirror": site.settings.debian_mirror or "",
        "apptainer_ca": credentials.ca_certificate,
        "apptainer_image": supply.image("worker"),
    }
