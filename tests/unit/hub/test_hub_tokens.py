"""Tokens: their claims, and that HTCondor's own derivation of the key verifies them."""

import base64
import secrets
import time

import jwt
import pytest
from casa_hub.credentials.tokens import KeyFileError, Mint, condor_signing_key, macaroon_key
from pymacaroons import Macaroon, Verifier

from casa_install.credentials import idtokens

KEY_FILE = idtokens.make_key_file()
XCACHE_KEY = secrets.token_bytes(64)
LIFE = 3600


@pytest.fixture
def mint() -> Mint:
    return Mint("casa.test", "T3_XX_Casa", "USERS", LIFE, condor_signing_key(KEY_FILE, "USERS"), XCACHE_KEY)


def test_condor_token(mint: Mint) -> None:
    token = mint.mint("alice").files["condor_token"].decode()
    assert jwt.get_unverified_header(token)["kid"] == "USERS"
    # the installer's own derivation, which signs the pool's daemons' tokens, is the judge
    claims = jwt.decode(token, idtokens.signing_key(KEY_FILE, "USERS"), ["HS256"], issuer="casa.test")
    assert claims["sub"] == "alice@casa.test"
    assert claims["scope"] == "condor:/READ condor:/WRITE"
    assert claims["exp"] - claims["iat"] == LIFE
    assert abs(claims["iat"] - time.time()) < 5


def test_every_token_is_new(mint: Mint) -> None:
    first, second = mint.mint("alice"), mint.mint("alice")
    assert first.files["condor_token"] != second.files["condor_token"]
    assert first.macaroon != second.macaroon


def test_macaroon_verifies_and_says_what_it_allows(mint: Mint) -> None:
    tokens = mint.mint("alice")
    macaroon = Macaroon.deserialize(tokens.files["xcache_token"].decode())
    caveats = [caveat.caveat_id for caveat in macaroon.caveats]
    assert macaroon.location == "T3_XX_Casa"
    assert macaroon.identifier == tokens.macaroon
    assert caveats[:3] == ["name:alice", "activity:DOWNLOAD", "path:/store/"]
    end = time.strptime(caveats[3], "before:%Y-%m-%dT%H:%M:%SZ")
    assert tokens.expires == int(time.mktime(end)) - time.timezone
    verifier = Verifier()
    for caveat in caveats:
        verifier.satisfy_exact(caveat)
    assert verifier.verify(macaroon, XCACHE_KEY)
    # version 1, the only one that XRootD reads: packets of text with their length in hexadecimal
    assert base64.urlsafe_b64decode(tokens.files["xcache_token"] + b"==")[:23] == b"0018location T3_XX_Casa"


def test_unusable_keys_are_refused() -> None:
    with pytest.raises(KeyFileError, match="USERS is empty"):
        condor_signing_key(b"", "USERS")
    with pytest.raises(KeyFileError, match="not base64"):
        macaroon_key("no base64!")
    with pytest.raises(KeyFileError, match="3 bytes"):
        macaroon_key("YWJj")
    assert macaroon_key(base64.encodebytes(XCACHE_KEY).decode()) == XCACHE_KEY
