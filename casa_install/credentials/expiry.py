"""What this machine holds for a site, with its end; and the secrets among it.

Nothing is made here: a site that was never applied has no vault, and gets none from being looked at.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import yaml
from cryptography import x509

from casa_install.credentials import Credentials
from casa_install.credentials.provided import UnusableError, read_certificates
from casa_install.credentials.redaction import SHORTEST

if TYPE_CHECKING:
    from casa_install.site.model import Site

WARN_DAYS = 30
APPLY = "run apply: it renews what ends soon"


@dataclass(frozen=True)
class Holding:
    """A certificate or token: what it is, whose, where it lies, when it ends and what renews it."""

    kind: str
    name: str
    subject: str
    place: str
    begins: dt.datetime | None
    ends: dt.datetime
    remedy: str

    def days(self, now: dt.datetime) -> int:
        """Whole days to its end, or since (negative)."""
        return int((self.ends - now) / dt.timedelta(days=1))

    def state(self, now: dt.datetime) -> str:
        """``expired``, ``soon`` (30 days or less are left) or ``valid``."""
        if self.ends <= now:
            return "expired"
        return "soon" if self.ends - now <= dt.timedelta(days=WARN_DAYS) else "valid"


def holdings(site: Site, credentials: Credentials) -> list[Holding]:
    """Every certificate and token of the site that this machine knows, the first to end first.

    :raises VaultError: the vault does not open.
    """
    found = [*_vault(_entries(credentials)), *_kubeconfig(site.state / "kubeconfig"), *_provided(site)]
    return sorted(found, key=lambda each: each.ends)


def endless(credentials: Credentials) -> list[str]:
    """Names of the keys and passwords in the vault that have no end.

    :raises VaultError: the vault does not open.
    """
    return sorted(label for label in _entries(credentials) if label.startswith(("secret ", "bytes ", "condor key ")))


def secret_values(site: Site, credentials: Credentials) -> dict[str, str]:
    """Every secret of the site that this machine can read -> its name: keys, tokens, passwords, whole and line by line.

    :raises VaultError: the vault does not open.
    """
    secrets = {value: label for label, value in _secrets(_entries(credentials))}
    if credentials.vault.key.exists():
        secrets[credentials.vault.key.read_text().strip()] = "vault key"
    for user in _users(site.state / "kubeconfig"):
        for key in ("client-key-data", "token"):
            secrets[str(user.get(key, ""))] = f"kubeconfig {key}"
        secrets[base64.b64decode(user.get("client-key-data", "")).decode()] = "kubeconfig key"
    for name in type(site.settings).model_fields:
        plain = getattr(getattr(site.settings, name), "plain", None)
        if plain is not None:
            secrets[plain.get_secret_value()] = f"casa_{name}"
    lines = {line: name for secret, name in secrets.items() for line in secret.splitlines()
             if not line.startswith("-----")}
    return {secret: name for secret, name in (lines | secrets).items() if len(secret) >= SHORTEST}


def _entries(credentials: Credentials) -> dict[str, Any]:
    if not credentials.vault.path.exists():  # opening it would make its key
        return {}
    with credentials.vault.entries() as entries:
        return dict(entries)


def _secrets(entries: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for label, value in entries.items():
        if isinstance(value, dict):  # a certificate with its key; the certificate is public
            yield f"key of {label}", str(value["key"])
        else:
            yield label, str(value)


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _certificate(certificate: x509.Certificate, kind: str, name: str, place: str, remedy: str) -> Holding:
    return Holding(kind, name, certificate.subject.rfc4514_string(), place, certificate.not_valid_before_utc,
                   certificate.not_valid_after_utc, remedy)


def _vault(entries: dict[str, Any]) -> Iterator[Holding]:
    for label, value in entries.items():
        if label == "ca":
            yield _certificate(x509.load_pem_x509_certificate(value["certificate"].encode()), "certificate authority",
                               "site CA", "vault", "every certificate of the site hangs on it: plan a new one")
        elif label.startswith(("certificate ", "grid certificate ")):
            yield _certificate(x509.load_pem_x509_certificate(value["certificate"].encode()), "certificate",
                               label.partition("certificate ")[2], "vault", APPLY)
        elif label.startswith("condor token "):
            claims = jwt.decode(value, options={"verify_signature": False})
            yield Holding("HTCondor token", label.removeprefix("condor token "), str(claims["sub"]), "vault",
                          _moment(claims["iat"]), _moment(claims["exp"]), APPLY)


def _users(kubeconfig: Path) -> list[dict[str, Any]]:
    if not kubeconfig.exists():
        return []
    return [entry["user"] for entry in yaml.safe_load(kubeconfig.read_text()).get("users") or ()]


def _kubeconfig(file: Path) -> Iterator[Holding]:
    remedy = "on each control-plane host: kubeadm certs renew all; then apply with --no-skip"
    for user in _users(file):
        if data := user.get("client-certificate-data"):
            certificate = x509.load_pem_x509_certificate(base64.b64decode(data))
            yield _certificate(certificate, "certificate", "Kubernetes administrator", str(file), remedy)
    clusters = yaml.safe_load(file.read_text()).get("clusters") or () if file.exists() else ()
    for entry in clusters:
        if data := entry["cluster"].get("certificate-authority-data"):
            certificate = x509.load_pem_x509_certificate(base64.b64decode(data))
            yield _certificate(certificate, "certificate authority", "Kubernetes cluster CA", str(file),
                               "plan a new one: kubeadm does not renew it")


def _provided(site: Site) -> Iterator[Holding]:
    settings = site.settings
    files = [("casa_trusted_cas", file) for file in settings.trusted_cas]
    files += [("casa_xcache_origin_cas", file) for file in settings.xcache_origin_cas]
    files += [("casa_xcache_certificate", file) for file in (settings.xcache_certificate,) if file]
    for setting, file in files:
        kind = "certificate" if setting == "casa_xcache_certificate" else "certificate authority"
        try:
            certificates = read_certificates(file)
        except UnusableError:  # the inventory's own checks say so before anything is written
            continue
        for certificate in certificates:
            yield _certificate(certificate, kind, setting, str(file), f"put a renewed one into {file}, then apply")
