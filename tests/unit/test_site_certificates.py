"""The cache's own certificate, its key, the authorities of its origin and trusted ones: what is taken and refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtensionOID

from casa_install import cli
from casa_install.credentials import Credentials
from casa_install.credentials.authority import Pair, as_pair, make_authority, make_leaf
from casa_install.credentials.grid import make_grid_leaf
from casa_install.rolevars import xcache
from casa_install.site import InventoryErrors, Problem
from casa_install.site.load import problems_without
from casa_install.supply import Supply
from tests.unit.site_inventories import GOOD, load

AUTHORITY = make_authority("grid.test")
SERVICE = make_grid_leaf(AUTHORITY, "cache", ["xcache.casa.lan"])
LINES = """\
casa_xcache_certificate=grid/cache.pem
casa_xcache_key=grid/cache.key
casa_xcache_origin_cas=["grid/ca.pem"]
"""
OLD = """\
-----BEGIN CERTIFICATE-----
MIIBIzCBywIUH7TOoyZEqgldPtZ2POzkHEu+8A4wCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJb2xkIHByb3h5MCAXDTI2MTEyNzIxMzQ0MFoYDzIxMjYxMTAzMjEzNDQw
WjAUMRIwEAYDVQQDDAlvbGQgcHJveHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQlsHGFsSwegPDQ7RV0OMVYUov8iOVMvBDRqna4V56AzczhNnqk9tRYFTBW1Qdu
eiW/Auu8TnHy5Ns7slnjyPyQMAoGCCqGSM49BAMCA0cAMEQCIC80d/R0D29A6xe4
WaYlyET5VJvUPjzGREwEi18NZ6rnAiBBqljmxISJSly3Nh917ku0M+F0Jki1HlUh
gNfxiqVbMQ==
-----END CERTIFICATE-----
"""
"""An authority of X.509's first version, which knew no extensions."""
FIRST = GOOD.count("\n") + 1
"""The line of casa_xcache_certificate; the key's and the authorities' follow."""


def write_pair(folder: Path, pair: Pair, ca: str = AUTHORITY.certificate) -> None:
    (folder / "grid").mkdir()
    (folder / "grid/cache.pem").write_text(pair.certificate)
    (folder / "grid/cache.key").write_text(pair.key)
    (folder / "grid/cache.key").chmod(0o600)
    (folder / "grid/ca.pem").write_text(ca)


def problems(folder: Path, lines: str = LINES) -> tuple[Problem, ...]:
    with pytest.raises(InventoryErrors) as refused:
        load(folder, GOOD + lines)
    return refused.value.problems


def expired() -> Pair:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cache")])
    end = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(end - dt.timedelta(days=1)).not_valid_after(end)
                   .sign(key, hashes.SHA256()))
    return as_pair(certificate, key)


def encrypted() -> Pair:
    key = load_pem_private_key(SERVICE.key.encode(), None)
    sealed = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                               serialization.BestAvailableEncryption(b"password"))
    return Pair(SERVICE.certificate, sealed.decode())


def test_paths_are_relative_to_the_inventory(tmp_path: Path) -> None:
    write_pair(tmp_path, SERVICE)
    settings = load(tmp_path, GOOD + LINES).settings
    assert settings.xcache_certificate == tmp_path / "grid/cache.pem"
    assert settings.xcache_key == tmp_path / "grid/cache.key"
    assert settings.xcache_origin_cas == (tmp_path / "grid/ca.pem",)


@pytest.mark.parametrize(("name", "other"), [("certificate", "key"), ("key", "certificate")])
def test_one_without_the_other(tmp_path: Path, name: str, other: str) -> None:
    write_pair(tmp_path, SERVICE)
    line = next(each for each in LINES.splitlines() if f"_{name}=" in each)
    (problem,) = problems(tmp_path, line + "\n")
    assert problem.line == FIRST
    assert problem.message == f"casa_xcache_{other} is missing"


@pytest.mark.parametrize(("pair", "line", "told"), [
    (Pair("DER", SERVICE.key), 0, "cache.pem holds no PEM certificate"),
    (encrypted(), 1, "cache.key is encrypted"),
    (Pair(SERVICE.certificate, "DER"), 1, "cache.key holds no PEM key"),
    (Pair(SERVICE.certificate, make_grid_leaf(AUTHORITY, "cache", []).key), 1, "is not the key of"),
    (make_leaf(AUTHORITY, "cache", []), 1, "cache.key holds no RSA key"),
], ids=["no certificate", "encrypted", "no key", "another key", "elliptic"])
def test_a_pair_that_cannot_serve(tmp_path: Path, pair: Pair, line: int, told: str) -> None:
    write_pair(tmp_path, pair)
    (problem,) = problems(tmp_path)
    assert problem.line == FIRST + line
    assert told in problem.message
    assert problem.remedy


def test_an_expired_certificate_stops_an_apply_and_not_a_removal(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_pair(tmp_path, expired())
    site = load(tmp_path, GOOD + LINES)
    (problem,) = site.passing
    assert problem.line == FIRST
    assert "cache.pem is valid from" in problem.message
    for verb in ("plan", "apply"):
        assert cli.main([verb, "--inventory", str(site.inventory)]) == 2
        assert capsys.readouterr().err == f"{problem}\n1 problem(s); nothing was changed.\n"
    assert not site.state.exists()
    assert cli.main(["status", "--inventory", str(site.inventory)]) == 0
    # what a removal asks of the role
    variables = xcache.variables(site, Supply(site.registry, tmp_path), Credentials(site))
    assert variables["xcache_service_certificate"].startswith("-----BEGIN CERTIFICATE-----")


def test_an_expired_certificate_is_told_with_all_else_that_is_wrong(tmp_path: Path) -> None:
    write_pair(tmp_path, expired())
    both = problems(tmp_path, f"{LINES}casa_home_size=1GB\n")
    assert [problem.line for problem in both] == [FIRST, FIRST + 3]
    assert "cache.pem is valid from" in both[0].message
    assert both[1].message == "casa_home_size is 1GB"


def test_an_expired_certificate_is_no_reason_why_a_host_cannot_go(tmp_path: Path) -> None:
    write_pair(tmp_path, expired())
    site = load(tmp_path, GOOD + LINES)
    assert problems_without(site, ["exec-2"]) == ()
    assert [problem.message for problem in problems_without(site, ["xcache-1"])] == ["no host is in [xcache]"]


def test_a_key_that_others_may_read(tmp_path: Path) -> None:
    write_pair(tmp_path, SERVICE)
    (tmp_path / "grid/cache.key").chmod(0o640)
    (problem,) = problems(tmp_path)
    assert problem.line == FIRST + 1
    assert "cache.key is open to others (mode 0640)" in problem.message


def test_files_that_are_missing_are_told_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, LINES.replace("grid/ca", "~nobody.at.all/ca"))
    assert [problem.line for problem in found] == [FIRST, FIRST + 1, FIRST + 2]
    assert all("cannot be read (No such file" in problem.message for problem in found)


def test_no_message_has_a_part_of_the_key(tmp_path: Path) -> None:
    write_pair(tmp_path, Pair(SERVICE.key, SERVICE.key.replace("PRIVATE", "SECRET")))
    told = "\n".join(map(str, problems(tmp_path)))
    assert not any(line in told for line in SERVICE.key.splitlines() if "-" not in line)


def test_two_authorities_with_one_subject(tmp_path: Path) -> None:
    write_pair(tmp_path, SERVICE, AUTHORITY.certificate * 2)
    assert load(tmp_path, GOOD + LINES)
    (tmp_path / "grid/ca.pem").write_text(AUTHORITY.certificate + make_authority("grid.test").certificate)
    (problem,) = problems(tmp_path)
    assert problem.line == FIRST + 2
    assert "has a second certificate of CN=grid.test site CA,O=casa-install" in problem.message


def trusted(*extensions: x509.ExtensionType, issuer: str = "proxy") -> str:
    """A certificate with these extensions alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, signer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in ("proxy", issuer))
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(signer, subject, key.public_key(), 1, now, now + dt.timedelta(days=9))
    for extension in extensions:
        made = made.add_extension(extension, critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)
UNREADABLE = x509.UnrecognizedExtension(ExtensionOID.NAME_CONSTRAINTS, b"\x30\x05")


@pytest.mark.parametrize(("pem", "taken"), [
    (OLD, True), (trusted(), True), (trusted(UNREADABLE, issuer="root"), True), (AUTHORITY.certificate + OLD, True),
    (trusted(x509.BasicConstraints(ca=True, path_length=None), issuer="root"), True),
    (trusted(NO_AUTHORITY), True), (trusted(NO_AUTHORITY, issuer="root"), False), (trusted(issuer="root"), False),
    (AUTHORITY.certificate + trusted(issuer="root"), False),
], ids=["version 1", "silent of itself", "unreadable", "two", "intermediate", "of itself", "a server's",
        "silent of another", "a server's behind"])
def test_trusted_certificates_are_those_of_authorities(tmp_path: Path, pem: str, taken: bool) -> None:
    (tmp_path / "ca.pem").write_text(pem)
    line = 'casa_trusted_cas=["ca.pem"]\n'
    if taken:
        assert load(tmp_path, GOOD + line)
    else:
        (problem,) = problems(tmp_path, line)
        assert (problem.line, problem.message) == (
            FIRST, f"{tmp_path}/ca.pem holds the certificate CN=proxy, which is no authority's (CA:TRUE is missing)")
