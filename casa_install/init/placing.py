"""Which host does what: as the admin says, or by the number of hosts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from casa_install.site.model import GROUPS
from casa_install.site.problems import nearest

CHOICES = tuple(group for group in GROUPS if group != "origin")
"""Groups of a real site."""
_WORD = re.compile(r"([^=:]+)=([^=:]+)(?::(.+))?")
_CONTROL, _NODES, _JOBS = ("kube_control",), ("kube_workers", "gateway"), ("condor_execute",)
_POOL, _NAMES, _CACHE = ("condor_manager", "condor_access"), ("dns", "registry"), ("xcache",)
_PLACES: dict[int, tuple[tuple[str, ...], ...]] = {
    2: ((*_CONTROL, *_POOL, *_NAMES), (*_NODES, *_JOBS, *_CACHE)),
    3: (_CONTROL, (*_POOL, *_NAMES, *_CACHE), (*_NODES, *_JOBS)),
    4: (_CONTROL, (*_POOL, *_NAMES, *_CACHE), _NODES, _JOBS),
    5: (_CONTROL, (*_POOL, *_NAMES), _CACHE, _NODES, _JOBS),
    6: (_CONTROL, _NAMES, _POOL, _CACHE, _NODES, _JOBS),
    7: (_CONTROL, _NAMES, _POOL, _CACHE, ("gateway",), ("kube_workers",), _JOBS),
}
"""Number of hosts -> groups of the first, the second …; further hosts are execute points."""


def place(words: Sequence[str]) -> dict[str, list[str]]:
    """Group -> its lines in an inventory, from words such as ``kube-1=10.1.0.11:kube_control+dns``.

    Without any ``:GROUP+GROUP`` the number of hosts decides. Names and addresses are left to the Site's checks.

    :raises ValueError: a word cannot be read, or only some hosts have groups; says what to write.
    """
    hosts: list[tuple[str, str, tuple[str, ...]]] = []
    for word in words:
        match = _WORD.fullmatch(word)
        if not match:
            raise ValueError(f"{word} is not a host; write NAME=ADDRESS or NAME=ADDRESS:GROUP+GROUP")
        groups = tuple(match[3].split("+")) if match[3] else ()
        for group in groups:
            if group not in CHOICES:
                raise ValueError(f"{group} of {match[1]} is not a group; "
                                 + nearest(group, CHOICES, f"groups are {', '.join(CHOICES)}"))
        if match[1] in (name for name, _, _ in hosts):
            raise ValueError(f"{match[1]} is there twice; give each host its own name")
        hosts.append((match[1], match[2], groups))
    placed = [name for name, _, groups in hosts if groups]
    if not placed:
        hosts = _by_number([(name, address) for name, address, _ in hosts])
    elif len(placed) < len(hosts):
        rest = next(name for name, _, groups in hosts if not groups)
        raise ValueError(f"{placed[0]} has groups and {rest} has none; write them for every host or for none")
    return _lines(hosts)


def _by_number(hosts: list[tuple[str, str]]) -> list[tuple[str, str, tuple[str, ...]]]:
    if len(hosts) < min(_PLACES):
        raise ValueError(f"{len(hosts)} host is too few; write at least two: the control plane has its host without "
                         "users' pods")
    places = _PLACES[min(len(hosts), max(_PLACES))]
    return [(name, address, places[index] if index < len(places) else _JOBS)
            for index, (name, address) in enumerate(hosts)]


def _lines(hosts: list[tuple[str, str, tuple[str, ...]]]) -> dict[str, list[str]]:
    """A host's address stands where it is mentioned first."""
    told: set[str] = set()
    lines: dict[str, list[str]] = {group: [] for group in CHOICES}
    for group in CHOICES:
        for name, address, groups in hosts:
            if group in groups:
                lines[group].append(name if name in told else f"{name} ansible_host={address}")
                told.add(name)
    return lines
