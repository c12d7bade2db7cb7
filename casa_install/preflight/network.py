"""Judges names, ports, firewalls and the ways between hosts."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from casa_install.preflight import components
from casa_install.preflight.components import Component
from casa_install.preflight.facts import Facts, Listener, Peer
from casa_install.preflight.findings import Finding, refusal, warning
from casa_install.site.model import Host, Site

NO_WAY = ("No route to host", "Network is unreachable")


def _wanted(site: Site) -> dict[str, str]:
    """Name -> address, of all names by which hosts find each other."""
    named = {host.name: str(host.address) for host in site.hosts}
    services = {"api": site.one("kube_control").address, "registry": site.one("registry").address,
                "xcache": site.one("xcache").address, "hub": site.settings.public_address}
    full = named | {name: str(address) for name, address in services.items()}
    return named | {site.fqdn(name): address for name, address in full.items()}


def asked(site: Site, host: Host) -> list[str]:
    """Names of the site that a host looks up, its own among them; none that nobody delegates, so that no question
    leaves a rehearsal."""
    if site.settings.rehearsal or site.settings.domain.endswith(".test"):
        return []
    return [site.fqdn(name) for name in ("api", "hub", "registry", "xcache", host)]


def names(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """The host's own name, what its hosts file and name service say of the site's names, the name of its address."""
    short = facts.name.partition(".")[0]
    if short != host.name:
        yield refusal(host, "names", f"calls itself {facts.name}",
                      f"rename it (hostnamectl set-hostname {host.name}), or write {short} in the inventory")
    own = (host.name, site.fqdn(host))
    for name, address in _wanted(site).items():
        for given in facts.hosts.get(name, ()):
            if given == address or ":" in given:
                continue
            problem = f"its /etc/hosts gives {name} the address {given}, which is {address}"
            if name in own and ip_address(given).is_loopback:
                yield warning(host, "names", problem,
                              f"write {address} there, or daemons that look for their own address find one that nobody "
                              "else can use")
            else:
                yield refusal(host, "names", problem, "correct or remove the line")
    for name, found in facts.forward.items():
        address = _wanted(site)[name]
        # a host may know itself by the addresses of all its interfaces; what the hosts file says is told above
        wrong = address not in found if name in own else found != [address]
        if found and wrong and name not in facts.hosts:
            yield warning(host, "names", f"its name service gives {name} the address {', '.join(found)}, which "
                          f"should be {address}", "correct the record, or let the delegation lead to the site's own "
                          "name servers")
    if facts.reverse and not set(own) & {name.lower() for name in facts.reverse}:
        yield warning(host, "names", f"its address belongs to {facts.reverse[0]} by the host's name service",
                      f"let the reverse record of {host.address} say {site.fqdn(host)}")


def ports(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """Ports of our daemons that another program holds."""
    del site
    told = set()
    for part in components.of(host):
        for listener in facts.listeners:
            wanted = part.tcp if listener.protocol == "tcp" else part.udp
            key = (listener.protocol, listener.port, listener.pid)
            if listener.port in wanted and key not in told and _in_the_way(part, host, facts, listener):
                told.add(key)
                holder = f"{listener.program} (pid {listener.pid})" if listener.program else "the kernel"
                yield refusal(host, "ports", f"{listener.protocol} port {listener.port}, which {part.title} needs, is "
                              f"taken by {holder}", "stop that program, or move it to another port")


def _in_the_way(part: Component, host: Host, facts: Facts, listener: Listener) -> bool:
    """Whether a listener is somebody else's, at an address that the component's daemons take."""
    if facts.begun(part.phases) and (not listener.program or listener.program.startswith(part.daemons)):
        return False
    # name servers on other loopback addresses (systemd-resolved) are in nobody's way
    return listener.address in ("*", "0.0.0.0", "::", "127.0.0.1", str(host.address))  # noqa: S104


def ways(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """Whether the host has its address, and reaches the hosts that it will talk to."""
    if not facts.mtu:
        yield warning(host, "ways", f"no interface of it has the address {host.address}",
                      "write the host's own address in ansible_host: daemons listen on it and others connect to it")
    named = {str(other.address): other for other in site.hosts}
    for peer in facts.peers:
        other = named[peer.address]
        if peer.router and {host, other} <= set(site.nodes):
            yield refusal(host, "ways", f"reaches {other.name} ({peer.address}) by the router {peer.router}",
                          "put all Kubernetes nodes on one link: packets of pods go from node to node")
        yield from _way(host, facts, peer, other.name)


def _way(host: Host, facts: Facts, peer: Peer, name: str) -> Iterator[Finding]:
    to, why = f"{name} ({peer.address})", next(iter(peer.silent.values()), "")
    if why in NO_WAY and not peer.ping:
        yield refusal(host, "ways", f"does not reach {to}: {why}", "mend the routes between the two hosts")
    elif peer.silent:
        ports = ", ".join(map(str, peer.silent))
        yield warning(host, "ways", f"cannot connect to tcp port {ports} of {to}: {why}",
                      "let firewalls on the hosts and between them pass the site's own traffic")
    elif peer.ping and peer.whole is False:
        yield warning(host, "ways", f"packets of its MTU of {facts.mtu} do not reach {to}",
                      "set the same MTU on both hosts and all switches between them")


def firewalls(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """Packet filters that drop what comes in."""
    for what in facts.drops:
        yield warning(host, "firewall", f"drops packets that come in ({what})",
                      f"let it pass everything from {site.settings.network}, and on nodes from "
                      f"{site.settings.pod_network}")
