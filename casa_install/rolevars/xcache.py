"""Variables of the role ``xcache``."""

from __future__ import annotations

from typing import Any

from casa_install.credentials import Credentials, Pair, provided
from casa_install.credentials.grid import grid_certificate
from casa_install.site.model import Site
from casa_install.supply import Supply

PORT = 1094


def service_certificate(site: Site, credentials: Credentials) -> Pair:
    """The certificate by which the cache identifies itself to its origin: the site's choice, else of the site CA."""
    settings = site.settings
    if settings.xcache_certificate and settings.xcache_key:
        return provided.read_pair(settings.xcache_certificate, settings.xcache_key)
    return grid_certificate(credentials, "xcache-service", [site.fqdn("xcache")])


def origin(site: Site) -> str:
    """Storage behind the cache, as ``host:port``: the site's choice, else the rehearsal's own."""
    return site.settings.xcache_origin or f"{site.fqdn(site.one('origin'))}:{PORT}"


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return where data come from, how users' tokens are checked and who the cache is towards its origin."""
    settings = site.settings
    service = service_certificate(site, credentials)
    made = {
        "xcache_names": {host.name: site.fqdn(host) for host in site.group("xcache")},
        "xcache_site": settings.cms_site,
        "xcache_origin": origin(site),
        "xcache_memory": settings.xcache_memory,
        "xcache_macaroon_secret": credentials.secret_bytes("xcache-macaroons", 64),
        "xcache_service_certificate": service.certificate,
        "xcache_service_key": service.key,
    }
    if settings.rehearsal:
        # virtual hosts share the machine's file system, whose fullness says nothing about the cache
        made |= {"xcache_disk_low": 0.98, "xcache_disk_high": 0.99, "xcache_disk_files": ["2g", "3g", "4g"]}
    return made
