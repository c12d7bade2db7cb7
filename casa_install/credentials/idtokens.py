"""HTCondor signing keys and IDTOKENS, made without HTCondor.

The file format and the key derivation are HTCondor's: a key file is scrambled by XOR with a fixed mask, and the
HS256 key is HKDF-SHA256 over the plain bytes (doubled for the key named POOL).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASK = bytes.fromhex("deadbeef")
KEY_BYTES = 64


def scramble(raw: bytes) -> bytes:
    """HTCondor's scrambling, which is its own inverse."""
    return bytes(byte ^ MASK[position % len(MASK)] for position, byte in enumerate(raw))


def make_key_file() -> bytes:
    """The content of a new signing-key file (no zero byte: HTCondor would cut the key there)."""
    plain = bytes(secrets.randbelow(255) + 1 for _ in range(KEY_BYTES))
    return scramble(plain)


def signing_key(key_file: bytes, kid: str) -> bytes:
    """The HS256 key that HTCondor derives from a key file.

    :raises ValueError: for an empty file, which would sign tokens that no daemon accepts.
    """
    plain = scramble(key_file)
    if not plain:
        raise ValueError(f"the signing key {kid} is empty")
    if kid == "POOL":
        plain += plain
    return HKDF(hashes.SHA256(), 32, salt=b"htcondor", info=b"master jwt").derive(plain)


def mint(key_file: bytes, kid: str, trust_domain: str, subject: str, scopes: Sequence[str], lifetime: int) -> str:
    """A token for ``subject`` (``name@domain``) with HTCondor authorization levels as scopes; lifetime in seconds."""
    now = int(time.time())
    claims = {
        "iss": trust_domain,
        "sub": subject,
        "iat": now,
        "exp": now + lifetime,
        "jti": secrets.token_hex(16),
        "scope": " ".join(f"condor:/{scope}" for scope in scopes),
    }
    return jwt.encode(claims, signing_key(key_file, kid), "HS256", headers={"kid": kid})
