"""How the machine reaches its Debian mirror, so that its virtual hosts reach it the same way."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from casa_install.rehearsal.commands import RehearsalError, run

RELEASES = ("bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable")
COPIED = re.compile(r"Acquire::(http|https)::|Acquire::(Check-Date|Max-FutureTime|Retries|ForceIPv[46])\b")


@dataclass(frozen=True)
class Mirror:
    """Where Debian comes from: URLs of the archive and of the security archive."""

    archive: str
    security: str | None

    def sources(self, suite: str) -> list[str]:
        """One-line sources of a stable suite with its updates."""
        lines = [f"deb {self.archive} {suite} main", f"deb {self.archive} {suite}-updates main"]
        if self.security:
            lines.append(f"deb {self.security} {suite}-security main")
        return lines


def entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """URL and suites of each binary source in a sources file, deb822 or one-line."""
    if re.search(r"(?mi)^types\s*:", text):
        yield from _deb822(text)
        return
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line)
        if found:
            yield found[1], [found[2]]


def _deb822(text: str) -> Iterator[tuple[str, list[str]]]:
    uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", uncommented):
        fields: dict[str, str] = {}
        last = ""
        for line in paragraph.splitlines():
            if line[:1].isspace():
                fields[last] = f"{fields.get(last, '')} {line.strip()}"
            elif ":" in line:
                last, _, value = line.partition(":")
                last = last.strip().lower()
                fields[last] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for url in fields.get("uris", "").split():
            yield url, fields.get("suites", "").split()


def find_mirror(texts: list[str]) -> Mirror | None:
    """The first Debian archive that the sources name, and the first security archive."""
    archive = security = None
    for url, suites in (entry for text in texts for entry in entries(text)):
        for suite in suites:
            release, _, rest = suite.partition("-")
            if release in RELEASES and rest == "security":
                security = security or url
            elif release in RELEASES:
                archive = archive or url
    return Mirror(archive.rstrip("/"), security.rstrip("/") if security else None) if archive else None


def machine_mirror(chosen: str | None = None, apt: Path = Path("/etc/apt")) -> Mirror:
    """The mirror that was chosen, or else the one of the machine's own sources.

    :raises RehearsalError: there is neither.
    """
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    texts = [path.read_text() for path in files if path.suffix in (".list", ".sources") and path.is_file()]
    own = find_mirror(texts)
    if chosen:
        return Mirror(chosen.rstrip("/"), own.security if own else None)
    if own is None:
        raise RehearsalError(f"no source of a Debian release below {apt}: name a Debian mirror (casa_debian_mirror)")
    return own


def machine_settings() -> str:
    """The machine's apt settings for proxies, certificates and clocks, as an apt configuration file."""
    lines = [line for line in run("apt-config", "dump").splitlines() if COPIED.match(line)]
    told = "\n".join(lines)
    for scheme in ("http", "https"):
        proxy = os.environ.get(f"{scheme}_proxy") or os.environ.get(f"{scheme.upper()}_PROXY")
        if proxy and f"Acquire::{scheme}::Proxy " not in told:
            lines.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    for line in lines:
        proxy_url = re.search(r'::Proxy(?:::\S+)? "(.*)";', line)
        if proxy_url and is_loopback(urlsplit(proxy_url[1]).hostname or ""):
            raise RehearsalError(
                f"apt's proxy {proxy_url[1]} listens on the machine's loopback, where virtual hosts cannot reach it: "
                "let it listen on an address of the machine and name that address"
            )
    return "".join(f"{line}\n" for line in lines)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means the machine itself only."""
    return host in ("localhost", "::1") or host.startswith("127.")


def mirror_host_lines(mirror: Mirror, hosts_file: str) -> list[str]:
    """Lines of a hosts file that name the mirror: where DNS does not know it, virtual hosts need them too."""
    wanted = {urlsplit(url).hostname for url in (mirror.archive, mirror.security) if url}
    lines = []
    for line in hosts_file.splitlines():
        words = line.split("#")[0].split()
        if len(words) > 1 and wanted & set(words[1:]) and not is_loopback(words[0]):
            lines.append(" ".join(words))
    return lines


def referenced_files(settings: str) -> list[Path]:
    """Files (CA bundles, client certificates) that apt settings name and that exist."""
    named = re.findall(r'(?i)(?:CaInfo|SslCert|SslKey|IssuerCert|CrlFile) "(/[^"]+)"', settings)
    return sorted({Path(name) for name in named if Path(name).is_file()})
