"""Variables of the role ``dns``: the site's zones, rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Site
from casa_install.supply import Supply

TTL = 300  # seconds: short, so that a moved service is found again soon

Record = tuple[str, str, str]
"""Owner relative to the zone, type, data."""


def render_zone(origin: str, servers: Iterable[str], records: Iterable[Record]) -> str:
    """Text of a zone.

    The serial is made of the content: the same records give the same serial on every name server and in every run.
    It need not grow, for every name server of a site holds the zone itself and none copies it from another.
    """
    servers = list(servers)
    lines = [*(f"@ NS {server}." for server in servers), *(" ".join(each) for each in records)]
    body = "\n".join(lines) + "\n"
    serial = int(hashlib.sha256(f"{origin}\n{body}".encode()).hexdigest()[:8], 16) or 1
    soa = f"@ SOA {servers[0]}. hostmaster.{servers[0].partition('.')[2]}. {serial} 3600 600 604800 {TTL}"
    return f"; Managed by casa-install\n$TTL {TTL}\n$ORIGIN {origin}.\n{soa}\n{body}"


def forward_records(site: Site) -> list[Record]:
    """Hosts under their own names, services under the names that users and hosts know them by."""
    public = site.settings.public_address
    names: dict[str, IPv4Address] = {host.name: host.address for host in site.hosts}
    names |= {
        "api": site.one("kube_control").address,
        "registry": site.one("registry").address,
        "xcache": site.one("xcache").address,
        "hub": public, "*.dask": public, "*.dask-worker": public,
    }
    return [(name, "A", str(address)) for name, address in sorted(names.items())]


def reverse_networks(network: IPv4Network) -> Iterator[IPv4Network]:
    """The networks whose reverse zones hold all addresses of a network: names of reverse zones end at whole bytes."""
    if network.prefixlen >= 24:
        yield network.supernet(new_prefix=24)
    else:
        yield from network.subnets(new_prefix=16 if network.prefixlen <= 16 else 24)


def reverse_zones(site: Site) -> Iterator[tuple[str, list[Record]]]:
    """Reverse zones of the networks in which the site has hosts."""
    for network in reverse_networks(site.settings.network):
        count = network.prefixlen // 8
        owners = [*((host.address, host.name) for host in site.hosts), (site.settings.public_address, "hub")]
        records = [(".".join(reversed(str(address).split(".")[count:])), "PTR", f"{site.fqdn(name)}.")
                   for address, name in sorted(owners) if address in network]
        if records:
            yield ".".join([*reversed(str(network.network_address).split(".")[:count]), "in-addr.arpa"]), records


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return zones, and who may ask what."""
    settings = site.settings
    servers = [site.fqdn(host) for host in site.group("dns")]
    zones = [(settings.domain, forward_records(site)), *reverse_zones(site)]
    return {
        "dns_zones": {name: render_zone(name, servers, records) for name, records in zones},
        "dns_addresses": {host.name: str(host.address) for host in site.group("dns")},
        "dns_clients": [str(settings.network), str(settings.pod_network)],
        "dns_forwarders": list(map(str, settings.dns_forwarders)),
        # a rehearsal asks whatever its machine asks, which may well not pass on signatures
        "dns_validate": settings.dns_validate and not settings.rehearsal,
    }
