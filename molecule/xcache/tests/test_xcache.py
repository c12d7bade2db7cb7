"""The cache lets in who shows a good token, fetches once, and tells its origin nothing of the user."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import pytest
from conftest import FILES, SUMS, VARIABLES, Outcome, Transfer, in_memory, macaroon

FIRST, SECOND, THIRD = FILES
RETURN_SECONDS = 30
"""How soon the cache finds an origin that was down."""


def stats(machine: Any, program: str) -> dict[str, Any]:
    """What one of the counters' programs says."""
    counted: dict[str, Any] = json.loads(machine.check_output(program))
    return counted


def patiently(read: Transfer, name: str, token: str) -> Outcome:
    """Read what the cache lacks, from an origin that may just have come back."""
    end = time.monotonic() + RETURN_SECONDS
    while (outcome := read(name, token)).status and time.monotonic() < end:
        time.sleep(2)
    return outcome


def test_a_first_read_comes_from_the_origin_unchanged(read: Transfer, cache: Any, origin: Any) -> None:
    before = stats(origin, "casa-origin-stats")["accounts"].get("xcache", {}).get("bytes_read", 0)
    outcome = read(FIRST, macaroon())
    assert outcome.status == 0, outcome.said
    assert outcome.said.split()[0] == SUMS[FIRST.lstrip("/")]
    served = stats(origin, "casa-origin-stats")["accounts"]
    assert set(served) == {"xcache"}
    assert served["xcache"]["bytes_read"] - before == 8 << 20
    kept = stats(cache, f"casa-xcache-stats --below {FIRST.rsplit('/', 1)[0]}")
    assert kept["files"] == kept["complete_files"] == 1
    assert kept["disk_used_bytes"] == kept["size_bytes"] == 8 << 20


def test_a_second_read_needs_no_origin(read: Transfer, cache: Any, origin: Any) -> None:
    assert read(FIRST, macaroon()).status == 0
    before = stats(cache, "casa-xcache-stats")
    origin.check_output("systemctl stop xrootd@origin")
    try:
        outcome = read(FIRST, macaroon())
        absent = read(THIRD, macaroon())
    finally:
        origin.check_output("systemctl start xrootd@origin")
    assert outcome.status == 0, outcome.said
    assert outcome.said.split()[0] == SUMS[FIRST.lstrip("/")]
    assert absent.status != 0
    after = stats(cache, "casa-xcache-stats")
    assert after["bytes_hit"] - before["bytes_hit"] == 8 << 20
    for counter in ("bytes_missed", "bytes_bypassed", "disk_used_bytes"):
        assert after[counter] == before[counter]


@pytest.mark.parametrize("flaw", [
    {"hours": -0.1},
    {"hours": 24 * 366},
    {"key": secrets.token_bytes(64)},
    {"location": "T1_XX_Elsewhere"},
    {"path": "/store/user"},
    {"path": "/store/mc/te/"},
    {"activity": "LIST"},
], ids=["expired", "too long-lived", "wrong key", "other site", "other path", "beginning of a name", "may only list"])
def test_a_flawed_token_reads_nothing(read: Transfer, flaw: dict[str, Any]) -> None:
    assert read(FIRST, macaroon(**flaw)).denied


@pytest.mark.parametrize("token", [None, "garbage"])
def test_without_a_token_nothing_is_read(read: Transfer, token: str | None) -> None:
    assert read(FIRST, token).denied


@pytest.mark.parametrize("activity", ["DOWNLOAD", "DOWNLOAD,UPLOAD,MANAGE,DELETE"])
def test_nothing_is_written(client: Any, activity: str) -> None:
    client.check_output(f"umask 077; printf %s {macaroon(activity=activity)} > /root/token; date > /root/new")
    for command in ("xrdcp -s -f /root/new root://xcache//store/mc/test/new.root", "xrdfs xcache mkdir /store/new",
                    f"xrdfs xcache rm {FIRST}"):
        done = client.run(f"BEARER_TOKEN_FILE=/root/token timeout 60 {command}")
        assert done.rc != 0, command


def test_a_tree_whose_name_begins_alike_is_not_exported(read: Transfer, issuer: Any) -> None:
    for token in (macaroon(path="/"), issuer(scope="storage.read:/")):
        outcome = read("/store-private/file.root", token)
        assert outcome.status != 0
        assert "is disallowed" in outcome.said


def test_nobody_evicts_what_he_may_not_read(client: Any, cache: Any, read: Transfer) -> None:
    assert read(FIRST, macaroon()).status == 0
    for token in ("garbage", macaroon(path="/store/user/"), macaroon(activity="LIST")):
        client.check_output(f"umask 077; printf %s {token} > /root/token")
        for command in ("evict", "fevict"):
            done = client.run(f"BEARER_TOKEN_FILE=/root/token timeout 60 xrdfs xcache cache {command} {FIRST}")
            assert done.rc != 0, command
    assert cache.file(f"/var/cache/xcache{FIRST}").exists


def test_other_folders_of_the_host_are_not_exported(read: Transfer) -> None:
    for name in ("/etc/passwd", "/store/../etc/passwd", "/store/../pfc-stats/DirStat.json"):
        assert read(name, macaroon(path="/")).status != 0


def test_a_token_of_an_issuer_reads(read: Transfer, issuer: Any) -> None:
    outcome = read(FIRST, issuer())
    assert outcome.status == 0, outcome.said
    assert read(FIRST, issuer(seconds=-600)).denied
    assert read(FIRST, issuer(scope="storage.read:/store/user")).denied
    assert read(FIRST, issuer(audience="https://elsewhere.casa.test")).denied


def test_authorities_are_those_that_the_site_names(cache: Any) -> None:
    folder = "/etc/grid-security/certificates"
    named = sorted(f"{name}.pem" for name in VARIABLES["xrootd_authorities"])
    assert sorted(cache.check_output(f"cd {folder} && ls -- *.pem").split()) == named
    assert sorted(cache.check_output(f"cd {folder} && readlink -- *.0").split()) == named
    assert not cache.file(f"{folder}/01234567.signing_policy").exists


def test_clients_without_tls_are_refused(client: Any) -> None:
    client.check_output(f"umask 077; printf %s {macaroon()} > /root/token")
    done = client.run("BEARER_TOKEN_FILE=/root/token X509_CERT_DIR=/nowhere "
                      f"timeout 60 xrdcp -s -f root://xcache/{FIRST} /root/copy")
    assert done.rc != 0


def test_the_origin_never_receives_the_users_token(read: Transfer, cache: Any, origin: Any) -> None:
    token = macaroon()
    outcome = patiently(read, SECOND, token)
    assert outcome.status == 0, outcome.said
    assert in_memory(cache, token[-40:]) > 0
    assert in_memory(origin, token[-40:]) == 0


def test_a_cache_without_its_credential_is_down_and_heals(read: Transfer, cache: Any) -> None:
    key = "/etc/grid-security/xrd/servicekey.pem"
    cache.check_output(f"mv {key} /root/servicekey.pem && rm /run/xcache-proxy/x509proxy; systemctl stop xcache-proxy")
    try:
        assert cache.run("systemctl restart xrootd@xcache").rc != 0
    finally:
        cache.check_output(f"mv /root/servicekey.pem {key} && systemctl restart xcache-proxy")
    cache.check_output("timeout 60 sh -c 'until systemctl is-active --quiet xrootd@xcache; do sleep 1; done'")
    outcome = patiently(read, THIRD, macaroon())
    assert outcome.status == 0, outcome.said
    assert cache.check_output("systemctl is-active xcache-proxy.timer") == "active"


def test_secrets_are_the_servers_alone(cache: Any) -> None:
    for path in ("/etc/xrootd/macaroon-secret", "/etc/grid-security/xrd/xrdkey.pem",
                 "/etc/grid-security/xrd/servicekey.pem"):
        file = cache.file(path)
        assert (file.user, file.mode) == ("xrootd", 0o400)
    log = cache.check_output("cat /var/log/xrootd/xcache/xrootd.log")
    assert VARIABLES["xcache_macaroon_secret"] not in log


def test_a_wrong_directive_is_no_success(cache: Any) -> None:
    settings = "/etc/xrootd/xrootd-xcache.cfg"
    cache.check_output(f"cp -p {settings} /root/kept && echo 'pss.setopt ConnectionWindow 5' >> {settings}")
    try:
        assert cache.run("systemctl restart xrootd@xcache").rc != 0
        assert "ConnectionWindow" in cache.check_output("journalctl -u xrootd@xcache -n 20")
    finally:
        cache.check_output(f"cp -p /root/kept {settings} && systemctl restart xrootd@xcache")
