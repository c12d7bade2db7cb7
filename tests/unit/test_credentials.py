"""Credentials are stable, verifiable, encrypted at rest."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import jwt
import pytest

from casa_install.credentials import Credentials, VaultError
from casa_install.credentials import idtokens as tokens
from casa_install.site.model import Host, Settings, Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "site").mkdir()
    settings = Settings.model_validate({
        "site_name": "unit", "domain": "unit.test", "network": "10.91.0.0/24", "public_address": "10.91.0.200",
        "users": ["alice"], "authenticator": "dummy",
    })
    host = Host.model_validate({"name": "a", "address": "10.91.0.2", "groups": ("dns",)})
    return Site(settings=settings, hosts=(host,), inventory=tmp_path / "site" / "site.ini")


def test_everything_is_the_same_in_the_next_run(site: Site) -> None:
    def draw() -> list[object]:
        c = Credentials(site)
        return [c.ca_certificate, c.certificate("hub", ["hub.unit.test"]), c.secret("x"), c.secret_bytes("y", 64),
                c.condor_key("POOL"), c.condor_token("condor@unit.test", ["READ"])]

    assert draw() == draw()


def test_nothing_lies_in_clear_and_nobody_else_reads_it(site: Site) -> None:
    credentials = Credentials(site)
    secret = credentials.secret("x")
    vault = site.state / "vault"
    assert vault.read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;casa")
    assert secret not in vault.read_text()
    assert vault.stat().st_mode & 0o077 == 0
    assert credentials.vault.key.stat().st_mode & 0o077 == 0
    assert not credentials.vault.key.is_relative_to(site.directory)


def test_a_lost_key_is_said_and_nothing_is_overwritten(site: Site) -> None:
    credentials = Credentials(site)
    credentials.secret("x")
    before = (site.state / "vault").read_bytes()
    credentials.vault.key.unlink()
    with pytest.raises(VaultError, match="put the key back"):
        Credentials(site).secret("x")
    assert (site.state / "vault").read_bytes() == before


def test_certificates_verify_strictly_for_their_names(site: Site, tmp_path: Path) -> None:
    credentials = Credentials(site)
    pair = credentials.certificate("xcache", ["xcache.unit.test", "xcache", "10.91.0.9"])
    (tmp_path / "ca.pem").write_text(credentials.ca_certificate)
    (tmp_path / "leaf.pem").write_text(pair.certificate)

    def verify(*arguments: str) -> int:
        return subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", tmp_path / "ca.pem", *arguments,
                               tmp_path / "leaf.pem"], check=False, capture_output=True).returncode

    assert verify("-verify_hostname", "xcache") == 0
    assert verify("-verify_ip", "10.91.0.9") == 0
    assert verify("-verify_hostname", "hub.unit.test") != 0


def test_other_names_mean_another_certificate(site: Site) -> None:
    credentials = Credentials(site)
    first = credentials.certificate("hub", ["hub.unit.test"])
    assert credentials.certificate("hub", ["hub.unit.test", "b.unit.test"]) != first


def test_tokens_are_signed_by_the_key_the_file_stands_for(site: Site) -> None:
    credentials = Credentials(site)
    token = credentials.condor_token("condor@unit.test", ["READ", "ADVERTISE_STARTD"])
    key = tokens.signing_key(base64.b64decode(credentials.condor_key("POOL")), "POOL")
    claims = jwt.decode(token, key, algorithms=["HS256"])
    assert claims["iss"] == "unit.test"
    assert claims["sub"] == "condor@unit.test"
    assert claims["scope"] == "condor:/READ condor:/ADVERTISE_STARTD"
    assert jwt.get_unverified_header(token)["kid"] == "POOL"
    other = tokens.signing_key(base64.b64decode(credentials.condor_key("USERS")), "USERS")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, other, algorithms=["HS256"])


def test_an_empty_signing_key_is_refused() -> None:
    with pytest.raises(ValueError, match="USERS is empty"):
        tokens.signing_key(b"", "USERS")
