"""Certificates for XRootD's GSI, which signs with RSA keys only; everything else of a site uses elliptic curves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from casa_install.credentials import Credentials
from casa_install.credentials.authority import LEAF_DAYS, Pair, as_pair, expires_soon

KEY_BITS = 2048


def grid_certificate(credentials: Credentials, name: str, sans: Sequence[str]) -> Pair:
    """An RSA certificate of the site CA for host names: the same in every run until its names change or it nears its
    end. Its subject is ``/O=casa-install/CN=<name>``."""
    ca = credentials._authority()
    label = f"grid certificate {name}"
    with credentials.vault.entries() as entries:
        kept = entries.get(label)
        if not kept or kept["sans"] != list(sans) or expires_soon(kept["certificate"]):
            made = make_grid_leaf(ca, name, sans)
            kept = {"sans": list(sans), "certificate": made.certificate, "key": made.key}
            entries[label] = kept
        return Pair(kept["certificate"], kept["key"])


def make_grid_leaf(ca: Pair, common: str, sans: Sequence[str]) -> Pair:
    """A new certificate with an RSA key, for client and server use; valid for 397 days."""
    issuer = x509.load_pem_x509_certificate(ca.certificate.encode())
    issuer_key = serialization.load_pem_private_key(ca.key.encode(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = rsa.generate_private_key(65537, KEY_BITS)
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "casa-install"),
                         x509.NameAttribute(NameOID.COMMON_NAME, common)])
    usage = x509.KeyUsage(digital_signature=True, key_encipherment=True, key_cert_sign=False, crl_sign=False,
                          content_commitment=False, data_encipherment=False, key_agreement=False,
                          encipher_only=False, decipher_only=False)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=LEAF_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                       critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(san) for san in sans]), critical=False)
        .sign(issuer_key, hashes.SHA256()))
    return as_pair(certificate, key)
