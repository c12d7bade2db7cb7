"""Certificates and keys that the site brings along in files of its own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from casa_install.credentials.authority import Pair, as_pair


class UnusableError(Exception):
    """A file cannot serve; the message says which and why, never what is in it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def read_certificates(file: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, at least one.

    :raises UnusableError: the file is missing or holds none.
    """
    try:
        return x509.load_pem_x509_certificates(_content(file))
    except ValueError:
        raise UnusableError(f"{file} holds no PEM certificate", "convert it: openssl x509 -inform DER …") from None


def read_authorities(file: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, each an authority's.

    :raises UnusableError: as :func:`read_certificates`, or one of them is somebody's who cannot vouch for others.
    """
    certificates = read_certificates(file)
    for certificate in certificates:
        if not _is_authority(certificate):
            raise UnusableError(f"{file} holds the certificate {certificate.subject.rfc4514_string()}, which is no "
                                "authority's (CA:TRUE is missing)",
                                "write a file with certificates of authorities alone: that of the one who signed it")
    return certificates


def read_certificate(file: Path) -> x509.Certificate:
    """The first certificate of a PEM file.

    :raises UnusableError: the file is missing or holds none.
    """
    return read_certificates(file)[0]


def ensure_valid_now(file: Path, certificate: x509.Certificate) -> None:
    """Nothing happens while a certificate, which was read from that file, is valid.

    :raises UnusableError: its time has not come or is over.
    """
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= dt.datetime.now(dt.UTC) < end:
        raise UnusableError(f"{file} is valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d} only", "renew it")


def read_key(file: Path) -> rsa.RSAPrivateKey:
    """The key of a PEM file that only its owner may read.

    :raises UnusableError: the file is missing, open to others, or holds no RSA key in clear.
    """
    content = _content(file)
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        raise UnusableError(f"{file} is open to others (mode {mode:04o})", f"chmod 600 {file}")
    try:
        key = serialization.load_pem_private_key(content, None)
    except TypeError:
        raise UnusableError(f"{file} is encrypted", "the cache signs with it unattended: write its path after "
                                                    "openssl pkey -in ENCRYPTED -out CLEAR") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableError(f"{file} holds no PEM key", "convert it: openssl pkey -in …") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnusableError(f"{file} holds no RSA key",
                            "XRootD's GSI signs with no other: ask for a certificate with one")
    return key


def read_pair(certificate: Path, key: Path) -> Pair:
    """The certificate and its key alone: whatever else the files hold stays behind.

    :raises UnusableError: as :func:`read_certificate` and :func:`read_key`.
    """
    return as_pair(read_certificate(certificate), read_key(key))


def _is_authority(certificate: x509.Certificate) -> bool:
    """Whether it says so or is signed by itself: an old root that says nothing, a server that vouches for itself."""
    try:
        says_so = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        says_so = False
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return True  # what we cannot read others may
    return says_so or certificate.issuer == certificate.subject


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:
        raise UnusableError(f"{file} cannot be read ({getattr(error, 'strerror', None) or error})",
                            "write the path of a PEM file, relative to the inventory") from None
