"""A server of XRootD has a certificate that clients trust, tells the truth about its start, and is kept up."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
AUTHORITIES: dict[str, str] = json.loads((FOLDER / "variables.json").read_text())["xrootd_authorities"]
READ = "timeout 60 xrdcp -s -f root://client-1.casa.test//trial/file /root/copy && cat /root/copy"
SETTINGS = "/etc/xrootd/xrootd-trial.cfg"


def test_clients_trust_the_server(host: Any) -> None:
    assert host.check_output(READ) == "served"


def test_who_knows_no_authority_reads_nothing(host: Any) -> None:
    host.check_output("rm -f /root/copy")
    assert host.run(f"export X509_CERT_DIR=/nowhere; {READ}").rc != 0


def test_authorities_are_those_that_the_site_names(host: Any) -> None:
    """Each is found by its hash, and has a policy; one of earlier days is gone."""
    folder = "/etc/grid-security/certificates"
    assert sorted(host.check_output(f"cd {folder} && ls -- *.pem").split()) == sorted(f"{n}.pem" for n in AUTHORITIES)
    hashes = {host.check_output(f"openssl x509 -noout -hash -in {folder}/{name}.pem") for name in AUTHORITIES}
    assert set(host.check_output(f"cd {folder} && ls | grep -v pem").split()) == {
        f"{one}.{end}" for one in hashes for end in ("0", "signing_policy")}


def test_the_key_is_the_servers_alone(host: Any) -> None:
    key = host.file("/etc/grid-security/xrd/xrdkey.pem")
    assert (key.user, key.mode) == ("xrootd", 0o400)


def test_a_wrong_directive_is_no_success(host: Any) -> None:
    host.check_output(f"cp -p {SETTINGS} /root/kept && echo 'ofs.nonsense 1' >> {SETTINGS}")
    try:
        assert host.run("systemctl restart xrootd@trial").rc != 0
        assert "unknown directive 'nonsense'" in host.check_output("journalctl -u xrootd@trial -n 20")
    finally:
        host.check_output(f"cp -p /root/kept {SETTINGS} && systemctl restart xrootd@trial")
    assert host.check_output(READ) == "served"


def test_a_killed_server_comes_back(host: Any) -> None:
    show = "systemctl show --property=MainPID --property=ActiveState xrootd@trial"
    before = host.check_output(show)
    host.check_output("systemctl kill --signal=KILL xrootd@trial")
    deadline = time.monotonic() + 60
    while (now := host.check_output(show)) == before or "ActiveState=active" not in now:
        assert time.monotonic() < deadline, now
        time.sleep(0.5)
    assert host.check_output(READ) == "served"
