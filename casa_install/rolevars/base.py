"""Variables of the role ``base``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n?", re.S)


def _certificates(*bundles: str) -> Iterator[tuple[str, str]]:
    """Each certificate once, named by its content: Debian's trust store wants one in a file, and a new one gets a
    new name, so that what is stale can be told from what is wanted."""
    for bundle in bundles:
        for match in _CERTIFICATE.finditer(bundle.replace("\r\n", "\n")):
            pem = match[0].strip() + "\n"
            yield f"casa-install-{hashlib.sha256(pem.encode()).hexdigest()[:16]}.crt", pem


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return the certificates that hosts trust.

    :raises OSError: a trusted CA's file vanished since the inventory was read.
    """
    trusted = (file.read_text(errors="replace") for file in site.settings.trusted_cas)
    return {
        "base_certificates": dict(_certificates(credentials.ca_certificate, *trusted)),
        # virtual hosts have the machine's clock, which they cannot set
        "base_keeps_time": not site.settings.rehearsal,
    }
