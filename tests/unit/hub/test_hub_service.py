"""The credentials service over real TLS, asked by the hub's own client; the store is a dictionary."""

import asyncio
import secrets
import ssl
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
from aiohttp import web
from casa_hub import client as client_module
from casa_hub.client import CredentialsClient, CredentialsError
from casa_hub.credentials.service import RESERVED, CredentialsService
from casa_hub.credentials.store import Stored
from casa_hub.credentials.tokens import Mint, condor_signing_key
from casa_hub.settings import CredentialsSettings

from casa_install.credentials import authority, idtokens
from casa_install.site.checks_site import RESERVED_USERS

BEARER = secrets.token_hex(32)
KEY_FILE = idtokens.make_key_file()


def test_the_inventory_refuses_whom_the_service_refuses() -> None:
    assert RESERVED_USERS == RESERVED


class Memory:
    """A store in memory."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, bytes]] = {}
        self.stored: dict[str, Stored] = {}

    async def put(self, user: str, files: dict[str, bytes], expires: int) -> None:
        self.secrets[user] = dict(files)
        self.stored[user] = Stored(user, uuid.uuid4().hex, "1", expires)

    async def renew(self, stored: Stored, files: dict[str, bytes], expires: int) -> None:
        self.secrets[stored.user] |= files
        self.stored[stored.user] = Stored(stored.user, stored.uid, "2", expires)

    async def delete(self, user: str, uid: str | None) -> None:
        if user in self.stored and uid in (None, self.stored[user].uid):
            del self.stored[user], self.secrets[user]

    async def all(self) -> list[Stored]:
        return list(self.stored.values())


def make_service(store: Memory, life: int) -> CredentialsService:
    settings = CredentialsSettings(domain="casa.test", users_namespace="casa-users", cms_site="T3_XX_Casa",
                                   token_seconds=life)
    mint = Mint("casa.test", "T3_XX_Casa", "USERS", life, condor_signing_key(KEY_FILE, "USERS"), b"x" * 64)
    return CredentialsService(settings, mint, store, BEARER)


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def life() -> int:
    return 3600


@pytest.fixture
async def url(store: Memory, life: int, tmp_path: Path) -> AsyncIterator[str]:
    ca = authority.make_authority("casa.test")
    pair = authority.make_leaf(ca, "credentials", ["localhost"])
    for name, text in (("ca.crt", ca.certificate), ("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (tmp_path / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    runner = web.AppRunner(make_service(store, life).application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://localhost:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def client(url: str, tmp_path: Path) -> CredentialsClient:
    return CredentialsClient(url, BEARER, tmp_path / "ca.crt")


async def test_issue_list_revoke(client: CredentialsClient, store: Memory) -> None:
    await client.issue("alice")
    assert set(store.secrets["alice"]) == {"ca.pem", "hostcert.pem", "usercert.pem", "condor_token", "xcache_token"}
    (held,) = await client.held()
    assert held.user == "alice"
    await client.revoke("alice", "another uid")
    assert "alice" in store.secrets
    await client.revoke("alice", held.uid)
    await client.revoke("alice")
    assert await client.held() == []


async def test_every_issue_makes_a_new_authority(client: CredentialsClient, store: Memory) -> None:
    await client.issue("alice")
    first = store.secrets["alice"]["ca.pem"]
    await client.issue("alice")
    assert store.secrets["alice"]["ca.pem"] != first


@pytest.mark.parametrize("user", ["condor", "root", "Alice", "a.b@c.d", "../x", ""])
async def test_names_that_cannot_have_credentials(client: CredentialsClient, store: Memory, user: str) -> None:
    with pytest.raises(CredentialsError, match="failed"):
        await client.issue(user)
    assert not store.secrets


async def test_wrong_bearer_is_refused(url: str, tmp_path: Path, store: Memory) -> None:
    for bearer in ("wrong", "", BEARER[:-1]):
        with pytest.raises(CredentialsError, match="401"):
            await CredentialsClient(url, bearer, tmp_path / "ca.crt").issue("alice")
    assert not store.secrets


async def test_a_server_of_another_authority_is_not_trusted(
    url: str, tmp_path: Path, store: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAUSE_SECONDS", 0.0)
    (tmp_path / "other.crt").write_text(authority.make_authority("other.test").certificate)
    with pytest.raises(CredentialsError, match="no answer"):
        await CredentialsClient(url, BEARER, tmp_path / "other.crt").issue("alice")
    assert not store.secrets


@pytest.mark.parametrize("life", [4])
async def test_tokens_are_renewed_before_half_of_their_life(client: CredentialsClient, store: Memory) -> None:
    await client.issue("alice")
    before = dict(store.secrets["alice"])
    await asyncio.sleep(2.2)
    after = store.secrets["alice"]
    assert after["condor_token"] != before["condor_token"]
    assert after["xcache_token"] != before["xcache_token"]
    assert after["hostcert.pem"] == before["hostcert.pem"]
    claims = jwt.decode(after["condor_token"], idtokens.signing_key(KEY_FILE, "USERS"), ["HS256"])
    assert claims["sub"] == "alice@casa.test"


async def test_a_new_process_renews_what_the_last_one_made(store: Memory) -> None:
    first, second = make_service(store, 3600), make_service(store, 3600)
    await first.issue("alice")
    assert await second.renew(time.time()) == 0
    assert await second.renew(time.time() + 1700) == 1


def test_a_short_bearer_is_refused() -> None:
    settings = CredentialsSettings(domain="casa.test", users_namespace="u", cms_site="S")
    with pytest.raises(ValueError, match="32"):
        CredentialsService(settings, Mint("d", "l", "USERS", 60, b"k", b"x"), Memory(), "short")
