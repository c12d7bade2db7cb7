"""Where each program and image of a site comes from: catalog, builds, cache, and the site registry's content."""

from casa_install.supply.publish import RegistryError
from casa_install.supply.store import cache_directory
from casa_install.supply.supply import Supply, SupplyError

__all__ = ["RegistryError", "Supply", "SupplyError", "cache_directory"]
