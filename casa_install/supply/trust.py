"""The CAs that builds trust: this machine's and those of the site."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)


def authorities(trusted: Sequence[Path]) -> str:
    """Return one PEM bundle of the machine's CAs and further files.

    :raises FileNotFoundError: when the machine has no bundle or a file is missing.
    """
    named = os.environ.get("SSL_CERT_FILE")
    bundle = next((Path(p) for p in ([named] if named else []) + list(_BUNDLES) if Path(p).is_file()), None)
    if bundle is None:
        raise FileNotFoundError(f"this machine has no CA bundle (looked for {', '.join(_BUNDLES)}): install its "
                                "package ca-certificates")
    parts = [bundle.read_text()]
    for path in trusted:
        if not path.is_file():
            raise FileNotFoundError(f"casa_trusted_cas names {path}, which does not exist")
        parts.append(path.read_text())
    return "\n".join(p.rstrip("\n") for p in parts) + "\n"


def environment(bundle: Path) -> dict[str, str]:
    """Return the variables by which go, pip, npm, uv and git find a bundle (a file)."""
    names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "npm_config_cafile",
             "GIT_SSL_CAINFO", "CURL_CA_BUNDLE")
    return {name: str(bundle) for name in names}
