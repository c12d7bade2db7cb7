"""The Debian mirror that this machine uses: virtual hosts and image builds take their packages from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")
_RELEASES = {"stable", "testing", "unstable", "oldstable", "sid", "bullseye", "bookworm", "trixie", "forky"}


class NoMirrorError(RuntimeError):
    """The machine's apt sources name no Debian mirror."""


@dataclass(frozen=True)
class Source:
    """One place that apt takes binary packages from."""

    uri: str
    suite: str
    components: tuple[str, ...]


def apt_sources(apt: Path = APT) -> Iterator[Source]:
    """Yield the enabled sources of binary packages in both of apt's formats, in apt's order of files."""
    folder = apt / "sources.list.d"
    paths = [apt / "sources.list", *(sorted(folder.iterdir()) if folder.is_dir() else [])]
    for path in paths:
        if not path.is_file():
            continue
        if path.suffix == ".sources":
            yield from _deb822(path.read_text())
        elif path.suffix == ".list":
            yield from _one_line(path.read_text())


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^]]*]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match:
            yield Source(_real(match[1]), match[2], tuple(match[3].split()))


def _deb822(text: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(_real(uri), suite, tuple(fields.get("components", "").split()))


def _real(uri: str) -> str:
    """Follow apt's ``mirror+file:`` method to the list's first entry."""
    if uri.startswith("mirror+file:"):
        listing = Path(uri.removeprefix("mirror+file:"))
        if listing.is_file():
            entries = [line.split()[0] for line in listing.read_text().splitlines() if line.strip()
                       and not line.startswith("#")]
            if entries:
                uri = entries[0]
    return uri.rstrip("/")


def machine_mirror(apt: Path = APT) -> str:
    """Return the URL of the Debian archive that the machine uses, without a trailing slash.

    :raises NoMirrorError: on machines that are not Debian or have no sources.
    """
    for source in apt_sources(apt):
        if source.suite in _RELEASES and "main" in source.components:
            return source.uri
    raise NoMirrorError(
        f"the apt sources of this machine ({apt}) name no Debian archive: write casa_debian_mirror=<URL> "
        "into the inventory's [all:vars]"
    )


def security_mirror(mirror: str | None = None, apt: Path = APT) -> str:
    """Return the URL of Debian's security archive that goes with a mirror (the machine's own by default).

    Mirrors keep it beside the archive under the same name with ``-security``.

    :raises NoMirrorError: see :func:`machine_mirror`.
    """
    if mirror is None:
        for source in apt_sources(apt):
            release = re.split(r"[-/]", source.suite)[0]
            known = release in _RELEASES and re.search(r"[-/](security|updates)$", source.suite)
            if known and "security" in source.uri:
                return source.uri
        mirror = machine_mirror(apt)
    return f"{mirror.rstrip('/')}-security"
