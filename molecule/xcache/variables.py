"""Writes the variables that the roles of a scenario get, by the same code as for a site.

    variables.py FOLDER NETWORK

The site is one whose storage belongs to others: it has an authority of its own, which vouches for the cache as well,
and does not know the site's. The folder then holds ``variables.json``, ``storage.json`` (what differs on the storage),
``hosts`` (lines for /etc/hosts), ``data/`` (small files for the origin), ``stranger.json`` and ``site.json``
(certificates of the storage's and of the site's authority that nobody has let in). A second run changes nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import sys
import tarfile
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from casa_install.credentials import Credentials
from casa_install.credentials.authority import Pair, make_authority
from casa_install.credentials.grid import grid_certificate, make_grid_leaf
from casa_install.rolevars import origin, xcache, xrootd
from casa_install.site.model import Host, Settings, Site
from casa_install.supply import Supply, cache_directory

FILE_BYTES = 8 << 20
ISSUER = "https://client-1.casa.test:8443"


def write_data(folder: Path) -> None:
    """Three files of repeatable noise with their checksums, packed as the rehearsal's data are."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = ""
    with tarfile.open(folder / "store.tar", "w") as tar:
        for number in range(3):
            name = f"store/mc/test/{number:02}.root"
            content = random.Random(number).randbytes(FILE_BYTES)  # noqa: S311 (not a secret)
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
            sums += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    (folder / "SHA256SUMS").write_text(sums)


def kept(folder: Path, name: str, make: Callable[[], Pair]) -> Pair:
    """A certificate and its key in ``<name>.pem`` and ``<name>.key``, made once."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    if not key.exists():
        made = make()
        certificate.write_text(made.certificate)
        key.write_text(made.key)
    return Pair(certificate.read_text(), key.read_text())


def main(folder: Path, network: IPv4Network) -> None:
    """Write everything."""
    os.umask(0o077)
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
    cache, storage, client = network[11], network[12], network[13]
    authority = kept(folder, "authority", lambda: make_authority("storage.test"))
    kept(folder, "service", lambda: make_grid_leaf(authority, "cache of casa", ["xcache.casa.test"]))
    server = kept(folder, "server", lambda: make_grid_leaf(authority, "storage", ["origin-1.casa.test"]))
    stranger = kept(folder, "stranger", lambda: make_grid_leaf(authority, "stranger", ["client-1.casa.test"]))
    site = Site(
        settings=Settings(site_name="molecule", domain="casa.test", network=network, public_address=network[200],
                          rehearsal=True, authenticator="dummy", users=("alice",), xcache_memory=1,
                          xcache_certificate=folder / "service.pem", xcache_key=folder / "service.key",
                          xcache_origin_cas=(folder / "authority.pem",)),
        hosts=(Host(name="cache-1", address=cache, groups=("xcache",)),
               Host(name="origin-1", address=storage, groups=("origin",))),
        inventory=folder / "site.ini",
    )
    credentials = Credentials(site)
    supply = Supply(site.registry, cache_directory())
    variables: dict[str, Any] = {}
    for module in (xrootd, xcache, origin):
        variables |= module.variables(site, supply, credentials)
    write_data(folder / "data")
    variables |= {
        "origin_data": str(folder / "data"),
        "xcache_audiences": ["https://xcache.casa.test"],
        "xcache_issuers": [{"name": "test", "issuer": ISSUER}],
        "xrootd_certificates": variables["xrootd_certificates"] | {
            "client-1": vars(credentials.certificate("client-1", ["client-1.casa.test"]))},
    }
    authorities = {name: pem for name, pem in variables["xrootd_authorities"].items() if name != "casa-site"}
    files = {
        "variables": variables,
        "storage": {"xrootd_authorities": authorities, "xrootd_certificates": {"origin-1": vars(server)}},
        "stranger": vars(stranger),
        "site": vars(grid_certificate(credentials, "xcache-service", ["xcache.casa.test"])),
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2))
    (folder / "hosts").write_text(
        f"{cache} cache-1.casa.test cache-1 xcache.casa.test xcache\n{storage} origin-1.casa.test origin-1\n"
        f"{client} client-1.casa.test client-1\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), IPv4Network(sys.argv[2]))
