"""``casa-install init``: what it writes loads, what it prints works, wrong answers are refused or asked again."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pexpect
import pytest

from casa_install.credentials.authority import make_authority, make_leaf
from casa_install.init import placing
from casa_install.init.draft import EXAMPLE, draft
from casa_install.site import InventoryErrors, load_site

ROOT = Path(__file__).resolve().parents[2]
HOSTS = [f"node-{number}=10.1.0.{number}" for number in range(11, 31)]
ANSWERS = {"domain": ("casa.physics.edu",), "public_address": ("10.1.0.200/24",), "hosts": tuple(HOSTS[:4]),
           "client_id": ("hub",), "users": ("alice", "bob"), "origin": ("storage.physics.edu:1094",)}
ENCRYPTED = "casa_oidc_client_secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An identity provider on this machine that tells about itself; below /other it tells of another one."""
    folder = tmp_path_factory.mktemp("provider")
    authority = make_authority("login.test")
    leaf = make_leaf(authority, "localhost", ["localhost"])
    (folder / "ca.pem").write_text(authority.certificate)
    (folder / "leaf.pem").write_text(leaf.certificate + leaf.key)

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.endswith("/.well-known/openid-configuration")
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"issuer": url, "authorization_endpoint": f"{url}/authorize",
                                         "token_endpoint": f"{url}/token",
                                         "userinfo_endpoint": f"{url}/userinfo"}).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Provider)
    url = f"https://localhost:{server.server_port}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["CASA_TEST_CA"] = str(folder / "ca.pem")
    yield url
    server.shutdown()
    server.server_close()


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return kept | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PYTHONPATH": str(ROOT),
                   "SSL_CERT_FILE": os.environ["CASA_TEST_CA"], "NO_COLOR": "1", "TERM": "dumb"}


def flags(issuer: str, **others: str) -> list[str]:
    given = {"domain": "casa.physics.edu", "public-address": "10.1.0.200/24", "issuer": issuer, "client-id": "hub"}
    given |= {name.replace("_", "-"): value for name, value in others.items()}
    return [f"--{name}={value}" for name, value in given.items()]


def init(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "casa_install", "init", "-i", folder / "site.ini", *words],
                          env=environment(folder), capture_output=True, text=True, check=False, timeout=120,
                          stdin=subprocess.DEVNULL)


def several(flag: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]


# --- what is written ---

@pytest.mark.parametrize("count", range(2, 13))
def test_any_number_of_hosts_makes_a_site(tmp_path: Path, count: int) -> None:
    made = draft(ANSWERS | {"hosts": tuple(HOSTS[:count])})
    assert made.faults == {}
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text(made.variables + ENCRYPTED)
    urls = "".join(f"casa_oidc_{name}_url=https://login.physics.edu/{name}\n"
                   for name in ("authorize", "token", "userinfo"))
    waiting = re.sub(r"^casa_oidc_\w+_url=.*CHANGEME.*\n", "", made.inventory, flags=re.M)
    (tmp_path / "site.ini").write_text(waiting + urls)
    site = load_site(tmp_path / "site.ini")
    assert sorted(f"{host.name}={host.address}" for host in site.hosts) == HOSTS[:count]
    assert {group for host in site.hosts for group in host.groups} == set(placing.CHOICES)
    assert site.settings.users == ("alice", "bob")
    assert site.settings.admins == ("alice",)
    assert site.settings.site_name == "casa"


def test_groups_may_be_given() -> None:
    lines = placing.place(["a-1=10.1.0.1:kube_control+dns", "b-1=10.1.0.2:gateway+kube_workers+dns"])
    assert lines["kube_control"] == ["a-1 ansible_host=10.1.0.1"]
    assert lines["kube_workers"] == ["b-1 ansible_host=10.1.0.2"]
    assert lines["gateway"] == ["b-1"]
    assert lines["dns"] == ["a-1", "b-1"]


def test_every_comment_of_the_example_is_there() -> None:
    inventory = draft(ANSWERS).inventory
    text = (EXAMPLE / "site.ini").read_text()
    comments = [line for line in text[text.index("# The hosts run"):].splitlines() if line.startswith("#")]
    assert [line for line in inventory.splitlines() if line.startswith("#")][2:] == sorted(
        [*comments, "#casa_cms_site=T2_CHANGEME"], key=inventory.index)


def test_networks_inside_kubernetes_keep_off_the_hosts() -> None:
    made = draft({"public_address": ("10.244.7.200/16",)})
    assert made.faults == {}
    assert "casa_network=10.244.0.0/16\n" in made.inventory
    assert "casa_pod_network=10.0.0.0/16\n" in made.inventory
    assert "casa_service_network=10.96.0.0/16\n" in made.inventory


# --- wrong answers, by the checks of the Site ---

@pytest.mark.parametrize(("question", "words", "told"), [
    ("domain", ("Casa.physics.edu",), "casa_domain is Casa.physics.edu; write a DNS domain in lower case such as"),
    ("domain", ("casa.example.org",), "casa_domain still has example.org in it; write your site's own"),
    ("domain", ("casa", "lan"), "casa lan is more than one word; write one"),
    ("domain", ("a.edu\n[dns]",), "the answer is empty or has a character that is no text; write one"),
    ("public_address", ("10.1.0.200",), "10.1.0.200 is not an address with its network; write one such as"),
    ("public_address", ("10.1.0.300/24",), "10.1.0.300/24 is not an address with its network; write one such as"),
    ("public_address", ("10.1.0.0/24",), "casa_public_address 10.1.0.0 is the network's own address; write an"),
    ("public_address", ("10.1.0.11/24",), "casa_public_address 10.1.0.11 is the address of node-11; write an address"),
    ("hosts", ("node-11",), "node-11 is not a host; write NAME=ADDRESS or NAME=ADDRESS:GROUP+GROUP"),
    ("hosts", ("node-11=10.1.0.11",), "1 host is too few; write at least two"),
    ("hosts", ("a-1=10.1.0.11", "a-1=10.1.0.12"), "a-1 is there twice; give each host its own name"),
    ("hosts", ("a-1=10.1.0.11", "b-1=10.2.0.12"), "10.2.0.12 of b-1 is outside casa_network (10.1.0.0/24); correct"),
    ("hosts", ("a-1=10.1.0.11", "b-1=10.1.0.11"), "b-1 has the address of a-1 (10.1.0.11); write the host's own"),
    ("hosts", ("a-1=10.1.0.11:dns", "b-1=10.1.0.12"), "a-1 has groups and b-1 has none; write them for every host"),
    ("hosts", ("a-1=10.1.0.11:kube_contrl",), "kube_contrl of a-1 is not a group; did you mean kube_control?"),
    ("hosts", ("a-1=10.1.0.11:dns",), "no host is in [kube_control]; write the host of it below [kube_control]"),
    ("hosts", ("hub=10.1.0.11", "b-1=10.1.0.12"), "hub.<domain> is the name of a service; name the host otherwise"),
    ("users", ("alice", "root"), "user root has a name of the system; give the account another name"),
    ("users", ("Alice",), "casa_users[0] is Alice; write at most 31 lower-case letters and digits"),
    ("issuer", ("http://login.physics.edu",), "http://login.physics.edu is no issuer; write the provider's https://"),
    ("origin", ("storage.physics.edu",), "casa_xcache_origin is storage.physics.edu; write host:port"),
])
def test_a_wrong_answer(question: str, words: tuple[str, ...], told: str) -> None:
    faults = draft(ANSWERS | {question: words}).faults
    assert any(each.startswith(told) for each in faults.pop(question)), faults
    assert faults == {}


# --- flags ---

def test_flags_make_an_inventory_that_opens_after_the_printed_commands(tmp_path: Path, issuer: str) -> None:
    made = init(tmp_path, *flags(issuer), *several("--host", HOSTS[:9]), *several("--user", ["alice", "bob"]))
    assert made.returncode == 0, made.stderr
    with pytest.raises(InventoryErrors) as refused:
        load_site(tmp_path / "site.ini")
    assert [each.message for each in refused.value.problems] == ["casa_oidc_client_secret is missing"]
    *prepare, encrypt, plan = [line.strip() for line in made.stdout.splitlines() if line.startswith("    ")]
    shell = pexpect.spawn("/bin/bash", ["-euc", "\n".join([*prepare, encrypt, "env | grep ^ANSIBLE_VAULT"])],
                          env=environment(tmp_path), encoding="utf-8", timeout=60)
    shell.expect_exact("client secret: ")
    shell.sendline("s3cret")
    shell.expect("ANSIBLE_VAULT_PASSWORD_FILE=(\\S+)")
    password = Path(shell.match.group(1))
    shell.expect(pexpect.EOF)
    assert (password.stat().st_mode & 0o777) == 0o600
    secret = load_site(tmp_path / "site.ini", vault_passwords=[password]).settings.oidc_client_secret
    assert secret is not None
    assert secret.plain is not None
    assert secret.plain.get_secret_value() == "s3cret"
    assert "s3cret" not in (tmp_path / "group_vars/all.yml").read_text()
    # a plan would ask hosts, which there are none of
    status = plan.replace("./casa-install plan", f"{sys.executable} -m casa_install status")
    shown = subprocess.run(["/bin/bash", "-c", status],
                           env=environment(tmp_path) | {"ANSIBLE_VAULT_PASSWORD_FILE": str(password)},
                           capture_output=True, text=True, check=False, timeout=120)
    assert shown.returncode == 0, shown.stderr
    assert "never run" in shown.stdout


def test_missing_flags_are_named(tmp_path: Path) -> None:
    made = subprocess.run([sys.executable, "-m", "casa_install", "init", "-i", tmp_path / "site.ini",
                           "--domain", "casa.physics.edu"], capture_output=True, text=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL, cwd=ROOT)
    assert made.returncode == 2
    assert made.stderr == ("without a terminal the flags say everything; missing: --public-address ADDRESS/LENGTH "
                           "--host NAME=ADDRESS[:GROUP+GROUP] --issuer URL --client-id ID --user NAME\n"
                           "Nothing was written.\n")
    assert list(tmp_path.iterdir()) == []


def test_wrong_flags_are_told_all_at_once(tmp_path: Path, issuer: str) -> None:
    made = init(tmp_path, *flags(f"{issuer}/other", public_address="10.1.0.1/24"), *several("--host", HOSTS[:2]),
                "--user", "Alice")
    assert made.returncode == 2
    told = made.stderr.splitlines()
    assert [line.split(": ")[0] for line in told] == ["--public-address", "--issuer", "--user",
                                                      "Nothing was written."], told
    assert f"openid-configuration is the document of {issuer}; write that issuer if you trust it" in made.stderr
    assert not list(tmp_path.glob("[!.]*"))  # .ansible is of the account


def test_a_provider_that_nobody_vouches_for(tmp_path: Path, issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASA_TEST_CA", "/etc/ssl/certs/ca-certificates.crt")
    made = init(tmp_path, *flags(issuer), *several("--host", HOSTS[:2]), "--user", "alice")
    assert made.returncode == 2
    assert "cannot be read" in made.stderr
    assert "correct the issuer, or copy inventory/example" in made.stderr
    assert "Traceback" not in made.stderr


@pytest.mark.parametrize("name", ["site.ini", "group_vars/all.yml"])
def test_nothing_is_overwritten(tmp_path: Path, issuer: str, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    made = init(tmp_path, *flags(issuer), *several("--host", HOSTS[:2]), "--user", "alice")
    assert made.returncode == 2
    assert made.stderr == (f"{tmp_path / name} exists already; name another file, or move this one away\n"
                           "Nothing was written.\n")
    assert (tmp_path / name).read_text() == "mine\n"
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [tmp_path / name]


# --- questions ---

def test_questions_are_asked_again_until_the_answer_is_good(tmp_path: Path, issuer: str) -> None:
    asked = pexpect.spawn(sys.executable, ["-m", "casa_install", "init", "-i", str(tmp_path / "site.ini")],
                          env=environment(tmp_path), encoding="utf-8", timeout=60, dimensions=(40, 300))
    for question, answer in (
            ("1. The facility's own DNS domain", "casa.example.org"),
            ("still has example.org in it; write your site's own", "casa.physics.edu"),
            ("2. The address that users reach", "10.1.0.200"),
            ("is not an address with its network; write one such as 10.1.0.200/24", "10.1.0.12/24"),
            ("3. The hosts", " ".join(HOSTS[:3])),
            ("casa_public_address 10.1.0.12 is the address of node-12", "10.1.0.200/24"),
            ("4. Who may log in", "https://localhost:1"),
            ("cannot be read", issuer),
            ("redirect address https://hub.casa.physics.edu/hub/oauth_callback", "hub"),
            ("accounts there", "")):
        asked.expect_exact(question)
        asked.expect_exact("  : ")
        asked.sendline(answer)
    asked.expect_exact("the answer is empty")
    asked.expect_exact("  : ")
    asked.sendline("alice bob")
    asked.expect_exact(f"./casa-install plan --inventory {tmp_path / 'site.ini'}")
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus == 0
    with (tmp_path / "group_vars/all.yml").open("a") as stream:
        stream.write(ENCRYPTED)
    site = load_site(tmp_path / "site.ini")
    assert site.settings.oidc_token_url == f"{issuer}/token"
    assert [host.name for host in site.group("condor_execute")] == ["node-13"]


def test_who_stops_in_the_middle_has_written_nothing(tmp_path: Path, issuer: str) -> None:
    asked = pexpect.spawn(sys.executable, ["-m", "casa_install", "init", "-i", str(tmp_path / "site.ini")],
                          env=environment(tmp_path), encoding="utf-8", timeout=60)
    asked.expect_exact("1. The facility's own DNS domain")
    asked.expect_exact("  : ")
    asked.sendintr()
    asked.expect_exact("Nothing was written.")
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus == 2
    assert not (tmp_path / "site.ini").exists()
