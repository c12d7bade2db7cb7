"""Certificates of a user's Dask cluster, from a CA of its own.

Dask checks the CA only, never the name: a CA for each server is what keeps one user's certificates from opening
another user's scheduler. The CA's key is dropped as soon as two certificates are signed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ORGANIZATION = "Coffea-casa"
SKEW = dt.timedelta(hours=1)  # clocks of hosts differ a little


def _name(common: str) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
        x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
    ])


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )


class DaskAuthority:
    """A CA that lives as long as this object."""

    def __init__(self, slug: str, days: int) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._from = dt.datetime.now(dt.UTC) - SKEW
        self._until = self._from + SKEW + dt.timedelta(days=days)
        name = _name(f"Dask CA of {slug}")
        self.certificate = (
            self._builder(name, name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey,
                 ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._from)
            .not_valid_after(self._until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def sign(self, common: str, usages: Sequence[ObjectIdentifier], hosts: Sequence[str]) -> bytes:
        """A new key and its certificate in one PEM text, valid for the given host names."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(_name(common), self.certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(alternatives, critical=False)
        pem_key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem_key + builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def dask_certificates(slug: str, hosts: Sequence[str], days: int) -> dict[str, bytes]:
    """The files ``ca.pem``, ``hostcert.pem`` (scheduler and workers) and ``usercert.pem`` (clients)."""
    authority = DaskAuthority(slug, days)
    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    return {
        "ca.pem": authority.certificate.public_bytes(serialization.Encoding.PEM),
        "hostcert.pem": authority.sign(f"Dask cluster of {slug}", [server, client], [*hosts, "localhost"]),
        "usercert.pem": authority.sign(f"Dask client of {slug}", [client], []),
    }
