"""Names of the site resolve everywhere, foreign names only for the site's own hosts."""

from __future__ import annotations

import re

import pytest
from on_hosts import at, eventually, killed
from testinfra.host import Host

testinfra_hosts = ["ansible://ns", "ansible://plain", "ansible://outside"]


def foreign_name(host: Host) -> str:
    """A name outside the site that every host of a lab needs: that of its package mirror."""
    sources = host.check_output("cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true")
    return next(iter(re.findall(r"https?://([a-z][a-z0-9.-]+)", sources)))


@pytest.mark.parametrize(("name", "address"), [
    ("registry.casa.test", "10.91.2.11"), ("xcache", "10.91.2.12"), ("hub", "10.91.2.200"),
    ("alice.dask.casa.test", "10.91.2.200"),
])
def test_site_names(host: Host, name: str, address: str) -> None:
    assert address in host.check_output(f"getent ahostsv4 {name}").split()


def test_reverse(host: Host) -> None:
    assert "ns.casa.test" in host.check_output("getent hosts 10.91.2.11")


def test_unknown_name(host: Host) -> None:
    assert host.run("getent ahostsv4 nobody.casa.test").rc == 2


def test_foreign_names_for_the_site_only(host: Host) -> None:
    known = host.run(f"getent ahostsv4 {foreign_name(host)}").rc == 0
    assert known == (host.check_output("hostname") != "outside")


def test_zone_is_not_given_away(host: Host) -> None:
    if host.check_output("hostname") == "ns":
        assert "Transfer failed" in host.run("dig @10.91.2.11 casa.test AXFR").stdout
        assert host.check_output("dig @10.91.2.11 version.bind CHAOS TXT +short") == ""


def test_what_was_before_is_kept(host: Host) -> None:
    kept = host.file("/var/lib/casa-install/before/etc/resolv.conf")
    assert kept.exists == (host.check_output("hostname") != "outside")


def test_a_killed_name_server_comes_back() -> None:
    killed(at("ns"), "named")
    for asker in ("plain", "outside"):
        ask = at(asker)
        assert eventually(lambda host=ask: host.run("getent ahostsv4 registry.casa.test").rc == 0), asker  # type: ignore[misc]
