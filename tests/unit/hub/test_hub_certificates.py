"""Certificates of a user's Dask cluster, judged by openssl and by a real TLS handshake."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest
from casa_hub.credentials.certificates import dask_certificates

HOSTS = ["alice.dask.casa.test", "alice.dask-worker.casa.test"]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Alice's files and bob's CA on disk."""
    contents = dask_certificates("alice", HOSTS, 365)
    contents["bob-ca.pem"] = dask_certificates("bob", ["bob.dask.casa.test"], 365)["ca.pem"]
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


def verify(ca: Path, certificate: Path, purpose: str) -> bool:
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(ca), str(certificate)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_chain_is_strictly_valid_for_its_purposes(files: dict[str, Path]) -> None:
    assert verify(files["ca.pem"], files["hostcert.pem"], "sslserver")
    assert verify(files["ca.pem"], files["hostcert.pem"], "sslclient")
    assert verify(files["ca.pem"], files["usercert.pem"], "sslclient")
    assert not verify(files["ca.pem"], files["usercert.pem"], "sslserver")


def test_another_users_authority_verifies_nothing(files: dict[str, Path]) -> None:
    assert not verify(files["bob-ca.pem"], files["hostcert.pem"], "sslserver")


def test_no_file_holds_the_authoritys_key(files: dict[str, Path]) -> None:
    assert b"PRIVATE KEY" not in files["ca.pem"].read_bytes()
    assert files["hostcert.pem"].read_bytes().count(b"BEGIN CERTIFICATE") == 1


@pytest.mark.parametrize("host", [*HOSTS, "localhost"])
async def test_handshake_with_host_name_verification(files: dict[str, Path], host: str) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files["ca.pem"]))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(files["hostcert.pem"])
    client = ssl.create_default_context(cafile=str(files["ca.pem"]))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(files["usercert.pem"])

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server)
    port = listener.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=host)
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    writer.close()
    listener.close()
