"""The guard: no form of a known secret passes it, nor what looks like one; other words do."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from casa_install.credentials.redaction import Redactor

SECRET = "correct horse/battery+staple"  # noqa: S105 - the test's own


def guarded(text: str) -> str:
    """The text behind a guard that knows one secret."""
    return Redactor({SECRET: "of the test"}).text(text)


@given(before=st.text(max_size=9), after=st.text(max_size=9))
def test_a_known_secret_passes_in_no_form_wherever_it_stands(before: str, after: str) -> None:
    whole = f"{before}{SECRET}{after}"
    data = whole.encode()
    for text in (whole, quote(whole, safe=""), data.hex(), data.hex().upper(), base64.b64encode(data).decode(),
                 base64.urlsafe_b64encode(data).decode()):
        assert "[secret of the test]" in guarded(text), text
    assert SECRET not in guarded(whole)


def test_what_was_replaced_is_counted_by_name() -> None:
    redactor = Redactor({SECRET: "of the test"})
    redactor.text(f"{SECRET} {SECRET} password=hunter22")
    assert redactor.replaced == {"of the test": 2, "password": 1}


def test_the_longer_of_two_secrets_goes_as_a_whole() -> None:
    assert Redactor({"12345678": "a", "1234567890": "b"}).known("x 1234567890 y") == "x [secret b] y"


KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZUBjYXNhIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(("text", "left"), [
    (f"a\n{KEY}b\n", "a\n[secret private key]\nb\n"),
    (KEY.partition("\n")[0] + "\n" + KEY.splitlines()[1] + "\n", "[secret private key]"),
    ("\n".join(KEY.splitlines()[1:]), "[secret private key]"),
    (f"got {JWT}.", "got [secret token]."),
    ("macaroon MDAxY2xvY2F0aW9uIFQzX1hYX0Nhc2EKMDAzNGlkZW50aWZpZXIgMDAw done", "macaroon [secret macaroon] done"),
    ("kubeadm join --token abcdef.0123456789abcdef x", "kubeadm join --token [secret bootstrap token] x"),
    ("Authorization: Bearer short-one", "Authorization: Bearer [secret password]"),
    ("GET /x?authz=Bearer%20abcdefgh&y=1", "GET /x?authz=Bearer%20[secret password]&y=1"),
    ('{"password": "hunter22", "user": "alice"}', '{"password": "[secret password]", "user": "alice"}'),
    ("OAUTH_CLIENT_SECRET=hunter22", "OAUTH_CLIENT_SECRET=[secret password]"),
    ("    client-key-data: LS0tLS1CRUdJTi", "    client-key-data: [secret password]"),
    ("https://alice:pw@mirror.test/", "https://alice:[secret password]@mirror.test/"),
    ("root:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9:1", "root:[secret password hash]:1"),
])
def test_what_looks_like_a_secret_goes_with_its_kind_for_a_name(text: str, left: str) -> None:
    assert guarded(text) == left


@pytest.mark.parametrize("text", [
    f"pulled sha256:{'a1' * 32} from registry.casa.test:5000/hub:v1",
    "/var/lib/kubelet/pods/0a1b2c3d-1111-2222-3333-444455556666/volumes/kubernetes.io~projected/token",
    "Nov 27 05:17:20 kube-1 kubelet[1]: I1127 05:17:20.123456 1 some.go:12] \"Went on\" pod=\"kube-system/cilium-x\"",
    "secretName: hub-secret",
    "the password was refused",
    "11/27/26 05:17:20 PERMISSION DENIED to alice@casa.test from host 10.0.0.1 for command 60021",
])
def test_other_words_stay(text: str) -> None:
    assert guarded(text) == text
