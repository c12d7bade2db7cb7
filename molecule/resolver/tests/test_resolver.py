"""Hosts ask the site's name server, by whichever way they ask."""

from __future__ import annotations

import re

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://plain", "ansible://resolved"]


@pytest.mark.parametrize(("name", "address"), [("registry.casa.test", "10.91.10.11"), ("xcache", "10.91.10.12")])
def test_the_sites_names_resolve(host: Host, name: str, address: str) -> None:
    assert address in host.check_output(f"getent ahostsv4 {name}").split()


def test_other_names_resolve(host: Host) -> None:
    """The host's package mirror has such a name."""
    sources = host.check_output("cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true")
    name = next(iter(re.findall(r"https?://([a-z][a-z0-9.-]+)", sources)))
    assert host.run(f"getent ahostsv4 {name}").rc == 0


def test_a_name_that_the_site_lacks_is_unknown(host: Host) -> None:
    assert host.run("getent ahostsv4 nobody.casa.test").rc == 2


def test_nobody_else_is_asked(host: Host) -> None:
    """Names of the site go to its server, and a plain resolv.conf names no other."""
    if host.check_output("hostname") == "plain":
        assert re.findall(r"^nameserver (.*)$", host.file("/etc/resolv.conf").content_string, re.M) == ["10.91.10.11"]
    else:
        assert "10.91.10.11" in host.check_output("resolvectl dns").splitlines()[0]
