"""Variables of the role ``xrootd``."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import hashes, serialization

from casa_install.credentials import Credentials, provided
from casa_install.credentials.grid import grid_certificate
from casa_install.site.model import Site
from casa_install.supply import Supply

VIRTUAL_HOST_FILES = 20_000
"""Open files that a process of a virtual host may have: the limit cannot be raised there."""


def authorities(site: Site, credentials: Credentials) -> dict[str, str]:
    """The site CA and those that vouch for the cache's origin, each certificate under a name of its own."""
    named = {"casa-site": credentials.ca_certificate}
    for file in site.settings.xcache_origin_cas:
        for certificate in provided.read_certificates(file):
            name = f"casa-origin-{certificate.fingerprint(hashes.SHA256()).hex()[:16]}"
            named[name] = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return named


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return the servers' certificates and the authorities they trust."""
    caches = site.group("xcache")
    # users open root://xcache//store/..., whichever host answers to that name
    pairs = {host.name: credentials.certificate(
        "xcache", [site.fqdn("xcache"), "xcache", *(site.fqdn(h) for h in caches)]) for host in caches}
    for host in site.group("origin"):
        pairs[host.name] = grid_certificate(credentials, f"origin {host.name}", [site.fqdn(host)])
    return {
        "xrootd_certificates": {
            name: {"certificate": pair.certificate, "key": pair.key} for name, pair in pairs.items()
        },
        "xrootd_authorities": authorities(site, credentials),
        "xrootd_open_files": VIRTUAL_HOST_FILES if site.settings.rehearsal else 65_536,
    }
