"""Names, addresses and packet filter rules that follow from a lab's name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casa_install.rehearsal import names, network
from casa_install.rehearsal.commands import RehearsalError

NETWORK = IPv4Network("10.91.250.0/24")
LAB_NAMES = st.from_regex(names.LAB_NAME, fullmatch=True)


@given(LAB_NAMES, st.integers(2, 4094))
def test_interface_names_fit_the_kernel(lab: str, place: int) -> None:
    wide = IPv4Network("10.91.240.0/20")
    machine = names.machine(lab, wide, wide[place])
    assert len(names.bridge(lab)) <= 15
    assert len(names.veth(machine)) <= 15
    assert names.tag(lab) in machine


@given(LAB_NAMES, LAB_NAMES)
def test_labs_share_no_name(one: str, other: str) -> None:
    same = one == other
    assert (names.comment(one) == names.comment(other)) == same
    # short names may meet in theory; up refuses that, and names of one kind never do
    for first, second in (("site", "site-2"), ("molecule-condor", "molecule-cilium"), ("a-b", "ab")):
        assert names.tag(first) != names.tag(second)


def test_the_bridge_has_one_address_for_good() -> None:
    assert names.bridge_mac("site") == names.bridge_mac("site") != names.bridge_mac("site-2")
    assert int(names.bridge_mac("site").split(":")[0], 16) & 3 == 2


@pytest.mark.parametrize("name", ["", "a", "-a", "a-", "A1", "a_b", "a b", "a/../b", "x" * 41])
def test_lab_names_that_are_refused(name: str) -> None:
    with pytest.raises(RehearsalError, match="lab name"):
        names.check_lab_name(name)


@pytest.mark.parametrize(
    ("cidr", "hosts", "complaint"),
    [
        ("10.91.0.0/16", {"a": "10.91.0.9"}, "prefix length"),
        ("10.91.250.0/30", {"a": "10.91.250.2"}, "prefix length"),
        ("10.91.250.0/24", {"a": "10.91.251.9"}, "not a host address"),
        ("10.91.250.0/24", {"a": "10.91.250.0"}, "not a host address"),
        ("10.91.250.0/24", {"a": "10.91.250.255"}, "not a host address"),
        ("10.91.250.0/24", {"a": "10.91.250.1"}, "the machine itself"),
        ("10.91.250.0/24", {"a": "10.91.250.9", "b": "10.91.250.9"}, "already belongs to a"),
        ("10.91.250.0/24", {"A!": "10.91.250.9"}, "host name"),
    ],
)
def test_addresses_that_are_refused(cidr: str, hosts: dict[str, str], complaint: str) -> None:
    addresses = {name: IPv4Address(address) for name, address in hosts.items()}
    with pytest.raises(RehearsalError, match=complaint):
        names.check_addresses(IPv4Network(cidr), addresses)


def test_rules_carry_the_lab_and_keep_labs_apart() -> None:
    rules = [(table, " ".join(rule)) for table, rule in network.rules("site", NETWORK)]
    assert all("casa-install lab site" in rule for _, rule in rules)
    assert any(table == "nat" and f"! -o {names.bridge('site')}" in rule for table, rule in rules)
    forward = [rule for table, rule in rules if table == "filter"]
    dropped = next(at for at, rule in enumerate(forward) if "DROP" in rule)
    assert "-o casa-+" in forward[dropped]
    # what goes to another lab is dropped before anything that begins here is let through
    assert all(f"-o {names.bridge('site')}" in rule for rule in forward[:dropped])
