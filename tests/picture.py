"""A picture of a virtual host: every file beyond its base, its software, and what runs."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from casa_install.rehearsal.hosts import Lab
from tests import remains
from tests.lab.test_lab import ssh

LEFT_OUT = (
    "run/", "tmp/", "var/tmp/", "var/log/", "root/.ansible/",  # of the moment, and told by time
    "var/cache/", "var/lib/apt/", "var/lib/dpkg/", "var/backups/",  # packages are compared by what dpkg says of them
    "etc/ssh/ssh_host_", "root/.ssh/", "etc/machine-id", "etc/.pwd.lock", "etc/.updated", "var/.updated",  # its own
    "etc/shadow", "etc/gshadow", "etc/passwd-", "etc/group-", "etc/subuid-", "etc/subgid-",  # dates, and copies
    "var/lib/systemd/", "var/lib/dbus/", "var/lib/logrotate/",  # random seeds, clocks, dates
    "etc/condor/hostcert.pem", "etc/condor/hostkey.pem", "etc/condor/trust_domain_ca", "etc/bind/rndc.key",  # random
    "var/spool/condor/", "var/spool/xrootd/",  # queues, addresses and process numbers of daemons
    "var/lib/docker/", "var/lib/containerd/", "etc/docker/key.json",  # what docker keeps for itself, with random names
    "etc/ld.so.cache",  # in the order of folders on disk; what it names is compared
)
"""Paths, or how they begin, that two installations do not make alike."""
RECORDS = ("var/lib/casa-install/files.json", "var/lib/casa-install/packages.json",
           "var/lib/casa-install/state/before.json.gz")
"""Ours of what was there before: what they say is compared, for they hold times, what is random, and an order, that of
phases side by side."""
ACCOUNTS = ("etc/passwd", "etc/group")
"""Their lines and numbers follow that order, too."""


def of_host(lab: Lab, host: str) -> dict[str, str]:
    """Thing of a host -> what it is: files with kind, mode, owner and content, packages, accounts, services."""
    upper, lower = remains.trees(lab.name, host)
    names = _names(upper, lower)
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(upper):
        for name in (*folders, *files):
            path = Path(folder) / name
            short = str(path.relative_to(upper))
            if short in RECORDS:
                found |= dict(_said(path, names))
            elif short in ACCOUNTS:
                found |= {f"/{short} {name}": ":".join(sorted(field for field in fields if not field.isdecimal()))
                          for name, *fields in (line.split(":") for line in path.read_text().splitlines())}
            elif not _left_out(short):
                seen = _file(path, names)
                if seen != (_file(lower / short, names) if os.path.lexists(lower / short) else "absent"):
                    found[f"/{short}"] = seen
    found |= dict.fromkeys(remains.of_software(lab.name, host), "software")
    found |= dict.fromkeys(map(str.strip, ssh(lab, host, "ldconfig -p").splitlines()[1:]), "library")
    for kind, state in (("units", "running"), ("units", "failed"), ("unit-files", "enabled")):
        options = f"--plain --no-legend --type=service,timer,socket --state={state}"
        listed = ssh(lab, host, f"systemctl list-{kind} {options}")
        found |= {f"{state} {line.split()[0]}": state for line in listed.splitlines()
                  if not line.startswith(("user@", "user-runtime-dir@"))}
    return found


def _names(upper: Path, lower: Path) -> dict[tuple[str, int], str]:
    """Kind and number of accounts and groups -> name: numbers follow the order of installations."""
    found = {}
    for kind in ("passwd", "group"):
        file = next(layer / "etc" / kind for layer in (upper, lower) if (layer / "etc" / kind).exists())
        for line in file.read_text().splitlines():
            name, _, number, *_ = line.split(":")
            found[kind, int(number)] = name
    return found


def _file(path: Path, names: dict[tuple[str, int], str]) -> str:
    status = path.lstat()
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:  # the overlay's sign for what is gone from the base
        return "absent"
    account = names.get(("passwd", status.st_uid), status.st_uid)
    group = names.get(("group", status.st_gid), status.st_gid)
    what = f"{stat.filemode(status.st_mode)} {account}:{group}"
    if path.is_symlink():
        return f"{what} -> {path.readlink()}"
    return f"{what} {hashlib.sha256(path.read_bytes()).hexdigest()}" if stat.S_ISREG(status.st_mode) else what


def _left_out(short: str) -> bool:
    return f"{short}/".startswith(LEFT_OUT) or short.startswith(LEFT_OUT) or "__pycache__" in short


def _said(path: Path, names: dict[tuple[str, int], str]) -> Iterator[tuple[str, str]]:
    """Each entry of a record and what it says, accounts by name."""
    packed = path.read_bytes()
    record = json.loads(gzip.decompress(packed) if path.suffix == ".gz" else packed)
    for part, entries in record.items():
        for name, entry in (entries if isinstance(entries, dict) else {"": entries}).items():
            if not _left_out(name.removeprefix("/")):
                yield f"{path.name} {part} {name}", json.dumps(_plain(entry, names), sort_keys=True)


def _plain(entry: Any, names: dict[tuple[str, int], str]) -> Any:
    """An entry without its stamp and its order."""
    if isinstance(entry, dict):
        known = {"uid": "passwd", "gid": "group"}
        return {key: names.get((known[key], value), value) if key in known else _plain(value, names)
                for key, value in entry.items() if key != "stamp"}
    return sorted(entry, key=str) if isinstance(entry, list) and all(isinstance(e, str) for e in entry) else entry


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not alike, a line each."""
    return [f"{name}: {before.get(name, 'absent')} -> {now.get(name, 'absent')}"
            for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
