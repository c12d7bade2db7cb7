"""The host trusts the site's authority, and nobody else whom it did not trust before."""

from __future__ import annotations

import pytest
from on_hosts import FOLDER, converge
from testinfra.host import Host

STORE = "/etc/ssl/certs"


def fetch(host: Host, name: str, port: int) -> int:
    """Exit status of curl against a server with the certificate of that name."""
    command = (f"openssl s_server -quiet -www -accept 127.0.0.1:{port} -cert /root/{name}.pem -key /root/{name}.key & "
               f"server=$!; curl --silent --output /dev/null --retry 20 --retry-connrefused --retry-delay 1 "
               f"--resolve {name}.casa.test:{port}:127.0.0.1 https://{name}.casa.test:{port}/; status=$?; "
               "kill $server; exit $status")
    return int(host.run(command).rc)


@pytest.mark.parametrize(("name", "port", "status"), [("site", 8441, 0), ("stranger", 8442, 60)])
def test_trust(host: Host, name: str, port: int, status: int) -> None:
    assert fetch(host, name, port) == status


def test_clock_is_left_to_the_machine(host: Host) -> None:
    assert not host.package("chrony").is_installed


def store(host: Host) -> str:
    """Every link of the trust store with its target, and how many certificates are in its bundle."""
    return str(host.check_output(f"cd {STORE} && find . -type l -printf '%%p %%l\\n' | sort; "
                                 "grep --count 'BEGIN CERTIFICATE' ca-certificates.crt; ls"))


def test_an_interrupted_update_of_the_store_is_mended(host: Host) -> None:
    """What a host has that was lost while the store was made: links by name, none by hash, half a bundle beside."""
    before = store(host)
    host.check_output(f"cd {STORE} && cp ca-certificates.crt ca-certificates.crt.new && "
                      "rm \"$(openssl x509 -noout -hash -in casa-install-0123456789abcdef.pem).0\"")
    converge("base-1", "base", known=False, base_keeps_time=False, base_certificates={
        "casa-install-0123456789abcdef.crt": (FOLDER / "site.pem").read_text()})
    assert store(host) == before
