"""The origin serves what was copied to it, to the cache's certificate and to nobody else."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from on_hosts import FOLDER, at, eventually, killed

VARIABLES: dict[str, Any] = json.loads((FOLDER / "variables.json").read_text())
STRANGER: dict[str, str] = json.loads((FOLDER / "stranger.json").read_text())
SITE: dict[str, str] = json.loads((FOLDER / "site.json").read_text())
SUMS = {line[66:]: line[:64] for line in (FOLDER / "data" / "SHA256SUMS").read_text().splitlines()}
SERVICE = {"certificate": VARIABLES["xcache_service_certificate"], "key": VARIABLES["xcache_service_key"]}
NAME = next(iter(SUMS))


@pytest.fixture(scope="module")
def origin() -> Any:
    return at("origin-1")


@pytest.fixture(scope="module")
def client() -> Any:
    return at("client-1")


def read(client: Any, pair: dict[str, str] | None) -> Any:
    """Copy a file with a proxy of this certificate, or with none."""
    client.check_output("rm -rf /root/grid; mkdir -m 700 /root/grid")
    if pair:
        for part, content in pair.items():
            client.check_output(f"umask 077; printf %s {shlex.quote(content)} > /root/grid/{part}")
        client.check_output("cd /root/grid && chmod 400 key && xrdgsiproxy init -valid 1:00 -cert certificate -key key "
                            "-certdir /etc/grid-security/certificates -out proxy")
    # a named proxy that is missing would end the attempt at the client, before the origin is asked
    shown = "X509_USER_PROXY=/root/grid/proxy" if pair else ""
    return client.run(f"{shown} timeout 60 xrdcp -s -f root://origin-1.casa.test//{NAME} /root/grid/copy"
                      " && sha256sum /root/grid/copy")


def served(origin: Any) -> dict[str, Any]:
    """The origin's own account."""
    counted: dict[str, Any] = json.loads(origin.check_output("casa-origin-stats"))
    return counted


def test_the_data_are_whole(origin: Any) -> None:
    origin.check_output("cd /srv && sha256sum --check --strict SHA256SUMS")


def test_the_caches_certificate_reads(client: Any, origin: Any) -> None:
    before = served(origin)["accounts"].get("xcache", {})
    done = read(client, SERVICE)
    assert done.rc == 0, done.stderr
    assert done.stdout.split()[0] == SUMS[NAME]
    after = served(origin)["accounts"]["xcache"]
    assert after["bytes_read"] - before.get("bytes_read", 0) == 8 << 20
    assert after["opens"] - before.get("opens", 0) == 1


@pytest.mark.parametrize("pair", [STRANGER, SITE, None],
                         ids=["of the same authority", "of the site's authority", "none"])
def test_no_other_certificate_reads(client: Any, origin: Any, pair: dict[str, str] | None) -> None:
    before = served(origin)
    done = read(client, pair)
    assert done.rc != 0
    assert "Auth failed" in done.stderr
    after = served(origin)
    assert after["accounts"] == before["accounts"]


def test_a_damaged_file_is_noticed_and_replaced_by_the_next_run(origin: Any) -> None:
    origin.check_output(f"echo damage >> /srv/{NAME}")
    assert origin.run("cd /srv && sha256sum --check --quiet SHA256SUMS").rc != 0


def test_a_killed_server_comes_back(client: Any, origin: Any) -> None:
    killed(origin, "xrootd@origin")
    assert eventually(lambda: read(client, SERVICE).rc == 0)
