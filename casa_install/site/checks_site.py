"""Checks between settings of the whole site."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509

from casa_install.credentials import provided
from casa_install.site.checks_hosts import HostRead
from casa_install.site.ini import Given
from casa_install.site.model import Profile
from casa_install.site.problems import Place, Problems
from casa_install.site.values import place_of

PRIVATE_DOMAINS = ("test", "internal", "lan", "home.arpa", "localdomain", "home", "corp", "private",
                   "intranet")
"""Domains that no public name server delegates."""
_OF_OTHERS = {".local": "are looked for by multicast, and inside Kubernetes",
              ".localhost": "always mean the machine that asks", ".arpa": "are those of addresses"}
"""Ends of domains -> why a site's names cannot be below them."""
RESERVED_USERS = frozenset({"condor", "root", "condorpool", "password", "family", "nobody"})
"""Identities of HTCondor's daemons and of the system, for whom the credentials service makes nothing."""
_NODE_BITS = 24  # each Kubernetes node takes a /24 of the pod network
_UNUSABLE = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.2.0/24", "198.51.100.0/24",
                                    "203.0.113.0/24", "224.0.0.0/3")))
"""This machine, links, documents, multicast and what is reserved."""
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_UNITS = {"Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}
_Held = TypeVar("_Held")


class SiteChecks:
    """The settings that were readable, where they were written, and what contradicts what.

    Settings that were refused already are absent from ``values``: nothing is said twice. One that is wrong by its
    capital letters alone is there in small ones.
    """

    def __init__(self, values: Mapping[str, Any], given: Mapping[str, Given], head: Place, problems: Problems) -> None:
        self.values, self.given, self.head, self.problems = values, given, head, problems
        self.passing = Problems()
        """What is wrong at present only."""

    def place(self, field: str, *loc: int | str) -> Place:
        """Where a setting, or a part of it, was written."""
        given = self.given.get(f"casa_{field}")
        return place_of(given, loc) if given else self.head

    def run(self, hosts: Sequence[HostRead]) -> None:
        """All of them."""
        self.domain()
        self.networks()
        self.node_networks(hosts)
        self.public_address(hosts)
        self.forwarders(hosts)
        self.login()
        self.users()
        self.profiles()
        self.authorities()
        self.service_certificate()
        self.ports()
        self.storage(hosts)
        self.job_containers(hosts)

    def domain(self) -> None:
        """Name servers are asked for the domain, and for names in it."""
        domain = self.values.get("domain")
        if isinstance(domain, str):
            for ending, why in _OF_OTHERS.items():
                if f".{domain}".endswith(ending) and not f".{domain}".endswith(".home.arpa"):
                    self.problems.add(self.place("domain"), f"casa_domain is {domain}, and names that end with "
                                      f"{ending} {why}", "write another domain, such as casa.internal")
                    self.values = {name: value for name, value in self.values.items() if name != "domain"}

    def networks(self) -> None:
        """Networks are of use and do not overlap."""
        known = {name: net for name in ("network", "pod_network", "service_network")
                 if isinstance(net := self.values.get(name), IPv4Network)}
        limits = {"network": (8, 29), "pod_network": (8, 23), "service_network": (12, 24)}
        for name, net in known.items():
            first, last = limits[name]
            if not first <= net.prefixlen <= last:
                self.problems.add(self.place(name), f"casa_{name} is {net}",
                                  f"write a network between /{first} and /{last}")
            if any(net.overlaps(each) for each in _UNUSABLE):
                self.problems.add(self.place(name), f"casa_{name} is {net}, which hosts cannot use",
                                  "write a network such as 10.1.0.0/24")
            elif name != "network" and not any(net.subnet_of(each) for each in _PRIVATE):
                self.problems.add(self.place(name), f"casa_{name} is {net}, where others have their addresses",
                                  "write a private network such as 10.244.0.0/16")
        for one, other in combinations(known, 2):
            if known[one].overlaps(known[other]):
                at = other if f"casa_{other}" in self.given else one
                # hosts stay where they are: the network to change is the other one
                free = free_network(known.values(), known[other].prefixlen)
                self.problems.add(self.place(at), f"casa_{other} ({known[other]}) overlaps casa_{one} ({known[one]})",
                                  f"write casa_{other}={free or 'a private network'}, or another that hosts do not use")

    def node_networks(self, hosts: Sequence[HostRead]) -> None:
        """The pod network has room for every node."""
        net = self.values.get("pod_network")
        nodes = sum(bool({"kube_control", "kube_workers", "gateway"} & set(host.groups)) for host in hosts)
        if isinstance(net, IPv4Network) and net.prefixlen <= _NODE_BITS and nodes > 2 ** (_NODE_BITS - net.prefixlen):
            self.problems.add(self.place("pod_network"), f"casa_pod_network {net} is too small for {nodes} nodes",
                              f"each takes a /{_NODE_BITS}: write a larger network")

    def public_address(self, hosts: Sequence[HostRead]) -> None:
        """The public address is a free address of the network."""
        network, address = self.values.get("network"), self.values.get("public_address")
        if not isinstance(network, IPv4Network) or not isinstance(address, IPv4Address):
            return
        owner = next((host.name for host in hosts if host.address == address), None)
        wrong = (f"is outside casa_network ({network})" if address not in network
                 else "is the network's own address" if address == network.network_address
                 else "is the network's broadcast address" if address == network.broadcast_address
                 else "is the address of the network's gateway" if address == network.network_address + 1
                 else f"is the address of {owner}" if owner else None)
        if wrong:
            self.problems.add(self.place("public_address"), f"casa_public_address {address} {wrong}",
                              "write an address of the network that nothing else has")

    def forwarders(self, hosts: Sequence[HostRead]) -> None:
        """Resolvers are asked once each, are elsewhere, and can be reached."""
        own = {host.address: host.name for host in hosts if "dns" in host.groups}
        given = self.values.get("dns_forwarders") or ()
        for index, address in enumerate(given):
            wrong = ("is there already" if address in given[:index]
                     else f"is {own[address]}, which would ask itself" if address in own
                     else self._not_elsewhere(address))
            if wrong:
                self.problems.add(self.place("dns_forwarders", index), f"{address} in casa_dns_forwarders {wrong}",
                                  "write the resolver that the hosts used before, or delete it")

    def _not_elsewhere(self, address: IPv4Address) -> str | None:
        """Why an address cannot be that of a server outside of the site's own networks; None when it can."""
        if address == self.values.get("public_address"):
            return "is casa_public_address"
        for name in ("pod_network", "service_network"):
            net = self.values.get(name)
            if isinstance(net, IPv4Network) and address in net:
                return f"is inside casa_{name} ({net})"
        return "is no other host's address" if any(address in net for net in _UNUSABLE) else None

    def login(self) -> None:
        """Users log in by an identity provider, or by one password where nobody from outside can come."""
        domain = self.values.get("domain")
        if self.values.get("authenticator") == "dummy" and isinstance(domain, str):
            if not any(domain.endswith(f".{each}") for each in PRIVATE_DOMAINS):
                self.problems.add(self.place("authenticator"), f"casa_authenticator=dummy lets anybody into {domain}",
                                  "write oidc, or use a private domain such as casa.test")
        elif self.values.get("authenticator") == "oidc":
            for name in ("authorize_url", "token_url", "userinfo_url", "client_id", "client_secret"):
                if f"casa_oidc_{name}" not in self.given:
                    self.problems.add(self.place("authenticator"), f"casa_oidc_{name} is missing",
                                      f"casa_authenticator=oidc needs it: write casa_oidc_{name}")

    def users(self) -> None:
        """Names are given once and admins are users."""
        users, admins = self.values.get("users"), self.values.get("admins")
        for field, names in (("users", users), ("admins", admins)):
            for name, count in Counter(names or ()).items():
                if count > 1:
                    self.problems.add(self.place(field), f"{name} is in casa_{field} {count} times", "write it once")
        for index, name in enumerate(users or ()):
            if name in RESERVED_USERS:
                self.problems.add(self.place("users", index), f"user {name} has a name of the system",
                                  "give the account another name at the identity provider")
        if users is not None:
            for index, name in enumerate(admins or ()):
                if name not in users:
                    self.problems.add(self.place("admins", index), f"admin {name} is not in casa_users",
                                      f"add {name} to casa_users or delete it here")

    def profiles(self) -> None:
        """Profiles have names of their own and workers fit into their pods."""
        profiles: tuple[Profile, ...] = self.values.get("profiles") or ()
        if "profiles" in self.values and not profiles:
            self.problems.add(self.place("profiles"), "casa_profiles is empty", "write one profile or delete the line")
        seen: set[str] = set()
        for index, profile in enumerate(profiles):
            place, label = self.place("profiles", index), f"profile {profile.slug}"
            if profile.slug in seen:
                self.problems.add(place, f"two profiles have the slug {profile.slug}", "give each its own")
            seen.add(profile.slug)
            if profile.worker and profile.worker_cores >= profile.cores:
                self.problems.add(place, f"{label}: its worker's {profile.worker_cores} cores leave the pod nothing",
                                  f"write worker_cores below {profile.cores:g}")
            if profile.worker and _mebibytes(profile.worker_memory) >= _mebibytes(profile.memory):
                self.problems.add(place, f"{label}: its worker's memory {profile.worker_memory} leaves the pod nothing",
                                  f"write a worker_memory below {profile.memory}")

    def authorities(self) -> None:
        """Files of authorities hold certificates of such; those of the cache's origin have subjects of their own."""
        for index, file in enumerate(self.values.get("trusted_cas") or ()):
            self._held(provided.read_authorities, file, self.place("trusted_cas", index))
        seen: dict[x509.Name, x509.Certificate] = {}
        for index, file in enumerate(self.values.get("xcache_origin_cas") or ()):
            place = self.place("xcache_origin_cas", index)
            for certificate in self._held(provided.read_certificates, file, place) or ():
                if seen.setdefault(certificate.subject, certificate) != certificate:
                    self.problems.add(place, f"{file} has a second certificate of "
                                             f"{certificate.subject.rfc4514_string()}",
                                      "keep one of them: XRootD finds an authority by its subject")

    def service_certificate(self) -> None:
        """The cache's own certificate and its key come together, are fit for use and belong to each other."""
        for field, other in (("xcache_certificate", "xcache_key"), ("xcache_key", "xcache_certificate")):
            if f"casa_{field}" in self.given and f"casa_{other}" not in self.given:
                self.problems.add(self.place(field), f"casa_{other} is missing",
                                  f"casa_{field} needs it: write casa_{other}")
        file, key_file = self.values.get("xcache_certificate"), self.values.get("xcache_key")
        certificate = file and self._held(provided.read_certificate, file, self.place("xcache_certificate"))
        if file and certificate:
            try:
                provided.ensure_valid_now(file, certificate)
            except provided.UnusableError as error:
                self.passing.add(self.place("xcache_certificate"), str(error), error.remedy)
        key = key_file and self._held(provided.read_key, key_file, self.place("xcache_key"))
        if certificate and key and certificate.public_key() != key.public_key():
            self.problems.add(self.place("xcache_key"), f"{key_file} is not the key of {file}",
                              "write the key that the certificate was made for")

    def _held(self, read: Callable[[Path], _Held], file: Path, place: Place) -> _Held | None:
        """What a file holds, or None after noting why it cannot serve."""
        try:
            return read(file)
        except provided.UnusableError as error:
            self.problems.add(place, str(error), error.remedy)
            return None

    def ports(self) -> None:
        """Ports of endpoints are ports."""
        for field in ("xcache_origin", "debian_mirror", "oidc_authorize_url", "oidc_token_url", "oidc_userinfo_url"):
            value = self.values.get(field)
            port = re.match(r"(?:https?://)?[^/:]+:([0-9]+)", value) if isinstance(value, str) else None
            if port and not 0 < int(port[1]) <= 65535:
                self.problems.add(self.place(field), f"casa_{field} is {value}, whose port is not between 1 and 65535",
                                  "correct the port")

    def storage(self, hosts: Sequence[HostRead]) -> None:
        """The cache does not read from itself, nor from where no storage can be."""
        origin, domain = self.values.get("xcache_origin"), self.values.get("domain")
        if not isinstance(origin, str):
            return
        caches = {name: host.name for host in hosts if "xcache" in host.groups
                  for name in (host.name, f"{host.name}.{domain}", str(host.address), "xcache", f"xcache.{domain}")}
        name = origin.rpartition(":")[0].lower()
        if name in caches:
            self.problems.add(self.place("xcache_origin"),
                              f"casa_xcache_origin is {origin}, the cache {caches[name]} itself",
                              "write the host:port of the storage that it reads from")
            return
        with contextlib.suppress(AddressValueError):  # most have a name
            if wrong := self._not_elsewhere(IPv4Address(name)):
                self.problems.add(self.place("xcache_origin"), f"{name} in casa_xcache_origin {wrong}",
                                  "write the host:port of the storage that the cache reads from")

    def job_containers(self, hosts: Sequence[HostRead]) -> None:
        """Docker has its hosts for itself: Kubernetes would bring a second containerd."""
        if self.values.get("job_containers") != "docker":
            return
        for host in hosts:
            if "condor_execute" in host.groups and {"kube_control", "kube_workers", "gateway"} & set(host.groups):
                self.problems.add(self.place("job_containers"),
                                  f"casa_job_containers=docker, but {host.name} is a Kubernetes node too",
                                  f"write apptainer, or another host than {host.name} in [condor_execute]")


def free_network(taken: Iterable[IPv4Network], prefix: int) -> IPv4Network | None:
    """A private network of that prefix which overlaps none of the taken; None when there is none."""
    known = tuple(taken)
    candidates = (net for block in _PRIVATE if block.prefixlen <= prefix for net in block.subnets(new_prefix=prefix))
    return next((net for net in candidates if not any(net.overlaps(each) for each in known)), None)


def _mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]
