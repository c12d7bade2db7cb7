"""Zones of a site, read as a name server reads them."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import dns.name
import dns.zone
import pytest

from casa_install.credentials.authority import make_authority
from casa_install.rolevars.base import _certificates
from casa_install.rolevars.dns import forward_records, render_zone, reverse_networks, reverse_zones
from casa_install.site import Site
from tests.unit.site_inventories import GOOD, load, replaced


def parsed(name: str, site: Site, records: list[tuple[str, str, str]]) -> dns.zone.Zone:
    return dns.zone.from_text(render_zone(name, [site.fqdn(host) for host in site.group("dns")], records), origin=name)


def test_forward_zone(tmp_path: Path) -> None:
    site = load(tmp_path, GOOD)
    zone = parsed("casa.lan", site, forward_records(site))
    found = {str(name): rdata.to_text() for name, _, rdata in zone.iterate_rdatas("A")}
    assert found["hub"] == found["*.dask"] == found["*.dask-worker"] == "10.1.0.200"
    assert found["api"] == found["kube-1"] == "10.1.0.11"
    assert found["registry"] == found["dns-1"]
    assert found["xcache"] == found["xcache-1"]
    assert {host.name for host in site.hosts} <= set(found)


def test_reverse_zone(tmp_path: Path) -> None:
    site = load(tmp_path, GOOD)
    [(name, records)] = reverse_zones(site)
    assert name == "0.1.10.in-addr.arpa"
    found = {str(owner): rdata.to_text() for owner, _, rdata in parsed(name, site, records).iterate_rdatas("PTR")}
    assert found["11"] == "kube-1.casa.lan."
    assert found["200"] == "hub.casa.lan."


@pytest.mark.parametrize(("network", "reverse"), [
    ("10.1.0.0/24", ["10.1.0.0/24"]), ("10.1.0.64/26", ["10.1.0.0/24"]),
    ("10.1.0.0/23", ["10.1.0.0/24", "10.1.1.0/24"]),
    ("10.1.0.0/16", ["10.1.0.0/16"]), ("10.2.0.0/15", ["10.2.0.0/16", "10.3.0.0/16"]),
])
def test_reverse_networks(network: str, reverse: list[str]) -> None:
    assert [str(each) for each in reverse_networks(IPv4Network(network))] == reverse


def test_reverse_zones_of_a_wide_network(tmp_path: Path) -> None:
    text = replaced(("casa_network=10.1.0.0/24", "casa_network=10.1.0.0/16"), ("10.1.0.41", "10.1.7.41"))
    [(name, records)] = reverse_zones(load(tmp_path, text))
    assert name == "1.10.in-addr.arpa"
    assert ("41.7", "PTR", "xcache-1.casa.lan.") in records


def test_serial_follows_content(tmp_path: Path) -> None:
    site = load(tmp_path, GOOD)
    records = forward_records(site)
    text = render_zone("casa.lan", ["dns-1.casa.lan"], records)
    assert text == render_zone("casa.lan", ["dns-1.casa.lan"], records)
    changed = render_zone("casa.lan", ["dns-1.casa.lan"], records[1:])
    assert text.splitlines()[3] != changed.splitlines()[3]


def test_certificates_are_named_by_content() -> None:
    one, other = make_authority("a.lan").certificate, make_authority("b.lan").certificate
    found = dict(_certificates(one, f"some words\n{other}\n{one}".replace("\n", "\r\n")))
    assert sorted(found.values()) == sorted([one.strip() + "\n", other.strip() + "\n"])
    assert all(name.startswith("casa-install-") and name.endswith(".crt") for name in found)
