"""Variables of the XRootD roles agree with each other, and the rehearsal's data have a stable name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from casa_install.credentials import Credentials
from casa_install.credentials.authority import make_authority
from casa_install.credentials.grid import make_grid_leaf
from casa_install.rehearsal import data
from casa_install.rolevars import origin, xcache, xrootd
from casa_install.site.model import Site
from casa_install.supply import Supply


@pytest.fixture
def site(rehearsal: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The rehearsal with its state in a folder of the test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return rehearsal.model_copy(update={"inventory": tmp_path / "site" / "site.ini"})


@pytest.fixture
def supply(site: Site, tmp_path: Path) -> Supply:
    return Supply(site.registry, tmp_path)


def test_the_origin_lets_in_the_caches_certificate(site: Site, supply: Supply) -> None:
    credentials = Credentials(site)
    service = xcache.variables(site, supply, credentials)["xcache_service_certificate"]
    assert origin.variables(site, supply, credentials)["origin_identities"] == {"xcache": origin.subject(service)}
    assert origin.subject(service) == "/O=casa-install/CN=xcache-service"


def test_the_caches_certificate_has_the_name_that_users_write(site: Site, supply: Supply) -> None:
    credentials = Credentials(site)
    pairs = xrootd.variables(site, supply, credentials)["xrootd_certificates"]
    assert set(pairs) == {"xcache-1", "origin-1"}
    names = (x509.load_pem_x509_certificate(pairs["xcache-1"]["certificate"].encode())
             .extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName))
    assert {"xcache", "xcache.casa.test", "xcache-1.casa.test"} <= set(names)


def test_certificates_that_gsi_signs_with_have_rsa_keys(site: Site, supply: Supply) -> None:
    credentials = Credentials(site)
    pairs = xrootd.variables(site, supply, credentials)["xrootd_certificates"]
    for pem in (pairs["origin-1"]["certificate"], xcache.service_certificate(site, credentials).certificate):
        assert isinstance(x509.load_pem_x509_certificate(pem.encode()).public_key(), rsa.RSAPublicKey)


def test_variables_are_the_same_in_every_run(site: Site, supply: Supply) -> None:
    for module in (xrootd, xcache, origin):
        assert (module.variables(site, supply, Credentials(site))
                == module.variables(site, supply, Credentials(site)))


def test_a_sites_own_storage_is_used(site: Site, supply: Supply) -> None:
    elsewhere = site.model_copy(update={
        "settings": site.settings.model_copy(update={"xcache_origin": "redirector.example.org:1094"})})
    assert xcache.variables(elsewhere, supply, Credentials(site))["xcache_origin"] == "redirector.example.org:1094"
    assert xcache.origin(site) == "origin-1.casa.test:1094"


@pytest.fixture
def with_own(site: Site, tmp_path: Path) -> Site:
    """The site with a certificate and an authority of its own; each file holds more than that."""
    first, second = make_authority("first.test"), make_authority("second.test")
    own = make_grid_leaf(first, "own", ["xcache.casa.test"])
    files = {"own.pem": own.certificate + own.key, "own.key": own.key,
             "cas.pem": first.certificate + second.certificate}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    return site.model_copy(update={"settings": site.settings.model_copy(update={
        "xcache_certificate": tmp_path / "own.pem", "xcache_key": tmp_path / "own.key",
        "xcache_origin_cas": (tmp_path / "cas.pem",)})})


def test_a_sites_own_certificate_is_used(with_own: Site, supply: Supply) -> None:
    credentials = Credentials(with_own)
    made = xcache.variables(with_own, supply, credentials)
    assert origin.subject(made["xcache_service_certificate"]) == "/O=casa-install/CN=own"
    assert made["xcache_service_key"] == (with_own.directory.parent / "own.key").read_text()
    assert origin.variables(with_own, supply, credentials)["origin_identities"] == {"xcache": "/O=casa-install/CN=own"}


def test_a_key_beside_the_certificate_stays_where_it_is(with_own: Site, supply: Supply) -> None:
    assert "PRIVATE" not in xcache.variables(with_own, supply, Credentials(with_own))["xcache_service_certificate"]


def test_each_authority_of_the_origin_is_installed_by_itself(with_own: Site, supply: Supply) -> None:
    credentials = Credentials(with_own)
    authorities = xrootd.variables(with_own, supply, credentials)["xrootd_authorities"]
    assert authorities["casa-site"] == credentials.ca_certificate
    assert len(authorities) == 3
    for name, pem in authorities.items():
        assert name.startswith("casa-")
        assert pem.count("BEGIN CERTIFICATE") == 1


def test_other_data_have_another_place(tmp_path: Path) -> None:
    more = dataclasses.replace(data.RECIPE, repeats=data.RECIPE.repeats + 1)
    assert data.location(tmp_path, more) != data.location(tmp_path)
    assert len(data.logical_names()) == data.RECIPE.files >= 20
    assert data.logical_names()[0] == "/store/mc/rehearsal/DYJetsToLL/NANOAODSIM/00.root"


def test_data_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    data.location(tmp_path).mkdir(parents=True)
    said: list[str] = []
    assert data.ensure_data(tmp_path, said.append) is False
    assert said == []
