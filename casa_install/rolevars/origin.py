"""Variables of the role ``origin``."""

from __future__ import annotations

from typing import Any

from cryptography import x509

from casa_install.credentials import Credentials
from casa_install.rehearsal import data
from casa_install.rolevars.xcache import service_certificate
from casa_install.site.model import Site
from casa_install.supply import Supply, cache_directory

ACCOUNT = "xcache"


def subject(certificate: str) -> str:
    """A PEM certificate's subject as grid software writes it: ``/O=.../CN=...``."""
    name = x509.load_pem_x509_certificate(certificate.encode()).subject
    return "".join(f"/{part.rfc4514_attribute_name}={part.value!s}" for part in name)


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return which data are served, and to which certificate alone."""
    return {
        "origin_site": f"{site.settings.cms_site}_Origin",
        "origin_data": str(data.location(cache_directory())),
        "origin_identities": {ACCOUNT: subject(service_certificate(site, credentials).certificate)},
    }
