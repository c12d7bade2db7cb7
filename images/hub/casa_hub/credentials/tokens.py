"""Tokens of a user: an HTCondor IDTOKEN for the access point and a macaroon for XCache."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import secrets
import time
import uuid
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pymacaroons import MACAROON_V1, Macaroon

SCRAMBLE = bytes.fromhex("deadbeef")  # HTCondor stores signing keys XORed with this
CONDOR_SCOPES = ("READ", "WRITE")
MACAROON_PATH = "/store/"  # with the slash: XRootD compares prefixes of text, and /store-private is another tree
MACAROON_ACTIVITY = "DOWNLOAD"


class KeyFileError(Exception):
    """A signing key cannot be used; the message says which."""


def condor_signing_key(key_file: bytes, kid: str) -> bytes:
    """The HS256 key that HTCondor derives from a signing-key file.

    :raises KeyFileError: for an empty file, which would sign tokens that no daemon accepts.
    """
    if not key_file:
        raise KeyFileError(f"the HTCondor signing key {kid} is empty")
    plain = bytes(byte ^ SCRAMBLE[position % len(SCRAMBLE)] for position, byte in enumerate(key_file))
    return HKDF(hashes.SHA256(), 32, salt=b"htcondor", info=b"master jwt").derive(plain)


def macaroon_key(text: str) -> bytes:
    """XRootD's macaroon secret: base64 text as in its file, decoded.

    :raises KeyFileError: for text that is not base64 of at least 32 bytes.
    """
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise KeyFileError(f"the macaroon secret is not base64: {error}") from None
    if len(key) < 32:
        raise KeyFileError(f"the macaroon secret has {len(key)} bytes; it needs 32 or more")
    return key


@dataclass(frozen=True)
class Tokens:
    """What one minting made; ``macaroon`` is the identifier by which XRootD's log names the user."""

    files: dict[str, bytes]
    macaroon: str
    expires: int


class Mint:
    """Signs tokens; holds the keys for as long as the service lives.

    :param domain: HTCondor's trust domain, which is its UID domain too.
    :param location: XRootD's sitename.
    :param lifetime: seconds that a token is valid.
    """

    def __init__(self, domain: str, location: str, kid: str, lifetime: int, condor_key: bytes, xcache_key: bytes,
                 ) -> None:
        self._domain = domain
        self._location = location
        self._kid = kid
        self._lifetime = lifetime
        self._condor_key = condor_key
        self._xcache_key = xcache_key

    def _condor(self, user: str, now: int) -> str:
        claims = {
            "iss": self._domain,
            "sub": f"{user}@{self._domain}",
            "iat": now,
            "exp": now + self._lifetime,
            "jti": secrets.token_hex(16),
            "scope": " ".join(f"condor:/{scope}" for scope in CONDOR_SCOPES),
        }
        return jwt.encode(claims, self._condor_key, "HS256", headers={"kid": self._kid})

    def _xcache(self, user: str, identifier: str, now: int) -> str:
        before = dt.datetime.fromtimestamp(now + self._lifetime, dt.UTC)
        token = Macaroon(location=self._location, identifier=identifier, key=self._xcache_key, version=MACAROON_V1)
        for caveat in (
            f"name:{user}",
            f"activity:{MACAROON_ACTIVITY}",
            f"path:{MACAROON_PATH}",
            f"before:{before:%Y-%m-%dT%H:%M:%SZ}",
        ):
            token.add_first_party_caveat(caveat)
        return str(token.serialize())

    def mint(self, user: str) -> Tokens:
        """New tokens for a user, in the files ``condor_token`` and ``xcache_token``."""
        now = int(time.time())
        identifier = str(uuid.uuid4())
        files = {
            "condor_token": self._condor(user, now).encode(),
            "xcache_token": self._xcache(user, identifier, now).encode(),
        }
        return Tokens(files, identifier, now + self._lifetime)
