"""Variables of the role ``storage``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return the provisioner's images and place; only a rehearsal's volumes are deleted with it."""
    return {
        "storage_provisioner_image": supply.image("local-path-provisioner"),
        "storage_helper_image": supply.image("toolbox"),
        "storage_control": site.one("kube_control").name,
        "storage_remove_volumes": site.settings.rehearsal,
    }
