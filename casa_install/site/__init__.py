"""The site: an inventory read, checked and frozen."""

from __future__ import annotations

from casa_install.site.load import load_site
from casa_install.site.model import GROUPS, Host, HostSettings, Profile, Settings, Site, Vaulted
from casa_install.site.problems import InventoryErrors, Problem

__all__ = ["GROUPS", "Host", "HostSettings", "InventoryErrors", "Problem", "Profile", "Settings", "Site", "Vaulted",
           "load_site"]
