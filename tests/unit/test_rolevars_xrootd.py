"""Variables of the XRootD roles agree with each other, and the rehearsal's data have a stable name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from casa_install.credentials import Credentials
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
