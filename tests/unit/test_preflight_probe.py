"""Preflight: the program that asks a host, on this machine, which need not be a host of any site."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from casa_install import preflight
from casa_install.preflight.facts import Facts
from tests.unit.site_inventories import GOOD, load

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "playbooks" / "files" / "preflight"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_loader("probe", importlib.machinery.SourceFileLoader("probe", str(PROGRAM)))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROBE = _loaded()


def test_the_probe_tells_what_facts_need(tmp_path: Path) -> None:
    """The real program; it talks to nobody."""
    site = load(tmp_path, GOOD)
    asked = preflight.asked(site, site.hosts[0]) | {
        "address": "127.0.0.1", "peers": [["127.0.0.1", [9]]], "names": ["localhost"],
        "programs": ["python3", "casa-nonesuch"]}
    done = subprocess.run([sys.executable, PROGRAM, json.dumps(asked), "12.5"], capture_output=True, text=True,
                          check=True)
    told = Facts.model_validate(json.loads(done.stdout))
    assert (told.sent, told.uid) == (12.5, os.geteuid())
    assert set(told.spaces) == set(asked["paths"])
    assert all(0 < space.free <= space.size for space in told.spaces.values())
    assert told.forward == {"localhost": ["127.0.0.1"]}
    assert "localhost" in told.reverse
    assert list(told.programs) == ["python3"]
    assert told.memory > 2**29
    assert [(peer.address, peer.silent) for peer in told.peers] == [("127.0.0.1", {})], "a refusal is an answer"


@pytest.mark.parametrize(("processes", "packages", "state", "told"), [
    ({"systemd", "chronyd"}, "installed time-daemon", 0, ("chronyd", True, True)),
    ({"systemd-timesyn", "sshd"}, "installed time-daemon", 5, ("systemd-timesyn", True, False)),  # nothing has set it
    ({"ntpd", "chronyd"}, "installed ntp, time-daemon (= 1:2.3)", 4, ("chronyd", True, True)),  # in a leap second
    ({"sshd"}, "not-installed time-daemon\ninstalled editor, vim", 0, ("", False, True)),
    ({"sshd", "chronyc"}, "config-files time-daemon\ninstalled editor\ninstalled time-daemon", 5, ("", True, False)),
])
def test_who_keeps_the_clock_and_whether_it_is_right(processes: set[str], packages: str, state: int,
                                                     told: tuple[str, bool, bool]) -> None:
    assert tuple(PROBE.keeping(processes, f"installed \n{packages}\n", state).values()) == told


def test_the_kernel_answers_how_its_clock_is_kept() -> None:
    assert PROBE.clock_state() in range(6), "one of the kernel's states of a clock, and no error"


def chain(name: str, hook: str, policy: str = "accept", **more: str) -> dict[str, Any]:
    """A chain as nft tells it."""
    return {"chain": {"family": "ip", "table": "filter", "name": name, "handle": 2, "type": "filter", "hook": hook,
                      "prio": 0, "policy": policy} | more}


def rule(name: str, *verdict: dict[str, Any], **more: str) -> dict[str, Any]:
    """A rule as nft tells it."""
    port = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 1}}
    return {"rule": {"family": "ip", "table": "filter", "chain": name, "handle": 3,
                     "expr": [port, {"counter": {"packets": 0, "bytes": 0}}, *verdict]} | more}


@pytest.mark.parametrize(("objects", "told"), [
    ([], []),
    ([chain("INPUT", "input", "drop")], ["ip filter INPUT"]),
    ([chain("INPUT", "input"), rule("INPUT", {"drop": None})], ["ip filter INPUT"]),
    ([chain("INPUT", "input"), rule("INPUT", {"reject": {"type": "tcp reset"}})], ["ip filter INPUT"]),
    # what iptables -j REJECT makes
    ([chain("INPUT", "input"), rule("INPUT", {"xt": {"type": "target", "name": "REJECT"}})], ["ip filter INPUT"]),
    ([chain("in", "input", family="inet", table="site"), rule("in", {"drop": None}, family="inet", table="site"),
      chain("INPUT", "input", "drop")], ["inet site in", "ip filter INPUT"]),
    ([chain("INPUT", "input"), rule("INPUT", {"accept": None}, {"xt": {"type": "target", "name": "LOG"}})], []),
    ([chain("INPUT", "input"), rule("INPUT", {"jump": {"target": "drop"}})], []),
    ([chain("INPUT", "input", "drop", family="ip6")], []),
    # a chain that no packet comes to by itself, and what goes out or through (docker leaves this one)
    ([{"chain": {"family": "ip", "table": "filter", "name": "own", "handle": 5}}, rule("own", {"drop": None})], []),
    ([chain("OUTPUT", "output", "drop"), chain("FORWARD", "forward", "drop"), rule("FORWARD", {"drop": None})], []),
])
def test_chains_that_drop_what_comes_in(objects: list[dict[str, Any]], told: list[str]) -> None:
    known = [{"metainfo": {"version": "1.1.3"}}, {"table": {"family": "ip", "name": "filter", "handle": 1}}]
    assert PROBE.refusing_chains([*known, *objects]) == [f"nftables chain {each}" for each in told]


@pytest.mark.parametrize(("rules", "told"), [
    ("-P INPUT DROP\n", True),
    ("-P INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 1 -j REJECT --reject-with icmp-port-unreachable\n", True),
    ("-P INPUT ACCEPT\n-A INPUT -i eth0 -j DROP\n", True),
    ("-P INPUT ACCEPT\n-A INPUT -j KUBE-FIREWALL\n-A INPUT -i lo -j ACCEPT\n", False),
    ("", False),
])
def test_rules_of_the_older_filter_that_drop_what_comes_in(rules: str, told: bool) -> None:
    assert PROBE.refuses(rules) is told
