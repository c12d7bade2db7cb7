"""A lab's network: a bridge with the machine as gateway, and packet filter rules that carry the lab's name."""

from __future__ import annotations

import json
import shlex
from ipaddress import IPv4Network

from casa_install.rehearsal import names
from casa_install.rehearsal.commands import RehearsalError, run


def rules(lab: str, network: IPv4Network) -> list[tuple[str, list[str]]]:
    """Table and rule (chain first) of everything that the lab needs, in the order in which they are to stand.

    Hosts reach the outside under the machine's address, and labs do not reach each other:
    their clusters use the same pod addresses.
    """
    bridge, others = names.bridge(lab), f"{names.BRIDGE_PREFIX}+"
    mark = ["-m", "comment", "--comment", names.comment(lab)]
    return [
        ("nat", ["POSTROUTING", "-s", str(network), "!", "-o", bridge, *mark, "-j", "MASQUERADE"]),
        ("filter", ["FORWARD", "-i", bridge, "-o", bridge, *mark, "-j", "ACCEPT"]),
        ("filter", ["FORWARD", "-i", bridge, "-o", others, *mark, "-j", "DROP"]),
        ("filter", ["FORWARD", "-i", bridge, *mark, "-j", "ACCEPT"]),
        ("filter", ["FORWARD", "!", "-i", others, "-o", bridge, *mark, "-j", "ACCEPT"]),
    ]


def up(lab: str, network: IPv4Network) -> None:
    """The bridge and the rules are there, each once."""
    bridge = names.bridge(lab)
    _refuse_overlap(bridge, network)
    if not _link_exists(bridge):
        # an address of its own, or else it would change with the hosts that come and go
        run("ip", "link", "add", bridge, "address", names.bridge_mac(lab), "type", "bridge")
    run("ip", "address", "replace", f"{names.gateway_address(network)}/{network.prefixlen}", "dev", bridge)
    run("ip", "link", "set", bridge, "up")
    _remove_rules(lab)
    for table, rule in reversed(rules(lab, network)):
        # before the machine's own rules, which may end with a drop
        run("iptables", "-w", "-t", table, "-I", *rule)


def down(lab: str, network: IPv4Network) -> None:
    """Neither bridge nor rules of the lab are there, nor connections that the machine tracks for it."""
    _remove_rules(lab)
    bridge = names.bridge(lab)
    if _link_exists(bridge):
        run("ip", "link", "delete", bridge)
    # exits with 1 when there was none to delete
    run("conntrack", "-D", "-s", str(network), check=False)


def any_lab() -> bool:
    """Whether some lab's bridge is on this machine, whoever made it."""
    links = json.loads(run("ip", "-j", "link", "show", "type", "bridge") or "[]")
    return any(link.get("ifname", "").startswith(names.BRIDGE_PREFIX) for link in links)


def delete_link(name: str) -> None:
    """A network interface is gone."""
    if _link_exists(name):
        run("ip", "link", "delete", name, check=False)


def _link_exists(name: str) -> bool:
    return bool(run("ip", "-o", "link", "show", "dev", name, check=False).strip())


def _refuse_overlap(bridge: str, network: IPv4Network) -> None:
    for link in json.loads(run("ip", "-j", "-4", "address") or "[]"):
        for address in link.get("addr_info", []):
            other = IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False)
            if link["ifname"] != bridge and other.overlaps(network):
                raise RehearsalError(
                    f"network {network} overlaps {other} of this machine's {link['ifname']}: choose another network"
                )


def _remove_rules(lab: str) -> None:
    for table in ("filter", "nat"):
        for line in run("iptables-save", "-t", table).splitlines():
            words = shlex.split(line) if line.startswith("-A ") else []
            if names.comment(lab) in words:
                run("iptables", "-w", "-t", table, "-D", *words[1:])
