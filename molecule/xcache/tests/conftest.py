"""What the tests of cache and origin share: hosts, tokens, reads."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shlex
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from casa_hub.credentials.tokens import MACAROON_ACTIVITY, MACAROON_PATH
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from on_hosts import FOLDER, at
from pymacaroons import Macaroon

VARIABLES: dict[str, Any] = json.loads((FOLDER / "variables.json").read_text())
SUMS = {line[66:]: line[:64] for line in (FOLDER / "data" / "SHA256SUMS").read_text().splitlines()}
FILES = [f"/{name}" for name in SUMS]


@pytest.fixture(scope="session")
def cache() -> Any:
    return at("cache-1")


@pytest.fixture(scope="session")
def origin() -> Any:
    return at("origin-1")


@pytest.fixture(scope="session")
def client() -> Any:
    return at("client-1")


def macaroon(hours: float = 1, key: bytes | None = None, location: str = VARIABLES["xcache_site"],
             activity: str = MACAROON_ACTIVITY, path: str = MACAROON_PATH) -> str:
    """A user's token as the credentials service makes it, or one that differs in a single point."""
    before = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
    token = Macaroon(location=location, identifier=str(uuid.uuid4()),
                     key=key or base64.b64decode(VARIABLES["xcache_macaroon_secret"]))
    for caveat in ("name:alice", f"activity:{activity}", f"path:{path}", f"before:{before:%Y-%m-%dT%H:%M:%SZ}"):
        token.add_first_party_caveat(caveat)
    return str(token.serialize())


@dataclass(frozen=True)
class Outcome:
    """What became of a command of the client."""

    status: int
    said: str

    @property
    def denied(self) -> bool:
        """The server refused for want of authorization, not for another reason."""
        return self.status != 0 and "permission denied" in self.said.lower()


Transfer = Callable[..., Outcome]


@pytest.fixture(scope="session")
def read(client: Any) -> Transfer:
    """Copies a file of the cache to the client and prints its SHA-256."""

    def run(name: str, token: str | None, query: str = "") -> Outcome:
        given = f"printf %s {shlex.quote(token)} > /root/token" if token else "rm -f /root/token"
        url = shlex.quote(f"root://xcache/{name}{query}")
        done = client.run(f"umask 077; {given}; BEARER_TOKEN_FILE=/root/token timeout 60 xrdcp -s -f {url} /root/copy"
                          " && sha256sum /root/copy")
        return Outcome(done.rc, done.stdout + done.stderr)

    return run


ISSUER_PROGRAM = """
import http.server, ssl
server = http.server.ThreadingHTTPServer(('', 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('/etc/grid-security/xrd/xrdcert.pem', '/etc/grid-security/xrd/xrdkey.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture(scope="session")
def issuer(client: Any) -> Iterator[Callable[..., str]]:
    """A token issuer on the client's host; gives WLCG tokens."""
    # the same in every run: the cache remembers an issuer's keys
    key = ec.derive_private_key(6440, ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    encoded = {name: base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()
               for name, value in (("x", numbers.x), ("y", numbers.y))}
    url = VARIABLES["xcache_issuers"][0]["issuer"]
    documents = {
        "/root/issuer/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/jwks"},
        "/root/issuer/jwks": {"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "use": "sig"}
                                       | encoded]},
    }
    client.check_output("mkdir -p /root/issuer/.well-known")
    for path, content in documents.items():
        client.check_output(f"printf %s {shlex.quote(json.dumps(content))} > {path}")
    client.check_output("systemd-run --quiet --unit test-issuer --working-directory /root/issuer "
                        f"python3 -c {shlex.quote(ISSUER_PROGRAM)}")
    client.check_output("curl -sS --retry 20 --retry-connrefused --retry-delay 1 https://client-1.casa.test:8443/jwks")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption())

    def token(scope: str = "storage.read:/store", seconds: int = 600,
              audience: str = VARIABLES["xcache_audiences"][0]) -> str:
        now = int(dt.datetime.now(dt.UTC).timestamp())
        claims = {"iss": url, "sub": "alice", "aud": audience, "iat": now - 1200, "nbf": now - 1200,
                  "exp": now + seconds, "jti": str(uuid.uuid4()), "scope": scope, "wlcg.ver": "1.0"}
        return jwt.encode(claims, pem, "ES256", headers={"kid": "1"})

    yield token
    client.run("systemctl stop test-issuer")


MEMORY_PROGRAM = """
import sys
pid, needle, found = sys.argv[1], sys.argv[2].encode(), 0
with open(f'/proc/{pid}/mem', 'rb', 0) as memory, open(f'/proc/{pid}/maps') as maps:
    for line in maps:
        area, mode = line.split()[:2]
        if 'r' not in mode or '[v' in line:
            continue
        start, end = (int(part, 16) for part in area.split('-'))
        memory.seek(start)
        try:
            found += memory.read(end - start).count(needle)
        except OSError:
            pass
print(found)
"""


def in_memory(machine: Any, text: str) -> int:
    """How often a text lies in the memory of the host's XRootD server: what it never received cannot be there."""
    return int(machine.check_output(f"python3 -c {shlex.quote(MEMORY_PROGRAM)} $(pidof xrootd) {shlex.quote(text)}"))
