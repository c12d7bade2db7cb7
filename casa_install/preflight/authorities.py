"""Judges the authorities that the site brings along."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from casa_install.credentials import provided
from casa_install.preflight.findings import Finding
from casa_install.site.model import Site

SOON = dt.timedelta(days=30)


def authorities(site: Site, now: dt.datetime) -> Iterator[Finding]:
    """Certificates of ``casa_trusted_cas`` whose time is over, has not come, or ends soon."""
    for file in site.settings.trusted_cas:
        for certificate in provided.read_certificates(file):
            begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            if begin <= now < end - SOON:
                continue
            name = certificate.subject.rfc4514_string()
            yield Finding("", "", "authorities", f"casa_trusted_cas: {name} in {file} is valid from {begin:%Y-%m-%d} "
                          f"to {end:%Y-%m-%d}", "write a file with the authority's present certificate",
                          refusal=not begin <= now < end)
