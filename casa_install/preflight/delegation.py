"""Judges whether the rest of the world finds the site's names: as far as the installing machine's name service knows.

Only the name servers that this machine is set to are asked, and nothing of a rehearsal or below ``.test``.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dns.exception
import dns.resolver

from casa_install.preflight.findings import Finding
from casa_install.site.model import Site

PATIENCE = 3
"""Seconds for all name servers together."""
LABEL = "casa-install-check"
"""Stands for any user below a wildcard."""

Answers = dict[str, tuple[str, ...] | None]
"""Name -> its addresses, none when it does not exist; None when nobody answered."""


def ask(site: Site) -> Answers:
    """Look up the names that users need; nothing when there is nothing to ask for, or nobody to ask."""
    domain = site.settings.domain
    if site.settings.rehearsal or domain.endswith(".test"):
        return {}
    names = (f"hub.{domain}", f"{LABEL}.dask.{domain}", f"{LABEL}.dask-worker.{domain}")
    try:
        resolver = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return {}
    resolver.lifetime = PATIENCE

    def looked_up(name: str) -> tuple[str, ...] | None:
        try:
            return tuple(sorted(str(each) for each in resolver.resolve(f"{name}.", "A", search=False)))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.exception.DNSException:
            return None

    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(looked_up, names), strict=True))


def delegation(site: Site, answers: Answers, *, serves: bool) -> Iterator[Finding]:
    """Names without an address or with a wrong one.

    :param serves: the site's own name servers have been set up: before, a delegation that is right leads nowhere.
    """
    domain, public = site.settings.domain, str(site.settings.public_address)
    servers = [(f"{site.fqdn(host)}.", host.address) for host in site.group("dns")]
    wanted = [f"{domain}. NS {name}" for name, _ in servers] + [f"{name} A {address}" for name, address in servers]
    remedy = (f"ask those who run the zone above {domain} for the records {'; '.join(wanted)}, or let your resolvers "
              f"forward {domain} to {', '.join(str(address) for _, address in servers)}")
    unknown = [name for name, found in answers.items() if found == () or (found is None and serves)]
    if unknown:
        yield Finding("", "", "delegation", f"this machine's name service has no address of {', '.join(unknown)}",
                      remedy, refusal=False)
    for name, found in answers.items():
        if found and found != (public,):
            yield Finding("", "", "delegation", f"this machine's name service gives {name} the address "
                          f"{', '.join(found)}, and casa_public_address is {public}", remedy, refusal=False)
