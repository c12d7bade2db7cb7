"""The host trusts the site's authority, and nobody else whom it did not trust before."""

from __future__ import annotations

import pytest
from testinfra.host import Host


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
