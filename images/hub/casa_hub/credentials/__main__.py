"""The service's command: ``python -m casa_hub.credentials``."""

from __future__ import annotations

import base64
import logging
import ssl
from pathlib import Path

from aiohttp import web
from kubernetes_asyncio import config
from kubernetes_asyncio.client import CoreV1Api

from casa_hub.credentials.service import CredentialsService
from casa_hub.credentials.store import SecretStore
from casa_hub.credentials.tokens import Mint, condor_signing_key, macaroon_key
from casa_hub.settings import CredentialsSettings, read

CONFIGURATION = Path("/etc/casa-credentials/config.json")
KEYS = Path("/etc/casa-credentials-keys")


async def make_application() -> web.Application:
    """The application with the keys that the cluster mounts."""
    config.load_incluster_config()
    settings = read(CredentialsSettings, CONFIGURATION)
    mint = Mint(
        settings.domain,
        settings.cms_site,
        settings.condor_kid,
        settings.token_seconds,
        condor_signing_key(base64.b64decode((KEYS / "condor_key").read_text()), settings.condor_kid),
        macaroon_key((KEYS / "xcache_key").read_text()),
    )
    store = SecretStore(CoreV1Api(), settings.users_namespace)
    return CredentialsService(settings, mint, store, (KEYS / "bearer").read_text().strip()).application()


def main() -> None:
    """Serve over TLS until the cluster stops us."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # probes, every few seconds
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(KEYS / "tls.crt", KEYS / "tls.key")
    port = read(CredentialsSettings, CONFIGURATION).port
    web.run_app(make_application(), port=port, ssl_context=tls, print=None)


if __name__ == "__main__":
    main()
