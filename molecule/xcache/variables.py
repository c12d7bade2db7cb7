"""Writes the variables that the roles of a scenario get, by the same code as for a site.

    variables.py FOLDER NETWORK

The folder then holds ``variables.json``, ``hosts`` (lines for /etc/hosts), ``data/`` (small files for the origin) and
``stranger.json`` (a certificate of the same authority that nobody has let in). A second run changes nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import sys
import tarfile
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from casa_install.credentials import Credentials
from casa_install.credentials.grid import grid_certificate
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


def main(folder: Path, network: IPv4Network) -> None:
    """Write everything."""
    os.umask(0o077)
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
    cache, storage, client = network[11], network[12], network[13]
    site = Site(
        settings=Settings(site_name="molecule", domain="casa.test", network=network, public_address=network[200],
                          rehearsal=True, authenticator="dummy", users=("alice",), xcache_memory=1),
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
    (folder / "variables.json").write_text(json.dumps(variables, indent=2))
    stranger = grid_certificate(credentials, "stranger", ["client-1.casa.test"])
    (folder / "stranger.json").write_text(json.dumps(vars(stranger)))
    (folder / "hosts").write_text(
        f"{cache} cache-1.casa.test cache-1 xcache.casa.test xcache\n{storage} origin-1.casa.test origin-1\n"
        f"{client} client-1.casa.test client-1\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), IPv4Network(sys.argv[2]))
