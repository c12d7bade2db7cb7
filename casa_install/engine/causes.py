"""Why a task failed, in one sentence, and what puts it right: known by the words of modules and daemons.

Words of a module often hide the cause ("Unable to start service"), so the host is asked for its circumstances too: what
its failing units said last, which file systems are full, who listens where, what its clock says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

CLOCK_SKEW = 30
"""Seconds between two clocks from which on certificates and tokens are no longer believed."""
FULL = 99
"""Percent of a file system from which on it counts as full."""


@dataclass(frozen=True)
class Cause:
    """One kind of failure.

    ``words`` is a regular expression; its named groups may be used in ``meaning`` and ``remedy``.
    """

    words: str
    meaning: str
    remedy: str


@dataclass(frozen=True)
class Explanation:
    """What went wrong, and what to do, each one sentence without a full stop."""

    meaning: str
    remedy: str


@dataclass(frozen=True)
class Circumstances:
    """What a host says of itself after a failure; of one that could not be asked, nothing is known."""

    units: Mapping[str, list[str]] = field(default_factory=dict)
    """Unit that has just failed or starts again and again -> its last words, oldest first."""
    full: Mapping[str, int] = field(default_factory=dict)
    """Mount point -> percent used, of those that are full."""
    listeners: Mapping[int, str] = field(default_factory=dict)
    """Port -> program that listens there."""
    clock: float = 0
    """Seconds that the host's clock is ahead of this machine's."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Package source that does not answer -> why, in a few words."""
    starved: list[str] = field(default_factory=list)
    """Units of which the kernel killed a process for want of memory in the last minutes."""

    @classmethod
    def read(cls, text: str, now: float) -> Self:
        """From what ``playbooks/files/circumstances`` prints; ``now`` is this machine's time in seconds.

        :raises ValueError: the text is none of its.
        """
        facts = json.loads(text)
        return cls(units=facts["units"], starved=facts["starved"], sources=facts["sources"], clock=facts["clock"] - now,
                   full={mount: used for mount, used in facts["used"].items() if used >= FULL},
                   listeners={int(port): program for port, program in facts["listeners"].items()})


CAUSES = (
    Cause(r"No space left on device|no space left on device|ENOSPC|not enough free space|Disk quota exceeded",
          "there is no space left on the host", "free space, or mount a larger file system where the data goes"),
    Cause(r"Read-only file system|Destination (?P<place>\S+) not writable", "a place on the host cannot be written to",
          "a file system with disk errors becomes read-only: see dmesg on the host, repair it, mount it for writing"),
    Cause(r"dpkg was interrupted", "an earlier installation of packages was interrupted on the host",
          "run on the host: dpkg --configure -a"),
    Cause(r"Could not get lock (?P<lock>\S+?)[.,]?\s|Failed to lock apt|is another process using it",
          "another program has been installing packages on the host for too long",
          "let it end (ps -C apt,apt-get,dpkg,unattended-upgr), and run again"),
    Cause(r"unmet dependencies|held broken packages|pkgProblemResolver",
          "packages of the host contradict those that are needed",
          "run on the host: apt-get --fix-broken install; and look for holds with apt-mark showhold"),
    Cause(r"No package matching '(?P<package>[^']+)'|Unable to locate package (?P<package2>\S+)|"
          r"no installation candidate",
          "the host's package sources do not have a package that is needed",
          "let /etc/apt/sources.list.d name Debian 13 (trixie) main, and run apt-get update"),
    Cause(r"NO_PUBKEY|is not signed|invalid signature|signatures couldn't be verified|signatures were invalid|"
          r"signature verification|Missing key",
          "the host's package sources are not signed by a key that it knows",
          "set the key with Signed-By in the source, or take the source out"),
    Cause(r"Hash Sum mismatch|File has unexpected size|Mirror sync in progress",
          "the package mirror is being changed, or something on the way alters what it sends",
          "wait a few minutes, or set casa_debian_mirror to another mirror"),
    Cause(r"Release file for .* is (?P<when>expired|not valid yet)",
          "the package mirror's index is {when} by the host's clock",
          "set the host's clock right (timedatectl), or use a mirror that is kept up to date"),
    Cause(r"Temporary failure resolving '(?P<name>[^']+)'|Could not resolve host:? (?P<name2>[\w.-]+)|"
          r"Temporary failure in name resolution|Name or service not known|lookup (?P<name3>[\w.-]+).*: no such host|"
          r"server misbehaving",
          "a name cannot be resolved", "let the host's name servers (/etc/resolv.conf) answer for it"),
    Cause(r"x509: certificate has expired or is not yet valid|certificate has expired|certificate is not yet valid|"
          r"certificate expired",
          "a certificate is not valid at this time", "renew the certificate, or set right the clock that is wrong"),
    Cause(r"certificate is valid for (?P<valid>.+?), not (?P<name>\S+)|[Hh]ostname mismatch|"
          r"not valid for '(?P<name2>[^']+)'|doesn't match (?P<name3>\S+)",
          "a certificate is made for another name", "let the server use one with the name that is asked for"),
    Cause(r"signed by unknown authority|unable to get local issuer|self[- ]signed certificate|unknown ca\b|"
          r"certificate verify failed|unable to verify the first certificate",
          "a certificate is signed by an authority that is not trusted there",
          "name the authority's certificate in casa_trusted_cas, or let the server use one of the site's"),
    Cause(r"digest mismatch|[Dd]igest did not match|does not match the expected|checksum (?:mismatch|did not match)|"
          r"wrong diff id|unexpected commit digest|error verifying \S+ checksum|verification failed for digest",
          "something arrived that is not what was published",
          "find out who changed the registry's files, and run again with --no-skip: images are then published again"),
    Cause(r"manifest unknown|not found: manifest|name unknown|NAME_UNKNOWN|MANIFEST_UNKNOWN",
          "the registry lacks an image", "run again with --no-skip: what is missing is published again"),
    Cause(r"\b401:? Unauthorized|authentication required|no basic auth credentials|403:? Forbidden|denied: ",
          "a server refuses the credentials", "compare the credentials with those the server knows"),
    Cause(r"Cannot allocate memory|Out of memory|out of memory|oom[-_ ]kill|memory exhausted|MemoryError|bad_alloc",
          "there is too little memory on the host", "give it more, or take components off it"),
    Cause(r"Unit (?P<unit>\S+) is masked", "the unit {unit} is masked",
          "find out why, then run on the host: systemctl unmask {unit}"),
    Cause(r"Could not find the requested service (?P<unit>[^\s:]+)", "the host has no unit {unit}",
          "see whether its package is installed, and run again with --no-skip"),
    Cause(r"(?:UID|GID) '?(?P<number>\d+)'? (?:is not unique|already exists)",
          "a number of an account that is needed is taken on the host",
          "see with getent passwd and getent group by whom"),
    Cause(r"Module (?P<module>\S+) not found in directory", "the host's kernel lacks a module",
          "install Debian's kernel (linux-image-amd64) and boot it"),
    Cause(r"failed to validate", "a program does not accept the settings that are made for it",
          "correct the setting that the words below name"),
    Cause(r"Missing sudo password|Incorrect sudo password|sudo: a password is required",
          "sudo does not let the account work as root", "correct ansible_become_password, or let sudo ask for none"),
    Cause(r"Decryption failed|vault secrets? (?:were|was) found that could decrypt",
          "an encrypted value does not open", "set ANSIBLE_VAULT_PASSWORD_FILE to the file with its password"),
    Cause(r"Too many open files|too many open files", "the limit of open files is reached",
          "raise fs.file-max or the unit's LimitNOFILE"),
    Cause(r"No route to host|Network is unreachable|network is unreachable",
          "a host cannot be reached from another", "switch it on, and let routes and firewalls pass"),
)
WEAK_CAUSES = (
    Cause(r"Permission denied", "the host does not allow it",
          "look for SELinux, AppArmor or mount options that forbid it"),
    Cause(r"dial tcp (?P<place>\S+): connect: connection refused|[Cc]onnection refused",
          "nothing listens at a place that is needed", "see which daemon should, and why it does not run"),
    Cause(r"timed out|[Tt]imeout|deadline exceeded", "something did not answer in time",
          "see on the host what it is waiting for, and run again"),
)
"""Words that are often only what another cause led to."""
_PORT_TAKEN = re.compile(r"[Aa]ddress (?:already )?in use|EADDRINUSE|port is already allocated|Port \d+ is in use")
_PORT = re.compile(r"(?:[:\]#]|\bport[ =:]+)(\d{2,5})\b", re.IGNORECASE)
_UNREACHABLE = Explanation("the host no longer answers by ssh", "switch it on, look at its console, and run again")


def explain(message: str, circumstances: Circumstances, *, unreachable: bool = False) -> Explanation | None:
    """The cause of a failure as far as it is known; None when the module's words must speak for themselves."""
    if unreachable:
        return _UNREACHABLE
    said = [line for words in circumstances.units.values() for line in words]
    texts = [*reversed(message.splitlines()), *reversed(said)]
    found = (_by_clock(circumstances.clock), _by_port(texts, circumstances.listeners),
             _by_sources(circumstances.sources), _by_words(CAUSES, texts), _by_shortage(circumstances),
             _by_units(circumstances.units), _by_words(WEAK_CAUSES, texts))
    return next((explanation for explanation in found if explanation), None)


def _by_clock(ahead: float) -> Explanation | None:
    if abs(ahead) < CLOCK_SKEW:
        return None
    return Explanation(f"the host's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's",
                       "let a time service set it (timedatectl), and this machine's too")


def _by_port(texts: list[str], listeners: Mapping[int, str]) -> Explanation | None:
    line = next((line for line in texts if _PORT_TAKEN.search(line)), None)
    if line is None:
        return None
    ports = [int(port) for port in _PORT.findall(line)]
    port = next((port for port in ports if port in listeners), ports[-1] if ports else None)
    which = f"port {port}" if port else "a port that is needed"
    holder = f" by {listeners[port]}" if port is not None and port in listeners else ""
    return Explanation(f"{which} is taken{holder}", "stop the program that listens there, or move it to another port")


def _by_sources(sources: Mapping[str, str]) -> Explanation | None:
    for source, why in sources.items():
        return Explanation(f"the package source {source} cannot be reached: {why}",
                           "let the host reach it (names, firewall, proxy), or set casa_debian_mirror to another")
    return None


def _by_shortage(circumstances: Circumstances) -> Explanation | None:
    if circumstances.full:
        return Explanation(f"the file system at {', '.join(sorted(circumstances.full))} is full",
                           "free space there, or mount a larger one")
    if starved := [unit for unit in circumstances.starved if unit in circumstances.units]:
        return Explanation(f"the kernel ended {', '.join(starved)} for want of memory",
                           "give the host more, or take components off it")
    return None


def _by_words(causes: Sequence[Cause], texts: list[str]) -> Explanation | None:
    for cause in causes:
        for line in texts:
            if found := re.search(cause.words, line):
                named = {name.rstrip("0123456789"): value for name, value in found.groupdict().items() if value}
                what = ", ".join(value for name, value in named.items() if f"{{{name}}}" not in cause.meaning)
                return Explanation(cause.meaning.format_map(named) + (f" ({what})" if what else ""),
                                   cause.remedy.format_map(named))
    return None


def _by_units(units: Mapping[str, list[str]]) -> Explanation | None:
    for unit, words in units.items():
        last = f": {words[-1]}" if words else ", and says nothing"
        return Explanation(f"{unit} does not stay up{last}", f"see on the host: journalctl --unit {unit}")
    return None
