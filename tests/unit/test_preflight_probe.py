"""Preflight: the program that asks a host, on this machine, which need not be a host of any site."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from casa_install import preflight
from casa_install.preflight.facts import Facts
from tests.unit.site_inventories import GOOD, load

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "playbooks" / "files" / "preflight"


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
